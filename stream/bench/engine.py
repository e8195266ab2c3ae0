"""`bench engine`: times the transcription of a window by our engine and by other engines.

All systems transcribe the same windows in turns, round after round, so that other load on the
machine slows all of them alike; ratios are taken within a round. A draft, a batch or an assistant
must never change a token: this is checked, and decides the exit status.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from stream.bench.engine_report import SpeedRow, as_table
from stream.bench.rivals import contenders
from stream.bench.rivals.contenders import Contender, Draft, WindowResult
from stream.core.windows import Window, WindowKind
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.cores import usable_cores
from stream.engine.memories import default_budget
from stream.engine.network.whisper import Precision
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.material.excerpts import read_excerpts
from stream.evaluate.material.recordings import at_16_khz
from stream.evaluate.material.windows import as_window, beginning
from stream.evaluate.measures.scoring import WordErrors, word_errors

LENGTHS_S = (3.0, 10.0, 28.0)
BATCHES = (1, 3, 8)
DRAFTS: tuple[Draft, ...] = ("none", "right", "last", "wrong")
GAP_S = 0.3
"""Seconds between the sentences of a window, like the pauses in reading aloud."""

Many = Parameter(consume_multiple=True, negative=())


@dataclass(frozen=True, slots=True)
class Round:
    """The times of one pass of a system over all windows."""

    wall_s: float
    cpu_s: float
    """CPU seconds of all threads."""
    decode_ms: float | None
    """Milliseconds in the decoder; None if a system does not report it."""


def run(
    data: Path,
    model: str = "base",
    assistant: str | None = None,
    lengths: Annotated[tuple[float, ...], Many] = LENGTHS_S,
    batches: Annotated[tuple[int, ...], Many] = BATCHES,
    drafts: Annotated[tuple[Draft, ...], Many] = DRAFTS,
    precisions: Annotated[tuple[Precision, ...], Many] = ("int8", "float32"),
    device: Literal["cpu", "cuda"] = "cpu",
    windows: int = 8,
    rounds: int = 3,
    others: bool = True,
    memory: bool = False,
) -> int:
    """Print tables and one JSON line: time, CPU time and decoder passes of a window.

    The exit status is 1 if a draft, a batch or the assistant changed a token.

    Parameters
    ----------
    data
        Folder with `long.jsonl`.
    model
        Name of the model.
    assistant
        Name of a smaller model that drafts for the model; the pair is timed as well.
    lengths
        Seconds of audio in a window.
    batches
        Windows that our engine transcribes at once.
    drafts
        The draft of a window: nothing, its own tokens (right), those of the same window half a
        second shorter (last), or those of another window (wrong).
    precisions
        Precisions of our weights.
    device
        Device of our engine and of transformers; faster-whisper uses CUDA if it is available.
    windows
        Number of windows of each length.
    rounds
        Number of times that each system is timed.
    others
        Time faster-whisper and transformers, too.
    memory
        Time our engine with the encoder's memory, too: each window is half a second longer than
        what the encoder remembers of it.
    """
    excerpts = read_excerpts(data / "long.jsonl", windows, max(lengths), GAP_S)
    whole = [as_window(i, at_16_khz(one.read())) for i, one in enumerate(excerpts)]
    engines = load_engines(model, precisions, device, assistant)
    remembering = [
        WhisperTranscriber(model, precision, device, memory_bytes=default_budget())
        for precision in (precisions if memory else ())
    ]
    rows: list[SpeedRow] = []
    console = Console(width=132, highlight=False)
    for window_s in lengths:
        cut = [replace(beginning(w, window_s), kind=WindowKind.PARTIAL) for w in whole]
        chosen = all_contenders(engines, model, device, cut, batches, drafts, others)
        if memory:
            for one in remembering:
                chosen += contenders.ours_remembering(one, cut, batches)
        found = list(measure(chosen, window_s, rounds))
        console.print(as_table(window_s, found))
        rows += found
    summary = {
        "command": "bench engine",
        "model": model,
        "assistant": assistant,
        "device": device,
        "cores": usable_cores(),
        "rounds": rounds,
        "changed": sum(row.changed or 0 for row in rows),
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(summary))
    return 1 if summary["changed"] else 0


Engines = list[tuple[WhisperTranscriber, WhisperTranscriber | None]]
"""For each precision: the model alone, and with its assistant (None without one)."""


def load_engines(
    model: str, precisions: Sequence[Precision], device: str, assistant: str | None
) -> Engines:
    """Load the model in each precision, alone and with the assistant if there is one."""
    checkpoint = load_checkpoint(model)
    engines: Engines = []
    for precision in precisions:
        # The same windows are transcribed again and again, and must not be remembered.
        alone = WhisperTranscriber(checkpoint, precision, device, memory_bytes=0)
        assisted = assistant and WhisperTranscriber(
            checkpoint, precision, device, assistant=assistant, memory_bytes=0
        )
        engines.append((alone, assisted or None))
    return engines


def all_contenders(
    engines: Engines,
    model: str,
    device: str,
    windows: Sequence[Window],
    batches: Sequence[int],
    drafts: Sequence[Draft],
    others: bool,
) -> list[Contender]:
    """Return all contenders to time on these windows."""
    chosen: list[Contender] = []
    for alone, assisted in engines:
        own = contenders.ours(alone, windows, batches, drafts)
        chosen += own
        if assisted is not None:
            chosen += contenders.ours_assisted(assisted, windows, batches, own[0].expected)
        chosen.append(contenders.ours_padded(alone, windows))
    if others:
        chosen.append(contenders.faster_whisper(model, windows))
        chosen.append(contenders.transformers(model, device, windows))
    return chosen


def measure(compared: Sequence[Contender], window_s: float, rounds: int) -> Iterator[SpeedRow]:
    """Time all contenders in turns, and yield a row for each."""
    results = []
    for one in compared:  # a warm-up, which is not timed
        one.prepare()
        results.append(one.transcribe(one.windows))
    timed: list[list[Round]] = [[] for _ in compared]
    for _ in range(rounds):
        for one, times in zip(compared, timed, strict=True):
            times.append(timed_round(one))
    baseline = times_of(compared, timed, "faster-whisper")
    plain = next(
        (r for one, r in zip(compared, results, strict=True) if one.system == "transformers"), None
    )
    for one, times, own in zip(compared, timed, results, strict=True):
        yield speed_row(one, window_s, times, own, baseline, plain, alone(one, compared, timed))


def timed_round(contender: Contender) -> Round:
    """Let a contender transcribe all its windows once, and return the times."""
    contender.prepare()
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    results = contender.transcribe(contender.windows)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    decode_ms = [one.decode_ms for one in results if one.decode_ms is not None]
    return Round(wall_s, cpu_s, sum(decode_ms) if decode_ms else None)


def times_of(
    compared: Sequence[Contender], timed: Sequence[list[Round]], system: str
) -> list[Round] | None:
    """Return the rounds of a system, or None if it is not among the contenders."""
    return next((t for one, t in zip(compared, timed, strict=True) if one.system == system), None)


def alone(
    contender: Contender, compared: Sequence[Contender], timed: Sequence[list[Round]]
) -> list[Round] | None:
    """Return the rounds of the same contender with a batch of one window, if there is one."""
    same = (contender.system, contender.precision, contender.draft)
    return next(
        (
            times
            for one, times in zip(compared, timed, strict=True)
            if (one.system, one.precision, one.draft) == same and one.batch == 1
        ),
        None,
    )


def speed_row(
    contender: Contender,
    window_s: float,
    times: Sequence[Round],
    results: Sequence[WindowResult],
    baseline: Sequence[Round] | None,
    plain: Sequence[WindowResult] | None,
    singly: Sequence[Round] | None,
) -> SpeedRow:
    """Sum up the times and the results of a contender.

    Args:
        contender: the contender.
        window_s: seconds of audio in a window.
        times: the rounds of the contender.
        results: the contender's result for each window.
        baseline: the rounds of faster-whisper, or None.
        plain: the results of transformers, or None.
        singly: the rounds of the same contender with a batch of one window, or None.
    """
    n = len(contender.windows)
    wall_ratio = cpu_ratio = None
    if baseline is not None:
        pairs = list(zip(baseline, times, strict=True))
        wall_ratio = round(median(theirs.wall_s / ours.wall_s for theirs, ours in pairs), 2)
        cpu_ratio = round(median(theirs.cpu_s / ours.cpu_s for theirs, ours in pairs), 2)
    decode = [t.decode_ms for t in times if t.decode_ms is not None]
    gains = [
        one.decode_ms / many.decode_ms
        for one, many in zip(singly or (), times, strict=bool(singly))
        if one.decode_ms and many.decode_ms
    ]
    passes = [r.passes for r in results if r.passes is not None]
    changed = None
    if contender.expected is not None:
        outcomes = zip(results, contender.expected, strict=True)
        changed = sum(r.tokens != tokens for r, tokens in outcomes)
    return SpeedRow(
        window_s=window_s,
        system=contender.system,
        precision=contender.precision,
        batch=contender.batch,
        draft=contender.draft,
        windows=n,
        wall_ms=round(1000 * median(t.wall_s for t in times) / n, 1),
        cpu_ms=round(1000 * median(t.cpu_s for t in times) / n, 1),
        wall_ratio=wall_ratio,
        cpu_ratio=cpu_ratio,
        decode_ms=round(median(decode) / n, 1) if decode else None,
        batch_ratio=round(median(gains), 2) if gains else None,
        passes=round(sum(passes) / n, 1) if passes else None,
        drafted=sum(r.drafted for r in results),
        accepted=sum(r.accepted for r in results),
        changed=changed,
        word_differences=None if plain is None else differences(results, plain),
    )


def differences(results: Sequence[WindowResult], plain: Sequence[WindowResult]) -> float:
    """Return the word error rate against the text of transformers, in percent."""
    errors = WordErrors()
    for one, other in zip(results, plain, strict=True):
        errors += word_errors(other.text, one.text)
    return round(errors.rate, 2)
