"""How fast a window is transcribed: our engine in its variations, next to others.

All hear the same windows in turns, round after round, so that a machine that is busy with other
things now and then slows all of them alike; ratios are taken within a round. What a draft, a batch
or an assistant must never do is change a token: that is checked, and is the exit status.
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
from stream.bench.rivals.contenders import Contender, Draft, Said
from stream.core.windows import Window, WindowKind
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.cores import usable_cores
from stream.engine.network.whisper import Precision
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.material.recordings import at_16_khz, read_excerpts
from stream.evaluate.material.windows import as_window, beginning
from stream.evaluate.measures.scoring import WordErrors, word_errors

LENGTHS_S = (3.0, 10.0, 28.0)
BATCHES = (1, 3, 8)
DRAFTS: tuple[Draft, ...] = ("none", "right", "last", "wrong")
GAP_S = 0.3
"""Between the sentences of a window: a reader's pause."""

Many = Parameter(consume_multiple=True, negative=())


@dataclass(frozen=True, slots=True)
class Round:
    """One pass over all windows."""

    wall_s: float
    cpu_s: float
    """Of all threads."""
    decode_ms: float | None
    """In the decoder; None where a system does not say."""


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
) -> int:
    """Print tables and one JSON line: time, CPU time and decoder passes of a window.

    The exit status is 1 when a draft, a batch or the assistant changed a token.

    Parameters
    ----------
    data
        The folder that holds `long.jsonl`.
    model
        Its name.
    assistant
        A smaller model that drafts what the model verifies, timed as well.
    lengths
        Seconds of audio in a window.
    batches
        Windows that our engine transcribes at once.
    drafts
        What a window brings along: nothing, its own words (right), those of the window before it,
        half a second shorter (last), or another window's (wrong).
    precisions
        Of our weights.
    device
        Where our engine and transformers run; faster-whisper takes CUDA where there is one.
    windows
        How many of each length.
    rounds
        How often everything is timed.
    others
        Time faster-whisper and transformers, too.
    """
    excerpts = read_excerpts(data / "long.jsonl", windows, max(lengths), GAP_S)
    whole = [as_window(i, at_16_khz(one.read())) for i, one in enumerate(excerpts)]
    engines = load_engines(model, precisions, device, assistant)
    rows: list[SpeedRow] = []
    console = Console(width=132, highlight=False)
    for window_s in lengths:
        heard = [replace(beginning(w, window_s), kind=WindowKind.PARTIAL) for w in whole]
        field = contestants(engines, model, device, heard, batches, drafts, others)
        found = list(measure(field, window_s, rounds))
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
"""Of each precision: the model alone, and with its assistant."""


def load_engines(
    model: str, precisions: Sequence[Precision], device: str, assistant: str | None
) -> Engines:
    """Load the model in each precision; both of a pair are warm."""
    checkpoint = load_checkpoint(model)
    engines: Engines = []
    for precision in precisions:
        alone = WhisperTranscriber(checkpoint, precision, device)
        assisted = assistant and WhisperTranscriber(
            checkpoint, precision, device, assistant=assistant
        )
        engines.append((alone, assisted or None))
    return engines


def contestants(
    engines: Engines,
    model: str,
    device: str,
    windows: Sequence[Window],
    batches: Sequence[int],
    drafts: Sequence[Draft],
    others: bool,
) -> list[Contender]:
    """Return all that are to be timed on these windows."""
    field: list[Contender] = []
    for alone, assisted in engines:
        own = contenders.ours(alone, windows, batches, drafts)
        field += own
        if assisted is not None:
            field += contenders.ours_assisted(assisted, windows, batches, own[0].expected)
        field.append(contenders.ours_padded(alone, windows))
    if others:
        field.append(contenders.faster_whisper(model, windows))
        field.append(contenders.transformers(model, device, windows))
    return field


def measure(field: Sequence[Contender], window_s: float, rounds: int) -> Iterator[SpeedRow]:
    """Yield a row for each contender, timed in turns."""
    said = [one.hear(one.windows) for one in field]  # untimed: each is warm after it
    timed: list[list[Round]] = [[] for _ in field]
    for _ in range(rounds):
        for one, times in zip(field, timed, strict=True):
            times.append(timed_round(one))
    yardstick = times_of(field, timed, "faster-whisper")
    plain = next(
        (s for one, s in zip(field, said, strict=True) if one.system == "transformers"), None
    )
    for one, times, heard in zip(field, timed, said, strict=True):
        yield speed_row(one, window_s, times, heard, yardstick, plain, alone(one, field, timed))


def timed_round(contender: Contender) -> Round:
    """Let a contender hear all its windows once."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    said = contender.hear(contender.windows)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    decode_ms = [one.decode_ms for one in said if one.decode_ms is not None]
    return Round(wall_s, cpu_s, sum(decode_ms) if decode_ms else None)


def times_of(
    field: Sequence[Contender], timed: Sequence[list[Round]], system: str
) -> list[Round] | None:
    """Return the rounds of a system, if it takes part."""
    return next((t for one, t in zip(field, timed, strict=True) if one.system == system), None)


def alone(
    contender: Contender, field: Sequence[Contender], timed: Sequence[list[Round]]
) -> list[Round] | None:
    """Return the rounds of the same contender that takes a window at a time, if there is one."""
    same = (contender.system, contender.precision, contender.draft)
    return next(
        (
            times
            for one, times in zip(field, timed, strict=True)
            if (one.system, one.precision, one.draft) == same and one.batch == 1
        ),
        None,
    )


def speed_row(
    contender: Contender,
    window_s: float,
    times: Sequence[Round],
    said: Sequence[Said],
    yardstick: Sequence[Round] | None,
    plain: Sequence[Said] | None,
    singly: Sequence[Round] | None,
) -> SpeedRow:
    """Sum up what a contender took and said."""
    n = len(contender.windows)
    wall_ratio = cpu_ratio = None
    if yardstick is not None:
        pairs = list(zip(yardstick, times, strict=True))
        wall_ratio = round(median(theirs.wall_s / ours.wall_s for theirs, ours in pairs), 2)
        cpu_ratio = round(median(theirs.cpu_s / ours.cpu_s for theirs, ours in pairs), 2)
    decode = [t.decode_ms for t in times if t.decode_ms is not None]
    gains = [
        one.decode_ms / many.decode_ms
        for one, many in zip(singly or (), times, strict=bool(singly))
        if one.decode_ms and many.decode_ms
    ]
    passes = [s.passes for s in said if s.passes is not None]
    changed = None
    if contender.expected is not None:
        outcomes = zip(said, contender.expected, strict=True)
        changed = sum(s.tokens != tokens for s, tokens in outcomes)
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
        drafted=sum(s.drafted for s in said),
        accepted=sum(s.accepted for s in said),
        changed=changed,
        word_differences=None if plain is None else differences(said, plain),
    )


def differences(said: Sequence[Said], plain: Sequence[Said]) -> float:
    """Return how far what was said is from what transformers said, in percent of its words."""
    errors = WordErrors()
    for one, other in zip(said, plain, strict=True):
        errors += word_errors(other.text, one.text)
    return round(errors.rate, 2)
