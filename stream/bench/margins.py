"""`bench margins`: measures word errors by margin, the silence encoded after a window's speech.

The reference is plain Whisper: full padding without guards. The same recordings are decoded with
the guards at each margin, full padding among them, so the table also shows the effect of the
guards.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stream.core.windows import Window
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.network.whisper import Precision
from stream.engine.whisper_transcriber import FULL_S, OFFLINE, TranscribeOptions, WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.recordings import at_16_khz, read_manifest
from stream.evaluate.material.windows import as_window
from stream.evaluate.measures.scoring import WordErrors, word_errors

MARGINS_S = (0.0, 1.0, 2.0, 4.0, FULL_S)
MODELS = ("tiny.en", "base")
PRECISIONS: tuple[Precision, ...] = ("float32", "int8")
BATCH = 8


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording as one window, and its reference text."""

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
    """Elapsed time for all recordings, in batches."""


def run(data: Path, models: Sequence[str] = MODELS, limit: int | None = 40) -> None:
    """Print the table and one JSON line for the longest LibriSpeech recordings of `dev.jsonl`.

    Parameters
    ----------
    data
        Folder with `dev.jsonl`.
    models
        Names of models, as for `serve`.
    limit
        Number of recordings, the longest first; `none` for all.
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
    """Return the longest LibriSpeech recordings of a manifest, the longest first.

    Raises:
        UsageError: the manifest has none.
    """
    chosen = [r for r in read_manifest(manifest) if r.source.startswith("librispeech")]
    if not chosen:
        raise UsageError(f"{manifest} has no recordings of LibriSpeech.")
    spoken = [
        Spoken(as_window(i, at_16_khz(r.read())), r.text) for i, r in enumerate(chosen) if r.text
    ]
    return sorted(spoken, key=lambda s: -len(s.window.samples))[:limit]


def measure_margins(
    spoken: Sequence[Spoken],
    models: Sequence[str],
    precisions: Sequence[Precision],
    margins_s: Sequence[float],
) -> Iterator[MarginRow]:
    """Yield a row for the reference and for each margin, for each model and precision."""
    for model in models:
        checkpoint = load_checkpoint(model)
        for precision in precisions:
            transcriber = WhisperTranscriber(checkpoint, precision, "cpu")
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
    """Transcribe all recordings in batches, and return their word errors."""
    errors = WordErrors()
    for first in range(0, len(spoken), BATCH):
        batch = spoken[first : first + BATCH]
        hypotheses = transcriber.transcribe([s.window for s in batch], options)
        for one, hypothesis in zip(batch, hypotheses, strict=True):
            text = "".join(word.text for word in hypothesis.words)
            errors += word_errors(one.text, text)
    return errors
