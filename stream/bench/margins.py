"""How much silence a window needs after its speech: word errors by margin.

Full padding without guards is plain Whisper, the reference. The same recordings are decoded with
the guards at each margin, so the table also shows what the guards are worth at full padding.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.core.endpointing import Endpointer
from stream.core.hypothesis import Window, WindowKind
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.vad import WebRtcVad
from stream.engine.checkpoints import load_checkpoint
from stream.engine.transcriber import FULL_S, OFFLINE, TranscribeOptions, WhisperTranscriber
from stream.engine.whisper import Precision
from stream.errors import UsageError
from stream.evaluate.offline import at_16_khz
from stream.evaluate.recordings import read_manifest
from stream.evaluate.scoring import WordErrors, word_errors

MARGINS_S = (0.0, 1.0, 2.0, 4.0, FULL_S)
MODELS = ("tiny.en", "base")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
BATCH = 8


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording as one window, and what is said in it."""

    window: Window
    text: str


@dataclass(frozen=True, slots=True)
class MarginRow:
    """The word errors of one model at one margin."""

    model: str
    precision: Precision
    margin_s: float
    """Seconds of silence after the recording; 30 is full padding."""
    guards: bool
    word_error_rate: float
    """Percent."""
    substitutions: int
    deletions: int
    insertions: int
    words: int
    compute_s: float
    """Wall time of all recordings, in batches."""


def run(data: Path, models: Sequence[str] = MODELS, limit: int | None = 40) -> None:
    """Print the table and one JSON line for the longest LibriSpeech recordings of `dev.jsonl`.

    Args:
        data: the folder that holds `dev.jsonl`.
        models: names as `load_checkpoint` takes them.
        limit: how many recordings; None for all.
    """
    spoken = read_spoken(data / "dev.jsonl", limit)
    print("| model | precision | margin | guards | WER % | sub | del | ins | words | compute s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for row in measure_margins(spoken, models, PRECISIONS, MARGINS_S):
        rows.append(row)
        margin = "full" if row.margin_s == FULL_S else f"{row.margin_s:g} s"
        print(
            f"| {row.model} | {row.precision} | {margin} | {'on' if row.guards else 'off'} "
            f"| {row.word_error_rate:.2f} | {row.substitutions} | {row.deletions} "
            f"| {row.insertions} | {row.words} | {row.compute_s:.0f} |",
            flush=True,
        )
    print(json.dumps({"margins": [asdict(row) for row in rows]}))


def read_spoken(manifest: Path, limit: int | None) -> list[Spoken]:
    """The longest LibriSpeech recordings of a manifest, the longest first."""
    chosen = [r for r in read_manifest(manifest) if r.source.startswith("librispeech")]
    if not chosen:
        raise UsageError(f"{manifest} has no recordings of LibriSpeech.")
    spoken = [
        Spoken(as_window(i, at_16_khz(r.read())), r.text) for i, r in enumerate(chosen) if r.text
    ]
    return sorted(spoken, key=lambda s: -len(s.window.samples))[:limit]


def as_window(number: int, samples: NDArray[np.float32]) -> Window:
    """A whole recording, (n_samples,), as one final window with the speech that the VAD hears."""
    detector, tuning = WebRtcVad(), SessionTuning()
    ends = Endpointer(
        tuning.pre_roll_ms,
        tuning.onset_ms,
        StreamSettings().endpointing_ms,
        detector.frame_samples,
    )
    for first in range(0, len(samples) - detector.frame_samples + 1, detector.frame_samples):
        ends.feed(detector.is_speech(samples[first : first + detector.frame_samples]))
    speech = tuple(ends.speech_spans(0, len(samples)))
    return Window("margins", number, 0, number, WindowKind.FINAL, 0, samples, speech)


def measure_margins(
    spoken: Sequence[Spoken],
    models: Sequence[str],
    precisions: Sequence[Precision],
    margins_s: Sequence[float],
) -> Iterator[MarginRow]:
    """Yield the reference and a row a margin, for each model and precision."""
    for model in models:
        checkpoint = load_checkpoint(model)
        for precision in precisions:
            transcriber = WhisperTranscriber(model, precision, "cpu", checkpoint=checkpoint)
            transcriber.warm_up()
            for options in (
                OFFLINE,
                *(TranscribeOptions(margin, least_s=0.0) for margin in margins_s),
            ):
                began = time.perf_counter()
                errors = transcribe_all(transcriber, spoken, options)
                yield MarginRow(
                    model=model,
                    precision=precision,
                    margin_s=options.margin_s,
                    guards=options.guards,
                    word_error_rate=round(errors.rate, 2),
                    substitutions=errors.substitutions,
                    deletions=errors.deletions,
                    insertions=errors.insertions,
                    words=errors.words,
                    compute_s=round(time.perf_counter() - began, 1),
                )


def transcribe_all(
    transcriber: WhisperTranscriber, spoken: Sequence[Spoken], options: TranscribeOptions
) -> WordErrors:
    """The word errors of all recordings, transcribed in batches."""
    errors = WordErrors()
    for first in range(0, len(spoken), BATCH):
        batch = spoken[first : first + BATCH]
        heard = transcriber.transcribe([s.window for s in batch], options)
        for said, hypothesis in zip(batch, heard, strict=True):
            text = "".join(word.text for word in hypothesis.words)
            errors += word_errors(said.text, text)
    return errors
