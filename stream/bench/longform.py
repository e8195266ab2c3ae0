"""`bench longform`: measures speed and word errors on long recordings, next to other systems.

All systems have the same weights. They take turns on each recording, and the order rotates from one
recording to the next, so that other load on the machine slows all of them alike; ratios are those
of the summed times. Only the audio is read beforehand: cutting, voice detection and joining are
timed.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray
from rich.console import Console

from stream.bench.longform_report import LongRow, as_table
from stream.bench.rivals import long_contenders as contenders
from stream.bench.rivals.long_contenders import LongContender
from stream.core.audio import SAMPLE_RATE
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.cores import usable_cores
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.material.recordings import Recording, at_16_khz, read_manifest, shipped_speech
from stream.evaluate.measures.scoring import WordErrors, word_errors
from stream.recordings.api import BATCH_SIZE
from stream.recordings.options import FileOptions

GAP_S = 0.3
"""Seconds between the cuts of a chapter, like the pauses in reading aloud."""
WARM_UP_S = 30.0
TRIAL_S = 60.0

Many = Parameter(consume_multiple=True, negative=())


@dataclass(slots=True)
class Totals:
    """The time that a system has used so far, and its word errors."""

    audio_s: float = 0.0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """CPU seconds of all threads."""
    errors: WordErrors = field(default_factory=WordErrors)

    def add(
        self, transcribe: contenders.Transcribe, samples: NDArray[np.float32], reference: str
    ) -> None:
        """Time the transcription of samples (n_samples,) at 16 kHz, and count its word errors."""
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        text = transcribe(samples)
        self.wall_s += time.perf_counter() - wall_s
        self.cpu_s += time.process_time() - cpu_s
        self.audio_s += len(samples) / SAMPLE_RATE
        self.errors += word_errors(reference, text)


def run(
    data: Path | None = None,
    model: str = "base",
    assistant: str | None = None,
    minutes: float = 60.0,
    batch_size: int = BATCH_SIZE,
    chunk_lengths: Annotated[tuple[float, ...], Many] = (),
    batch_sizes: Annotated[tuple[int, ...], Many] = (),
    transformers_batches: Annotated[tuple[int, ...], Many] = (1, 8),
    device: Literal["cpu", "cuda"] = "cpu",
    others: bool = True,
    transformers: bool = True,
) -> int:
    """Print a table and one JSON line: word errors, time and CPU time of an hour of speech.

    Parameters
    ----------
    data
        Folder with `long.jsonl`, or a manifest. Without it, the 44 seconds of speech that the tests
        use.
    model
        Name of the model.
    assistant
        Name of a smaller model that drafts for the model; the pair is timed as well.
    minutes
        Minutes of speech to use: whole recordings, in the order of the manifest.
    batch_size
        Windows that our engine and faster-whisper transcribe at once.
    chunk_lengths
        Other lengths of our chunks to time as well, in seconds.
    batch_sizes
        Other sizes of our batches to time as well.
    transformers_batches
        Sizes of transformers' batches; the one that is fastest on the first minute is used.
    device
        Device of our engine and of transformers; faster-whisper uses CUDA if it is available.
    others
        Time faster-whisper and transformers, too.
    transformers
        Include transformers, which is much slower than the others.
    """
    recordings = chosen(recordings_of(data), minutes)
    systems = our_systems(model, device, assistant, batch_size, chunk_lengths, batch_sizes)
    console = Console(width=150, highlight=False)
    if others:
        systems.append(contenders.faster_whisper_batched(model, batch_size))
    if others and transformers:
        candidates = contenders.transformers_chunked(model, device, transformers_batches)
        systems.append(fastest(candidates, recordings[0].samples))
    for system in systems:  # a warm-up, which is not timed
        system.transcribe(recordings[0].samples[: round(WARM_UP_S * SAMPLE_RATE)])
    rows = rows_of(systems, measured(systems, recordings))
    seconds = sum(len(spoken.samples) for spoken in recordings) / SAMPLE_RATE
    console.print(as_table(f"{len(recordings)} recordings, {seconds / 60:.1f} minutes", rows))
    summary = {
        "command": "bench longform",
        "model": model,
        "device": device,
        "cores": usable_cores(),
        "recordings": len(recordings),
        "seconds": round(seconds, 1),
        "words": sum(len(spoken.text.split()) for spoken in recordings),
        "rows": [asdict(row) for row in rows],
    }
    print(json.dumps(summary))
    return 0


@dataclass(frozen=True, slots=True, eq=False)
class ReadRecording:
    """The samples and the reference text of a recording."""

    samples: NDArray[np.float32]
    """(n_samples,) at 16 kHz."""
    text: str


def recordings_of(data: Path | None) -> list[Recording]:
    """Return the recordings that have a reference text."""
    if data is None:
        return [shipped_speech()]
    manifest = data / "long.jsonl" if data.is_dir() else data
    return [one for one in read_manifest(manifest, GAP_S) if one.text]


def chosen(recordings: Sequence[Recording], minutes: float) -> list[ReadRecording]:
    """Read whole recordings in order until they last `minutes` together; at least one."""
    spoken: list[ReadRecording] = []
    seconds = 0.0
    for one in recordings:
        if seconds >= 60 * minutes:
            break
        spoken.append(ReadRecording(at_16_khz(one.read()), one.text or ""))
        seconds += len(spoken[-1].samples) / SAMPLE_RATE
    return spoken


def our_systems(
    model: str,
    device: str,
    assistant: str | None,
    batch_size: int,
    chunk_lengths: Sequence[float],
    batch_sizes: Sequence[int],
) -> list[LongContender]:
    """Return our engine with its default settings, and variants with one setting changed each.

    The variants are the sequential algorithm, each of the chunk lengths (in seconds), each of the
    batch sizes, and the assistant, if there is one.
    """
    checkpoint = load_checkpoint(model)
    alone = WhisperTranscriber(checkpoint, device=device)
    plain = FileOptions(language="en")
    sequential = FileOptions(language="en", long_form="sequential")
    systems = [
        contenders.ours(alone, plain, batch_size, "ours, chunked"),
        contenders.ours(alone, sequential, 1, "ours, sequential"),
    ]
    for length_s in chunk_lengths:
        options = FileOptions(language="en", chunk_length_s=length_s)
        name = f"ours, chunks of {length_s:g} s"
        systems.append(contenders.ours(alone, options, batch_size, name))
    systems += [contenders.ours(alone, plain, size, "ours, chunked") for size in batch_sizes]
    if assistant:
        assisted = WhisperTranscriber(checkpoint, device=device, assistant=assistant)
        systems.append(contenders.ours(assisted, plain, batch_size, "ours, assisted"))
    return systems


def fastest(
    candidates: Sequence[LongContender],
    samples: NDArray[np.float32],
    clock: Callable[[], float] = time.perf_counter,
) -> LongContender:
    """Return the contender that transcribes the first minute fastest, each after a warm-up.

    Args:
        candidates: the contenders.
        samples: (n_samples,) at 16 kHz.
        clock: returns seconds.
    """
    if len(candidates) == 1:
        return candidates[0]

    def duration_s(one: LongContender) -> float:
        one.transcribe(samples[: round(WARM_UP_S * SAMPLE_RATE)])
        began = clock()
        one.transcribe(samples[: round(TRIAL_S * SAMPLE_RATE)])
        return clock() - began

    return min(candidates, key=duration_s)


def measured(systems: Sequence[LongContender], recordings: Sequence[ReadRecording]) -> list[Totals]:
    """Let all systems transcribe each recording in turns; return the totals of each system."""
    totals = [Totals() for _ in systems]
    for number, spoken in enumerate(recordings):
        for i in in_turns(len(systems), number):
            totals[i].add(systems[i].transcribe, spoken.samples, spoken.text)
        minutes = totals[0].audio_s / 60
        print(f"{minutes:.1f} minutes of speech are done", file=sys.stderr)
    return totals


def in_turns(count: int, number: int) -> Iterator[int]:
    """Yield the numbers below `count`, rotated by `number`."""
    return ((number + i) % count for i in range(count))


def rows_of(systems: Sequence[LongContender], totals: Sequence[Totals]) -> list[LongRow]:
    """Return the row of each system, with ratios to faster-whisper and transformers."""

    def totals_of(name: str) -> Totals | None:
        named = zip(systems, totals, strict=True)
        return next((own for one, own in named if one.system.startswith(name)), None)

    baselines = totals_of("faster-whisper"), totals_of("transformers")
    rows = []
    for system, own in zip(systems, totals, strict=True):
        ratios = [
            ratio
            for theirs in baselines
            for ratio in (
                (round(theirs.wall_s / own.wall_s, 2), round(theirs.cpu_s / own.cpu_s, 2))
                if theirs
                else (None, None)
            )
        ]
        errors, per_hour = own.errors, 3600 / own.audio_s
        rows.append(
            LongRow(
                system.system,
                system.precision,
                system.batch,
                round(errors.rate, 2),
                errors.substitutions,
                errors.deletions,
                errors.insertions,
                round(own.cpu_s * per_hour, 1),
                round(own.wall_s * per_hour, 1),
                *ratios,
            )
        )
    return rows
