"""Recordings in Python: `from stream import transcribe`.

    result = transcribe("talk.mp3", model="base")
    print(result.text)
    for segment in result.segments:
        print(segment.start_s, segment.text)

A model that is to be used more than once is loaded once; segments come as soon as they are certain:

    model = Model("base")
    for segment in model.segments("lecture.mp4", language="en"):
        print(segment.text)
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.languages import language_code
from stream.core.resample import Resampler
from stream.engine.engine import Transcriber
from stream.engine.registry import load_transcriber
from stream.engine.voice_detectors import choose_detector
from stream.errors import UsageError
from stream.media.recording import Block, open_recording
from stream.recordings.options import FileOptions, LongForm
from stream.recordings.results import Segment, TimedWord, Transcription, main_language
from stream.recordings.transcribing import Transcribing

__all__ = ["Model", "Segment", "TimedWord", "Transcription", "transcribe"]

Source = str | Path | BinaryIO | NDArray[Any]
"""A path, an open binary file, or samples: (n_samples,) or (n_channels, n_samples), integers of 16
bits or floats in -1..1."""

Channels = Literal["mix", "split"]
"""All channels as one, or each by itself: a telephone call with one speaker on either."""

BATCH_SIZE = 6
"""Windows that the model hears at once, on each core of a CPU. Eight take more memory and 3 %
less CPU time than six, and no less by the clock (docs/decisions/014)."""

LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000
"""Hertz that samples in memory may have; a file may have any."""


class Options(TypedDict, total=False):
    """How to transcribe; `FileOptions` says what each means and what it is by default."""

    language: str
    task: str
    prompt: str
    keyterms: tuple[str, ...]
    long_form: LongForm
    chunk_length_s: float | None
    stride_s: float | None


class Model:
    """A model, loaded once, that transcribes any number of recordings, one after the other."""

    def __init__(
        self,
        name: str = "base",
        *,
        assistant: str | None = None,
        precision: Literal["auto", "int8", "float32", "float16", "bfloat16"] = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        batch_size: int = BATCH_SIZE,
    ) -> None:
        """Load a model.

        Args:
            name: or folder, or hub id; `distil-stream models` lists them.
            assistant: a smaller model of the same tokens that drafts what this one verifies.
            precision: of the weights; auto takes int8 on the CPU and float16 on CUDA.
            device: where it runs; auto takes CUDA where there is one.
            batch_size: windows that it hears at once, on each core of a CPU.

        Raises:
            UsageError: there is no such model, or the two do not go together.
        """
        if not 1 <= batch_size <= 256:
            raise UsageError(f"batch_size is {batch_size}; use 1 to 256.")
        self.transcriber: Transcriber = load_transcriber(name, precision, device, assistant)
        self.detector = choose_detector("silero")
        self.batch_size = batch_size

    def segments(
        self,
        source: Source,
        *,
        channels: Channels = "mix",
        sample_rate: int = SAMPLE_RATE,
        **options: Unpack[Options],
    ) -> "Run":
        """Return what yields the segments of a recording, as soon as each is certain.

        Args:
            source: where the sound is.
            channels: mixed, or each by itself.
            sample_rate: of samples in memory, in hertz.
            **options: see `FileOptions`.

        Raises:
            UsageError: an option is out of its range; while iterating: there is no sound.
        """
        known = self.transcriber.languages
        if "language" in options:
            options["language"] = language_code(options["language"], known)
        chosen = FileOptions(**options)
        if chosen.language not in ("auto", *known):
            raise UsageError(
                f"{self.transcriber.name} does not know the language {chosen.language!r}; it "
                f"knows {', '.join(known)}."
            )
        if chosen.task == "translate" and len(known) == 1:
            raise UsageError(f"{self.transcriber.name} is English-only: it cannot translate.")
        return Run(self, source, channels, sample_rate, chosen)

    def transcribe(
        self,
        source: Source,
        *,
        channels: Channels = "mix",
        sample_rate: int = SAMPLE_RATE,
        **options: Unpack[Options],
    ) -> Transcription:
        """Return the whole of a recording; arguments and errors are those of `segments`."""
        run = self.segments(source, channels=channels, sample_rate=sample_rate, **options)
        return run.transcription(list(run))


def transcribe(
    source: Source,
    model: str | Model = "base",
    *,
    assistant: str | None = None,
    batch_size: int = BATCH_SIZE,
    channels: Channels = "mix",
    sample_rate: int = SAMPLE_RATE,
    **options: Unpack[Options],
) -> Transcription:
    """Transcribe one recording; see `Model` for what there is to choose, and for more than one."""
    if isinstance(model, str):
        model = Model(model, assistant=assistant, batch_size=batch_size)
    return model.transcribe(source, channels=channels, sample_rate=sample_rate, **options)


class Run:
    """One recording on its way through a model: iterate over it for its segments, once."""

    def __init__(
        self,
        model: Model,
        source: Source,
        channels: Channels,
        sample_rate: int,
        options: FileOptions,
    ) -> None:
        self.duration_s: float | None = None
        """Seconds, as the file says, once it is open; None where it does not."""
        self.channels = 1
        """How many are transcribed apart, once it is open."""
        self.problems: list[str] = []
        """What was damaged or could not be transcribed, a sentence each."""
        self._model = model
        self._source = source
        self._split = channels == "split"
        self._sample_rate = sample_rate
        self._options = options
        self._transcribing: Transcribing | None = None

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments, those of each channel in order."""
        with opened(self._source, self._sample_rate, self._split) as sound:
            self.duration_s = sound.duration_s
            self.channels = sound.channels
            self._transcribing = Transcribing(
                sound.blocks,
                sound.channels,
                self._model.transcriber,
                self._model.detector,
                self._options,
                self._model.batch_size,
            )
            yield from self._transcribing
            self.problems = [*self._transcribing.problems, *sound.problems()]

    @property
    def heard_s(self) -> float:
        """Seconds that are done with, or nearly."""
        return self._transcribing.heard_s if self._transcribing else 0.0

    def transcription(self, segments: Iterable[Segment]) -> Transcription:
        """Make these segments, which it has yielded, one result."""
        in_order = tuple(sorted(segments, key=lambda segment: segment.start_s))
        return Transcription(
            segments=in_order,
            language=main_language(in_order, self._options.language),
            duration_s=self.heard_s,
            channels=self.channels,
            problems=tuple(self.problems),
        )


@dataclass(frozen=True, slots=True)
class Sound:
    """Blocks of samples, and what is known of them."""

    blocks: Iterator[Block]
    channels: int
    duration_s: float | None
    problems: Any
    """Called in the end: a sentence for whatever was wrong."""


@contextmanager
def opened(source: Source, sample_rate: int, split: bool) -> Iterator[Sound]:
    """Open any source."""
    if isinstance(source, np.ndarray):
        samples = as_floats(source)
        channels = len(samples) if split else 1
        mixed = samples if split else samples.mean(axis=0, keepdims=True)
        duration_s = samples.shape[1] / sample_rate
        yield Sound(at_16_khz(mixed, sample_rate), channels, duration_s, list)
        return
    with open_recording(source) as recording:
        yield Sound(
            recording.blocks(split),
            recording.channels if split else 1,
            recording.duration_s,
            lambda: [recording.damage] if recording.damage else [],
        )


def as_floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Return (n_samples,) or (n_channels, n_samples) as floats of two dimensions.

    Raises:
        UsageError: it is no sound.
    """
    if samples.dtype == np.int16:
        samples = samples.astype(np.float32) / np.float32(32_768)
    if not np.issubdtype(samples.dtype, np.floating):
        raise UsageError(f"Samples of {samples.dtype}; use int16, or floats in -1..1.")
    shaped = np.atleast_2d(samples).astype(np.float32)
    if shaped.ndim != 2 or not 1 <= len(shaped) <= 8 or not shaped.size:
        raise UsageError(
            f"Samples of shape {samples.shape}; use (n_samples,) or (n_channels, n_samples), with "
            "up to 8 channels."
        )
    return shaped


def at_16_khz(samples: NDArray[np.float32], sample_rate: int) -> Iterator[Block]:
    """Yield (n_channels, n_samples) in blocks, at the rate of the model."""
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UsageError(
            f"sample_rate is {sample_rate}; use {LOWEST_RATE} to {HIGHEST_RATE} hertz."
        )
    resamplers = [Resampler(sample_rate) for _ in samples]
    for start in range(0, samples.shape[1], sample_rate):
        piece = samples[:, start : start + sample_rate]
        yield np.stack([r.feed(lane) for r, lane in zip(resamplers, piece, strict=True)])
    yield np.stack([r.flush() for r in resamplers])
