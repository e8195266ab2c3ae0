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
from stream.bench.repeats import Louder
from stream.bench.speech.pauseless import without_pauses
from stream.bench.variants import VARIANTS, Variant
from stream.core.session import Session
from stream.core.settings import StreamSettings
from stream.core.vad import MakeDetector
from stream.engine.network.ways import as_setting
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.adapters.offline_text import OfflineTranscriber, offline_transcript
from stream.evaluate.material.recordings import Audio, Channels, Recording, read_manifest
from stream.evaluate.material.suites import Suite, recordings_of
from stream.evaluate.measures.latency import Latencies, latencies
from stream.evaluate.measures.record import Stamped, on_channel, transcript
from stream.evaluate.measures.repeats import Estimate
from stream.evaluate.measures.scoring import WordErrors, word_errors
from stream.evaluate.measures.stability import Stability, stability

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
    suite: Suite = "speech",
    conditions: Annotated[tuple[str, ...], Many] = (),
    noise: Path | None = None,
    channels: Channels = "apart",
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
    """Print a table for each set of ways to compute and each condition, and one JSON line.

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
    suite
        How the recordings are changed, as in `evaluate`. Each condition has tables of its own.
    conditions
        Names of the suite's conditions, such as "0 % loss"; the default is all.
    noise
        Manifest of recordings without words that are mixed with speech.
    channels
        Play the channels of a recording with `text_by_channel` apart, or mixed to one.
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
        Size of the encoder's memory, as in `serve --encoder-memory-mb`; 0 encodes all windows in
        full. It needs a variant whose windows keep their beginning.
    refresh_s
        Seconds before the end of a window that are always encoded again.
    reach_s
        Seconds of the memory, before those of refresh_s, to which the positions encoded again
        attend.
    memory_margin_s
        Seconds of silence after a window that is encoded with memory.
    finals_from_memory
        Whether finals are encoded with memory as well.
    """
    if unknown := sorted(set(variants) - set(VARIANTS)):
        raise UsageError(f"There is no variant {unknown[0]!r}; choose from: {', '.join(VARIANTS)}.")
    if repeats < 1:
        raise UsageError(f"repeats is {repeats}; use 1 or more.")
    recordings = read_manifest(manifest, apart=channels == "apart")[::every][:limit]
    if without_pauses_s is not None:
        recordings = without_pauses(recordings, without_pauses_s)
    noises = [] if noise is None else read_manifest(noise)
    played = by_condition(recordings_of((suite,), recordings, noises, minutes=1.0), conditions)
    changed = {
        "refresh_s": refresh_s,
        "reach_s": reach_s,
        "memory_margin_s": memory_margin_s,
        "finals_from_memory": finals_from_memory,
    }
    given = {name: value for name, value in changed.items() if value is not None}
    sets = []
    for setting in ways:
        transcriber = WhisperTranscriber(
            model,
            device="cpu",
            ways=setting,
            memory_bytes=encoder_memory_mb << 20,
        )
        transcriber.options = replace(transcriber.options, **given)  # type: ignore[arg-type]
        kernels = as_setting(transcriber.recognizer.model.ways)
        for condition, members in played.items():
            print(f"\nways: {setting}" + (f", {condition}" if condition else "") + "\n")
            found = rehearse_repeatedly(members, transcriber, variants, repeats)
            sets.append({"ways": kernels, "condition": condition, **found})
    summary = {"command": "bench rehearsal", "model": model, "manifest": manifest.name}
    print(json.dumps({**summary, "channels": channels, "repeats": repeats, "sets": sets}))


def by_condition(
    recordings: Sequence[Recording], conditions: Sequence[str]
) -> dict[str, list[Recording]]:
    """Group recordings with known text by their condition.

    Args:
        recordings: the recordings of a suite.
        conditions: names of the conditions that are played; none for all.

    Raises:
        UsageError: the suite has no such condition, or there is no recording with known text.
    """
    found: dict[str, list[Recording]] = {}
    for one in recordings:
        if one.text:
            found.setdefault(one.condition, []).append(one)
    if unknown := sorted(set(conditions) - set(found)):
        raise UsageError(f"There is no condition {unknown[0]!r}; choose from: {', '.join(found)}.")
    if not found:
        raise UsageError("There is no recording with known text in the manifest.")
    return {
        name: members for name, members in found.items() if not conditions or name in conditions
    }


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
        for text, audio in zip(recording.texts, recording.read().channels(), strict=True):
            errors += word_errors(text or "", offline_transcript(transcriber, audio).text)
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
            cached.begin(recording.name)
            shown = rehearse(recording.name, audio, variant, cached, detector)
            for channel, text in enumerate(recording.texts):
                own = on_channel(shown, channel)
                errors += word_errors(text or "", transcript(own))
                cuts += at_cuts(text or "", own)
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


def rehearse(
    name: str,
    audio: Audio,
    variant: Variant,
    cached: CachedTranscriber,
    detector: MakeDetector,
) -> list[Stamped]:
    """Play a recording as one stream, with all of its channels, and return the events."""
    samples = audio.samples  # (n_samples,) or (n_samples, n_channels)
    silence = np.zeros((round(TRAILING_S * audio.rate), *samples.shape[1:]), np.int16)
    settings = StreamSettings(
        sample_rate=audio.rate,
        channels=len(audio.channels()),
        endpointing_ms=variant.endpointing_ms,
    )
    session = Session(name, settings, variant.tuning, detector)
    return Rehearsal(session, cached.transcribe).play(np.concatenate([samples, silence]))


def median(values: Sequence[float]) -> float:
    """Return the median of milliseconds, rounded; NaN if there are no values."""
    return round(float(np.median(values)), 0) if values else float("nan")
