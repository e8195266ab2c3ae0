"""`bench rehearsal`: compares settings of a session on the same recordings, on the audio clock."""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from stream.bench.audio_clock import CachedTranscriber, Rehearsal
from stream.bench.cuts import AtCuts, at_cuts
from stream.bench.repeats import Estimate, Louder
from stream.bench.speech.pauseless import without_pauses
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings, for_memory
from stream.core.vad import MakeDetector
from stream.engine.network.ways import as_setting
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.adapters.offline_text import OfflineTranscriber, offline_text
from stream.evaluate.material.recordings import Recording, read_manifest
from stream.evaluate.measures.latency import Latencies, latencies
from stream.evaluate.measures.record import transcript
from stream.evaluate.measures.scoring import WordErrors, word_errors
from stream.evaluate.measures.stability import Stability, stability

ABOVE_ALL = 2.0
"""A threshold that no confidence reaches."""
NOW = SessionTuning()


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of a session: the server's tuning and the client's endpointing."""

    tuning: SessionTuning = NOW
    endpointing_ms: int = 500


AS_IT_IS = "as it is"
VARIANTS = {
    AS_IT_IS: Variant(),
    "nothing is committed before the final": Variant(replace(NOW, commit_partials=False)),
    "every word is heard twice before it is committed": Variant(replace(NOW, sure_from=ABOVE_ALL)),
    "unsure words are committed as soon as others": Variant(
        replace(NOW, unsure_delay_ms=NOW.commit_delay_ms)
    ),
    "unsure words wait for 8 s": Variant(replace(NOW, unsure_delay_ms=8000)),
    "words below 0.4 are unsure": Variant(replace(NOW, unsure_below=0.4)),
    "words below 0.7 are unsure": Variant(replace(NOW, unsure_below=0.7)),
    "two hypotheses are enough": Variant(
        replace(NOW, commit_delay_ms=0, unsure_delay_ms=0, sure_from=ABOVE_ALL)
    ),
    "every word is shown at once": Variant(
        replace(NOW, edge_ms=0, shown_from=0.0, first_shown_from=0.0)
    ),
    "half-heard words are not shown": Variant(replace(NOW, shown_from=0.0, first_shown_from=0.0)),
    "unsure first words are not shown": Variant(replace(NOW, first_shown_from=NOW.shown_from)),
    "no context": Variant(replace(NOW, context_s=0.0)),
    "6 s of context": Variant(replace(NOW, context_s=6.0)),
    "partials of 8 to 28 s": Variant(replace(NOW, max_partial_s=28.0, restart_partial_s=8.0)),
    "partials of 8 to 16 s": Variant(for_memory(NOW)),
    "partials of 8 to 16 s each half second": Variant(for_memory(replace(NOW, partial_hop_ms=500))),
    "partials of 8 to 12 s": Variant(replace(NOW, max_partial_s=12.0, restart_partial_s=8.0)),
    "partials of 15 s": Variant(replace(NOW, max_partial_s=15.0, restart_partial_s=15.0)),
    "partials of 8 s": Variant(replace(NOW, max_partial_s=8.0)),
    "partials of 6 s": Variant(replace(NOW, max_partial_s=6.0)),
    "a partial each half second": Variant(replace(NOW, partial_hop_ms=500)),
    "a partial a second from the start": Variant(replace(NOW, first_hop_ms=NOW.partial_hop_ms)),
    "endpointing of 300 ms": Variant(endpointing_ms=300),
    "endpointing of 800 ms": Variant(endpointing_ms=800),
    "cut at 30 s, never at a pause": Variant(endpointing_ms=10_000),
}
"""Variants that need the same windows are next to each other: only the first one costs time."""

TRAILING_S = 1.0
"""Silence after a recording, longer than endpointing, so that silence ends its last utterance."""

Many = Parameter(consume_multiple=True, negative=())


@dataclass(frozen=True, slots=True)
class VariantRow:
    """The figures of one variant of the settings over all recordings."""

    variant: str
    word_error_rate: float
    """Percent."""
    substitutions: int
    deletions: int
    insertions: int
    words: int
    cuts: int
    """Ends of utterances in the middle of speech."""
    deletions_at_cuts: int
    """Deletions within `NEAR_S` of a cut."""
    insertions_at_cuts: int
    """Insertions within `NEAR_S` of a cut."""
    erasure: float
    """Words erased for each final word."""
    shown_ms: float
    """From the end of a word to its first appearance, median."""
    committed_ms: float
    """From the end of a word to its commit, median."""
    first_partial_ms: float
    """From the start of speech to the first partial with words, median."""
    cpu_s_per_audio_s: float


def run(
    manifest: Path,
    model: str = "base",
    limit: int | None = None,
    every: int = 1,
    without_pauses_s: float | None = None,
    variants: Annotated[tuple[str, ...], Many] = tuple(VARIANTS),
    ways: Annotated[tuple[str, ...], Parameter(negative=())] = ("default",),
    repeats: int = 1,
    encoder_memory_mb: int = 0,
    refresh_s: float | None = None,
    reach_s: float | None = None,
    memory_margin_s: float | None = None,
    finals_from_memory: bool | None = None,
) -> None:
    """Print a table for each set of ways to compute, and one JSON line.

    Parameters
    ----------
    manifest
        Manifest (JSON lines) of the recordings.
    model
        Name of the model.
    limit
        Number of recordings; the default is all.
    every
        Use every n-th recording.
    without_pauses_s
        Join the recordings to speeches of about this number of seconds, and remove all pauses.
    variants
        Names of the variants; the default is all.
    ways
        Kernels of the CPU, as in `serve --ways`; may be repeated to compare several. The default is
        fixed, so that words do not depend on what is fastest on this machine.
    repeats
        Number of times that everything is played, each a millionth louder than the one before;
        means and standard errors are printed.
    encoder_memory_mb
        What the encoder may remember, as in `serve --encoder-memory-mb`; 0 encodes all windows in
        full. It needs a variant whose windows keep their beginning.
    refresh_s
        Seconds before a window's end that are encoded in any case.
    reach_s
        Seconds of remembered audio that these attend to.
    memory_margin_s
        Seconds of silence after a window that is encoded from memory.
    finals_from_memory
        Whether finals are encoded from memory, too.
    """
    if unknown := sorted(set(variants) - set(VARIANTS)):
        raise UsageError(f"There is no variant {unknown[0]!r}; choose from: {', '.join(VARIANTS)}.")
    recordings = read_manifest(manifest)[::every][:limit]
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; use 1 or more.")
    if without_pauses_s is not None:
        recordings = without_pauses(recordings, without_pauses_s)
    sets = []
    for setting in ways:
        transcriber = WhisperTranscriber(
            model,
            device="cpu",
            ways=setting,
            memory_bytes=encoder_memory_mb << 20,
        )
        changed = {
            "refresh_s": refresh_s,
            "reach_s": reach_s,
            "memory_margin_s": memory_margin_s,
            "finals_from_memory": finals_from_memory,
        }
        given = {name: value for name, value in changed.items() if value is not None}
        transcriber.options = replace(transcriber.options, **given)  # type: ignore[arg-type]
        print(f"\nways: {setting}\n")
        found = rehearse_repeatedly(recordings, transcriber, variants, repeats)
        sets.append({"ways": as_setting(transcriber.recognizer.model.ways), **found})
    summary = {"command": "bench rehearsal", "model": model, "manifest": manifest.name}
    print(json.dumps({**summary, "repeats": repeats, "sets": sets}))


def rehearse_repeatedly(
    recordings: Sequence[Recording],
    transcriber: WhisperTranscriber,
    variants: Sequence[str],
    repeats: int,
) -> dict[str, object]:
    """Print a row for the offline result and for each variant; return the rows as JSON objects.

    Args:
        recordings: the recordings.
        transcriber: the model.
        variants: names of the variants.
        repeats: number of times that everything is played.
    """
    offline: list[float] = []
    played: list[list[VariantRow]] = []
    for repeat in range(repeats):
        louder = Louder(transcriber, repeat)
        errors = offline_errors(recordings, louder)
        offline.append(errors.rate)
        print(f"repeat {repeat}: offline {errors.rate:.2f}", end="", file=sys.stderr, flush=True)
        cached = CachedTranscriber(louder)
        rows = list(rehearse_all(recordings, cached, choose_detector("silero"), variants))
        print(f", {rows[0].variant} {rows[0].word_error_rate:.2f}", file=sys.stderr, flush=True)
        played.append(rows)
    print(
        "| variant | WER % | price | sub/del/ins | cuts | del/ins at cuts | erasure | shown "
        "| committed | first | CPU s/s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    print(f"| offline | {Estimate.of(offline)} | | | | | | | | | |")
    summed = [sum_up(same, offline) for same in zip(*played, strict=True)]
    for row in summed:
        print(as_line(row), flush=True)
    return {"offline": asdict(Estimate.of(offline)), "rehearsal": [asdict(row) for row in summed]}


@dataclass(frozen=True, slots=True)
class RepeatedRow:
    """The figures of one variant over all recordings and repeats."""

    variant: str
    words: int
    word_error_rate: Estimate
    """Percent."""
    price: Estimate
    """Price of streaming: word error rate minus that of the same repeat offline, percent."""
    mean: dict[str, float]
    """Means of all other figures of a `VariantRow`, by name."""


def sum_up(rows: Sequence[VariantRow], offline: Sequence[float]) -> RepeatedRow:
    """Sum up the rows of one variant.

    Args:
        rows: one for each repeat.
        offline: the offline word error rate of each repeat, percent.
    """
    rates = [row.word_error_rate for row in rows]
    prices = [rate - plain for rate, plain in zip(rates, offline, strict=True)]
    columns = [name for name in asdict(rows[0]) if name not in ("variant", "words")]
    mean = {name: round(fmean(getattr(row, name) for row in rows), 3) for name in columns}
    return RepeatedRow(
        rows[0].variant, rows[0].words, Estimate.of(rates), Estimate.of(prices), mean
    )


def as_line(row: RepeatedRow) -> str:
    """Return a row as a line of the table."""
    mean = row.mean
    counts = "/".join(f"{mean[name]:g}" for name in ("substitutions", "deletions", "insertions"))
    at_cuts = f"{mean['deletions_at_cuts']:g}/{mean['insertions_at_cuts']:g}"
    return (
        f"| {row.variant} | {row.word_error_rate} | {row.price} | {counts} | {mean['cuts']:g} "
        f"| {at_cuts} | {mean['erasure']:.3f} | {mean['shown_ms']:.0f} "
        f"| {mean['committed_ms']:.0f} | {mean['first_partial_ms']:.0f} "
        f"| {mean['cpu_s_per_audio_s']:.2f} |"
    )


def offline_errors(recordings: Iterable[Recording], transcriber: OfflineTranscriber) -> WordErrors:
    """Return the word errors of the same model offline, padded to 30 s."""
    errors = WordErrors()
    for recording in recordings:
        errors += word_errors(recording.text or "", offline_text(transcriber, recording.read()))
    return errors


def rehearse_all(
    recordings: Sequence[Recording],
    cached: CachedTranscriber,
    detector: MakeDetector,
    variants: Iterable[str] = VARIANTS,
) -> Iterator[VariantRow]:
    """Rehearse all recordings with each variant, and yield its row.

    Args:
        recordings: with known text, and names that identify them.
        cached: the model.
        detector: makes the VAD of a session.
        variants: names of the variants.
    """
    for name in variants:
        variant = VARIANTS[name]
        errors, flicker, late = WordErrors(), Stability(), Latencies()
        cuts = AtCuts()
        audio_s = cached.cpu_s = 0.0
        for recording in recordings:
            audio = recording.read()
            silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
            settings = StreamSettings(sample_rate=audio.rate, endpointing_ms=variant.endpointing_ms)
            session = Session(recording.name, settings, variant.tuning, detector)
            cached.begin(recording.name)
            samples = np.concatenate([audio.samples, silence])
            shown = Rehearsal(session, cached.transcribe).play(samples)
            errors += word_errors(recording.text or "", transcript(shown))
            cuts += at_cuts(recording.text or "", shown)
            flicker += stability(shown)
            late += latencies(shown)
            audio_s += audio.seconds
        yield VariantRow(
            variant=name,
            word_error_rate=round(errors.rate, 2),
            substitutions=errors.substitutions,
            deletions=errors.deletions,
            insertions=errors.insertions,
            words=errors.words,
            cuts=cuts.cuts,
            deletions_at_cuts=cuts.deletions,
            insertions_at_cuts=cuts.insertions,
            erasure=round(flicker.normalised_erasure, 3),
            shown_ms=median(late.word_to_shown),
            committed_ms=median(late.word_to_commit),
            first_partial_ms=median(late.speech_start_to_partial),
            cpu_s_per_audio_s=round(cached.cpu_s / audio_s, 3),
        )


def median(values: Sequence[float]) -> float:
    """Return the median of milliseconds, rounded; NaN if there are no values."""
    return round(float(np.median(values)), 0) if values else float("nan")
