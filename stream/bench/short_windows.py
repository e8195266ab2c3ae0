"""`bench short-windows`: counts the faults of short windows by the length that is encoded.

The first partials of an utterance are a second or two long and end in the middle of a word; the
model repeats itself more often in them than in other windows.
"""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from stream.bench.margins import BATCH, MODELS, read_spoken
from stream.core.windows import Window
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.cores import usable_cores
from stream.engine.recognizer import Recognizer, Stopwatch
from stream.engine.words.coverage import AudioSpan
from stream.evaluate.material.windows import beginning

PREFIXES_S = (1.5, 3.0)
LEASTS_S = (3.5, 5.0, 6.5, 8.0, 10.0, 15.0)


@dataclass(frozen=True, slots=True)
class ShortRow:
    """The faults that the guards find in windows of one length, encoded at one length."""

    model: str
    prefix_s: float
    """Seconds of audio in each window."""
    encoded_s: float
    """Seconds that are encoded, with the silence after the audio."""
    windows: int
    unsure: int
    """Windows whose only fault is a low mean log-probability."""
    repeating: int
    """Windows with any other fault."""
    words: int
    encode_ms: float
    """Milliseconds to encode a window, in batches."""


def run(data: Path, models: Sequence[str] = MODELS, limit: int | None = 45) -> None:
    """Print the table and one JSON line, for the beginnings of LibriSpeech recordings.

    Parameters
    ----------
    data
        Folder with `dev.jsonl`.
    models
        Names of models, as for `serve`.
    limit
        Number of recordings, the longest first; `none` for all.
    """
    windows = [spoken.window for spoken in read_spoken(data / "dev.jsonl", limit)]
    print("| model | audio s | encoded s | windows | unsure | repeating | words | encode ms |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for row in measure_short(windows, models):
        rows.append(row)
        print(
            f"| {row.model} | {row.prefix_s} | {row.encoded_s} | {row.windows} | {row.unsure} "
            f"| {row.repeating} | {row.words} | {row.encode_ms} |",
            flush=True,
        )
    print(json.dumps({"short_windows": [asdict(row) for row in rows]}))


def measure_short(windows: Sequence[Window], models: Sequence[str]) -> Iterator[ShortRow]:
    """Yield a row for each model, length of audio and encoded length."""
    torch.set_num_threads(usable_cores())
    for model in models:
        recognizer = Recognizer(load_checkpoint(model), "cpu", "int8")
        for prefix_s in PREFIXES_S:
            cut = [beginning(window, prefix_s) for window in windows]
            begun = [AudioSpan(window, 0, ()) for window in cut if window.speech]
            for encoded_s in LEASTS_S:
                if encoded_s > prefix_s:
                    yield measure_row(recognizer, model, begun, prefix_s, encoded_s)


def measure_row(
    recognizer: Recognizer,
    model: str,
    stretches: Sequence[AudioSpan],
    prefix_s: float,
    encoded_s: float,
) -> ShortRow:
    """Decode all windows at one encoded length, and count the faults that the guards find."""
    watch, counts = Stopwatch(), Counter[str]()
    for first in range(0, len(stretches), BATCH):
        batch = stretches[first : first + BATCH]
        encoded = recognizer.encode(batch, 0.0, encoded_s, watch)
        for result in recognizer.decode(batch, encoded, watch):
            names = {fault.name for fault in result.faults}
            counts["unsure"] += names == {"UNSURE"}
            counts["repeating"] += bool(names - {"UNSURE"})
            counts["words"] += len(result.words)
    return ShortRow(
        model=model,
        prefix_s=prefix_s,
        encoded_s=encoded_s,
        windows=len(stretches),
        unsure=counts["unsure"],
        repeating=counts["repeating"],
        words=counts["words"],
        encode_ms=round(watch.encode_ms / len(stretches), 1),
    )
