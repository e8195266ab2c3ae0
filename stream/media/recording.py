"""Recordings of any format that FFmpeg reads, as samples at 16 kHz, a piece at a time.

The sound track of a video counts as well. Of a file only what is being decoded is in memory. What
is damaged is left out, and said in `Recording.damage`.

A recording may come from a stranger, and some formats name other files and addresses to be read in
their place: FFmpeg is allowed none.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.errors import UsageError

NOTHING_ELSE = {"protocol_whitelist": "none"}
"""Keeps a playlist from opening what it names."""

MISSING_S = 1.0
"""So much less than the file promises is worth a word; headers round."""

LENGTH_ESTIMATED = frozenset({"mp3", "aac"})
"""Formats whose files do not say how long they are: FFmpeg divides their size by a bit rate."""

RIFF_UNKNOWN = 0x7FFF_0000
"""So large a size in a WAV file's head was written before the size was known."""

MAX_CHANNELS = 8
"""FFmpeg's resampler, as PyAV drives it, brings the process down with some layouts of more."""
MIN_RATE = 1000
"""Hz: of slower sound a few bytes would be hours."""
MAX_BAD_PACKETS = 1000
"""Then what follows is no sound either."""

MAX_DELAY_S = 600.0
"""A sound track may begin later than its video; what says more than this is a broken clock."""

Block = NDArray[np.float32]
"""(n_channels, n_samples) at 16 kHz, in -1..1."""


class MediaError(UsageError):
    """A file that holds no sound that could be read; the message says why."""


class Recording:
    """An open recording; `blocks` reads it, once."""

    def __init__(
        self, container: InputContainer, stream: AudioStream, name: str, there: float = 1.0
    ) -> None:
        """Read this stream of a container, of which so large a part is there as far as is known."""
        self.name = name
        self.channels: int = stream.channels
        self.sample_rate: int = stream.rate
        """Of the file, in hertz."""
        announced_s = duration_s(container, stream)
        self.duration_s = None if announced_s is None else announced_s / there
        """What the file says of itself; None where it says nothing."""
        self.damage = ""
        """What could not be read, as a sentence, once the blocks have been."""
        self._container = container
        self._stream = stream
        self._delay_s = 0.0
        """How much later than everything else in the file its sound begins."""
        self._decoded_s = 0.0
        self._bad_packets = 0

    def blocks(self, split: bool = False) -> Iterator[Block]:
        """Yield the sound as it is decoded: its channels mixed to one, or each by itself.

        Raises:
            MediaError: nothing could be decoded.
        """
        # Channels interleaved: of eight planes PyAV looks for a ninth, and the process is gone.
        for number, frame in enumerate(self.frames("flt", SAMPLE_RATE)):
            block = np.asarray(frame.to_ndarray(), np.float32).reshape(-1, self.channels).T
            if not number:
                block = np.concatenate([silence(self.channels, self._delay_s), block], axis=1)
            self._decoded_s += block.shape[1] / SAMPLE_RATE
            if block.shape[1]:
                # FFmpeg's own mix of floats may be louder than full scale.
                yield block if split else block.mean(axis=0, keepdims=True)
        if not self._decoded_s:
            raise MediaError(f"{self.name} holds no sound: it is empty or damaged.")
        self.damage = self._account()

    def frames(self, sample_format: str, rate: int) -> Iterator[AudioFrame]:
        """Yield the sound as frames of this format, all channels.

        Raises:
            MediaError: there is sound that cannot be converted.
        """
        resampler, shape = None, None
        for frame in self._decoded():
            if frame.layout.nb_channels > MAX_CHANNELS or frame.sample_rate < MIN_RATE:
                raise MediaError(
                    f"{self.name} has {frame.layout.nb_channels} channels at {frame.sample_rate} "
                    f"Hz; use 1 to {MAX_CHANNELS} at {MIN_RATE} Hz or more."
                )
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if resampler is None:
                self._delay_s = self._delay_of(frame)
            if now != shape:  # also in the middle: then it begins anew
                yield from () if resampler is None else resampler.resample(None)
                own = frame.layout.nb_channels == self.channels
                layout = frame.layout if own else layout_of(self.channels)
                resampler, shape = AudioResampler(sample_format, layout, rate), now
            assert resampler
            try:
                yield from resampler.resample(frame)
            except av.error.FFmpegError as error:
                raise MediaError(f"{self.name} has sound that FFmpeg cannot convert.") from error
        yield from () if resampler is None else resampler.resample(None)

    def _decoded(self) -> Iterator[AudioFrame]:
        """Decode what can be decoded."""
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                self._bad_packets += 1
                if self._bad_packets > MAX_BAD_PACKETS:
                    return
                continue
            for frame in frames:
                assert isinstance(frame, AudioFrame)
                yield frame

    def _delay_of(self, frame: AudioFrame) -> float:
        """How much later than everything else in the file its first frame is."""
        if frame.time is None or self._container.start_time is None:
            return 0.0
        delay = frame.time - self._container.start_time / av.time_base
        return float(delay) if 0.0 < delay < MAX_DELAY_S else 0.0

    def _account(self) -> str:
        announced_s = 0.0
        if self._container.format.name not in LENGTH_ESTIMATED:
            announced_s = self.duration_s or 0.0
        missing = announced_s - self._decoded_s
        if missing > max(MISSING_S, 0.02 * self._decoded_s):
            return (
                f"{self.name} is incomplete: it ends after {self._decoded_s:.1f} s of the "
                f"{announced_s:.1f} s that it announces."
            )
        if self._bad_packets:
            return f"{self.name} is damaged: {self._bad_packets} pieces of it were left out."
        return ""


@contextmanager
def open_recording(source: str | Path | BinaryIO, name: str = "") -> Iterator[Recording]:
    """Open a file, or an open binary file; `name` stands for it in messages.

    Raises:
        MediaError: it holds no sound that FFmpeg reads.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "The file")
    with opened(source, name) as file:
        if not file.read(1):
            raise MediaError(f"{name} is empty.")
        there = part_of_riff(file)
        file.seek(0)
        try:
            container = av.open(file, "r", options=NOTHING_ELSE, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{name} is not a sound or video file that FFmpeg can read, or is cut off at its "
                "beginning."
            ) from error
        with container:
            yield Recording(container, sound_track(container, name), name, there)


def opened(source: str | Path | BinaryIO, name: str) -> AbstractContextManager[BinaryIO]:
    """Open a path for reading; what cannot go back, as a pipe, is read into memory."""
    if not isinstance(source, str | Path):
        return source if source.seekable() else io.BytesIO(source.read())
    path = Path(source)
    try:
        if path.is_file():
            return path.open("rb")
        with path.open("rb") as pipe:
            return io.BytesIO(pipe.read())
    except OSError as error:
        raise MediaError(f"{name} cannot be opened: {error.strerror}.") from error


def sound_track(container: InputContainer, name: str) -> AudioStream:
    """Return what is to be read of a container.

    Raises:
        MediaError: it has no sound, or none that can be decoded here.
    """
    if not container.streams.audio:
        raise MediaError(f"{name} has no sound track.")
    for stream in container.streams.audio:
        if stream.codec_context is not None and 0 < stream.channels <= MAX_CHANNELS:
            return stream
    if container.streams.audio[0].codec_context is None:
        raise MediaError(f"{name} has sound of a kind that FFmpeg cannot decode.")
    channels = container.streams.audio[0].channels
    raise MediaError(f"{name} has {channels} channels; use 1 to {MAX_CHANNELS}.")


def part_of_riff(file: BinaryIO) -> float:
    """Return which part of what a WAV file announces is there; of other files, all of it.

    FFmpeg takes the length of a WAV file from its size, and does not see that it was cut off.
    """
    file.seek(0)
    head = file.read(8)
    announced = 8 + int.from_bytes(head[4:], "little")
    size = file.seek(0, io.SEEK_END)
    told = head.startswith(b"RIFF") and announced < RIFF_UNKNOWN
    return size / announced if told and size < announced else 1.0


def duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Seconds of sound that the file announces."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.streams.video:
        return None  # the container's is that of the longest track
    return None if container.duration is None else container.duration / av.time_base


def layout_of(channels: int) -> str:
    """FFmpeg's name of a layout with so many channels."""
    return ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")[channels - 1]


def silence(channels: int, seconds: float) -> Block:
    """Return (channels, n_samples) of it."""
    return np.zeros((channels, round(seconds * SAMPLE_RATE)), np.float32)
