"""The Python interface for recordings: `from stream import transcribe`.

    result = transcribe("talk.mp3", model="base")
    print(result.text)
    for segment in result.segments:
        print(segment.start_s, segment.text)

Load a model once to use it several times; segments are yielded as soon as they are complete:

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

from stream.core.audio import SAMPLE_RATE, Sound
from stream.core.languages import language_code
from stream.core.mixdown import mixed
from stream.core.resample import Resampler
from stream.engine.model_families import load_transcriber
from stream.engine.transcriber import Transcriber
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
"""Mix all channels to one, or transcribe each separately, as for a call with two parties."""

BATCH_SIZE = 6
"""Number of windows in a batch, on each core of a CPU. Eight take more memory and 3 % less CPU time
than six, but the elapsed time is the same (docs/decisions/014)."""

LOWEST_RATE, HIGHEST_RATE = 8_000, 48_000
"""Range of the sample rate of an array, in hertz; a file can have any."""


class Options(TypedDict, total=False):
    """Options of a transcription; `FileOptions` documents them and their defaults."""

    language: str
    task: str
    prompt: str
    keyterms: tuple[str, ...]
    long_form: LongForm
    chunk_length_s: float | None
    stride_s: float | None


class Model:
    """A loaded model, which can transcribe any number of recordings, one after the other."""

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
            name: name, folder or hub id; `distil-stream models` lists the names.
            assistant: smaller model with the same tokens, whose drafts the model verifies.
            precision: precision of the weights; auto selects int8 on the CPU and float16 on CUDA.
            device: device on which the model runs; auto selects CUDA if there is a GPU.
            batch_size: number of windows in a batch, on each core of a CPU.

        Raises:
            UsageError: there is no such model, or the assistant does not fit the model.
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
        """Return an iterable of the segments of a recording, each as soon as it is complete.

        Args:
            source: path, open binary file or array of samples.
            channels: `mix` or `split`.
            sample_rate: sample rate of an array, in hertz; ignored for files.
            **options: see `FileOptions`.

        Raises:
            UsageError: an option is out of its range. While iterating: the source has no audio
                that can be decoded.
        """
        known = self.transcriber.languages
        if "language" in options:
            options["language"] = language_code(options["language"], known)
        chosen = FileOptions(**options)
        if chosen.language not in ("auto", *known):
            raise UsageError(
                f"{self.transcriber.name} does not support the language {chosen.language!r}; it "
                f"supports {', '.join(known)}."
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
        """Transcribe a whole recording; arguments and errors are those of `segments`."""
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
    """Load a model and transcribe one recording; `Model` documents the arguments.

    To transcribe several recordings, create a `Model` and pass it as `model`.
    """
    if isinstance(model, str):
        model = Model(model, assistant=assistant, batch_size=batch_size)
    return model.transcribe(source, channels=channels, sample_rate=sample_rate, **options)


class Run:
    """The transcription of one recording in progress: iterate over it once for its segments."""

    def __init__(
        self,
        model: Model,
        source: Source,
        channels: Channels,
        sample_rate: int,
        options: FileOptions,
    ) -> None:
        self.duration_s: float | None = None
        """Seconds that the file announces; None before it is opened, or if it announces none."""
        self.channels = 1
        """Number of channels that are transcribed separately; set when the source is opened."""
        self.problems: list[str] = []
        """One sentence for each part that was damaged or failed; complete after the iteration."""
        self._model = model
        self._source = source
        self._split = channels == "split"
        self._sample_rate = sample_rate
        self._options = options
        self._transcribing: Transcribing | None = None

    def __iter__(self) -> Iterator[Segment]:
        """Yield the segments; those of each channel are in order of time."""
        with opened(self._source, self._sample_rate, self._split) as sound:
            self.duration_s = sound.duration_s
            self.channels = sound.channels
            self._transcribing = Transcribing(
                sound.sounds,
                sound.channels,
                self._model.transcriber,
                self._model.detector,
                self._options,
                self._model.batch_size,
            )
            yield from self._transcribing
            self.problems = [*self._transcribing.problems, *sound.problems()]

    @property
    def processed_s(self) -> float:
        """Seconds of audio that were read; the last windows of it may not be transcribed yet."""
        return self._transcribing.processed_s if self._transcribing else 0.0

    def transcription(self, segments: Iterable[Segment]) -> Transcription:
        """Return the segments, which this object has yielded, as one result."""
        in_order = tuple(sorted(segments, key=lambda segment: segment.start_s))
        return Transcription(
            segments=in_order,
            language=main_language(in_order, self._options.language),
            duration_s=self.processed_s,
            channels=self.channels,
            problems=tuple(self.problems),
        )


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """An open source: its samples with the gaps between them, and its properties."""

    sounds: Iterator[Sound]
    channels: int
    duration_s: float | None
    problems: Any
    """A function that is called after the last block, and returns one sentence for each part that
    was damaged."""


@contextmanager
def opened(source: Source, sample_rate: int, split: bool) -> Iterator[OpenedSource]:
    """Open a file or an array of samples; mixes the channels unless `split`."""
    if isinstance(source, np.ndarray):
        samples = as_floats(source)
        channels = len(samples) if split else 1
        duration_s = samples.shape[1] / sample_rate
        taken = samples if split else mixed(samples)
        yield OpenedSource(at_16_khz(taken, sample_rate), channels, duration_s, list)
        return
    with open_recording(source) as recording:
        yield OpenedSource(
            recording.blocks(split),
            recording.channels if split else 1,
            recording.duration_s,
            lambda: [recording.damage] if recording.damage else [],
        )


def as_floats(samples: NDArray[Any]) -> NDArray[np.float32]:
    """Convert (n_samples,) or (n_channels, n_samples) to float32 (n_channels, n_samples).

    Raises:
        UsageError: the type or the shape is not supported.
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
    """Resample (n_channels, n_samples) to 16 kHz; yields blocks of a second."""
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        raise UsageError(
            f"sample_rate is {sample_rate}; use {LOWEST_RATE} to {HIGHEST_RATE} hertz."
        )
    resamplers = [Resampler(sample_rate) for _ in samples]
    for start in range(0, samples.shape[1], sample_rate):
        piece = samples[:, start : start + sample_rate]
        yield np.stack([r.feed(channel) for r, channel in zip(resamplers, piece, strict=True)])
    yield np.stack([r.flush() for r in resamplers])
