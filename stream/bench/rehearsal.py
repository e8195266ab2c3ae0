"""What the settings of a session are worth: the same recordings, rehearsed with each variant."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from stream.bench.audio_clock import Memory, Rehearsal
from stream.bench.cuts import AtCuts, at_cuts
from stream.bench.speech.pauseless import without_pauses
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.vad import MakeDetector
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
"""No confidence reaches it."""
NOW = SessionTuning()


@dataclass(frozen=True, slots=True)
class Variant:
    """Settings of a session, of the server's side and of the client's."""

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
    "partials of 28 s": Variant(replace(NOW, max_partial_s=28.0)),
    "partials of 15 s": Variant(replace(NOW, max_partial_s=15.0)),
    "partials of 8 s": Variant(replace(NOW, max_partial_s=8.0)),
    "partials of 6 s": Variant(replace(NOW, max_partial_s=6.0)),
    "a partial each half second": Variant(replace(NOW, partial_hop_ms=500)),
    "a partial a second from the start": Variant(replace(NOW, first_hop_ms=NOW.partial_hop_ms)),
    "endpointing of 300 ms": Variant(endpointing_ms=300),
    "endpointing of 800 ms": Variant(endpointing_ms=800),
    "cut at 30 s, never at a pause": Variant(endpointing_ms=10_000),
}
"""Those that ask for the same windows stand together: only the first of them costs time."""

TRAILING_S = 1.0
"""Silence after a recording, more than the endpointing, so that its last utterance ends by it."""

Many = Parameter(consume_multiple=True, negative=())


@dataclass(frozen=True, slots=True)
class VariantRow:
    """What one variant of the settings makes of all recordings."""

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
    """Within `NEAR_S` of one, as the next."""
    insertions_at_cuts: int
    erasure: float
    """Words taken back for each final word."""
    shown_ms: float
    """From the end of a word to its first appearance; this and the others are medians."""
    committed_ms: float
    first_partial_ms: float
    """From the start of speech."""
    cpu_s_per_audio_s: float


def run(
    manifest: Path,
    model: str = "base",
    limit: int | None = None,
    every: int = 1,
    without_pauses_s: float | None = None,
    variants: Annotated[tuple[str, ...], Many] = tuple(VARIANTS),
) -> None:
    """Print the table and one JSON line.

    Parameters
    ----------
    manifest
        Of the recordings.
    model
        Its name.
    limit
        How many recordings; all unless told.
    every
        Take only every so manyth.
    without_pauses_s
        Join the recordings to speeches of about so many seconds, and take every pause out of them.
    variants
        Names of the variants; all unless told.
    """
    if unknown := sorted(set(variants) - set(VARIANTS)):
        raise UsageError(f"There is no variant {unknown[0]!r}; there are: {', '.join(VARIANTS)}.")
    recordings = read_manifest(manifest)[::every][:limit]
    transcriber = WhisperTranscriber(model, device="cpu")
    if without_pauses_s is not None:
        recordings = without_pauses(recordings, without_pauses_s)
    offline = offline_errors(recordings, transcriber)
    print(
        "| variant | WER % | sub/del/ins | cuts | del/ins at cuts | erasure | shown | committed "
        "| first | CPU s/s |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    print(f"| offline | {offline.rate:.2f} | {counts(offline)} | | | | | | | |", flush=True)
    rows = []
    for row in rehearse_all(recordings, Memory(transcriber), choose_detector("silero"), variants):
        rows.append(row)
        print(
            f"| {row.variant} | {row.word_error_rate:.2f} | {counts(row)} | {row.cuts} "
            f"| {row.deletions_at_cuts}/{row.insertions_at_cuts} | {row.erasure:.3f} "
            f"| {row.shown_ms:.0f} | {row.committed_ms:.0f} | {row.first_partial_ms:.0f} "
            f"| {row.cpu_s_per_audio_s:.2f} |",
            flush=True,
        )
    summary = {"offline": round(offline.rate, 2), "rehearsal": [asdict(row) for row in rows]}
    print(json.dumps(summary))


def counts(errors: WordErrors | VariantRow) -> str:
    """Write substitutions, deletions and insertions."""
    return f"{errors.substitutions}/{errors.deletions}/{errors.insertions}"


def offline_errors(recordings: Iterable[Recording], transcriber: OfflineTranscriber) -> WordErrors:
    """Return the errors of the same model, offline and fully padded."""
    errors = WordErrors()
    for recording in recordings:
        errors += word_errors(recording.text or "", offline_text(transcriber, recording.read()))
    return errors


def rehearse_all(
    recordings: Sequence[Recording],
    memory: Memory,
    detector: MakeDetector,
    variants: Iterable[str] = VARIANTS,
) -> Iterator[VariantRow]:
    """Yield a row a variant."""
    for name in variants:
        variant = VARIANTS[name]
        errors, flicker, late = WordErrors(), Stability(), Latencies()
        cuts = AtCuts()
        audio_s = memory.cpu_s = 0.0
        for recording in recordings:
            audio = recording.read()
            silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
            settings = StreamSettings(sample_rate=audio.rate, endpointing_ms=variant.endpointing_ms)
            session = Session(recording.name, settings, variant.tuning, detector)
            samples = np.concatenate([audio.samples, silence])
            shown = Rehearsal(session, memory.hear).play(samples)
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
            cpu_s_per_audio_s=round(memory.cpu_s / audio_s, 3),
        )


def median(values: Sequence[float]) -> float:
    """The median of milliseconds; not a number where there are none."""
    return round(float(np.median(values)), 0) if values else float("nan")
