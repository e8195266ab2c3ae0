"""Decodes recordings in any format that FFmpeg reads to 16 kHz samples, block by block.

A recording can be a video with a sound track. Only the block that is being decoded is in memory.
Damaged parts are left out, and reported in `Recording.damage`.

Recordings are not trusted: some formats refer to other files and URLs, which FFmpeg must not open.
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

NO_PROTOCOLS = {"protocol_whitelist": "none"}
"""FFmpeg option that stops a playlist from opening files and URLs."""

MISSING_S = 1.0
"""Missing seconds from which a file is reported as incomplete; headers are rounded."""

LENGTH_ESTIMATED = frozenset({"mp3", "aac"})
"""Formats without a stated duration: FFmpeg estimates it from file size and bit rate."""

RIFF_UNKNOWN = 0x7FFF_0000
"""A size field of at least this in a WAV header means that the size was not known."""

MAX_CHANNELS = 8
"""With more channels, FFmpeg's resampler, as PyAV calls it, crashes for some layouts."""
MIN_RATE = 1000
"""Lowest sample rate in hertz; below it, a few bytes would decode to hours of audio."""
MAX_BAD_PACKETS = 1000
"""Packets that cannot be decoded before decoding stops."""

MAX_DELAY_S = 600.0
"""Longest delay of a sound track after its video; a longer one is an invalid time stamp."""

Block = NDArray[np.float32]
"""(n_channels, n_samples) at 16 kHz, in -1..1."""


class MediaError(UsageError):
    """A file has no audio that can be decoded; the message is a sentence with the reason."""


class Recording:
    """An open recording; `blocks` or `frames` decodes it once."""

    def __init__(
        self,
        container: InputContainer,
        stream: AudioStream,
        name: str,
        fraction_present: float = 1.0,
    ) -> None:
        """Prepare to decode one audio stream of a container.

        Args:
            container: the open file.
            stream: the audio stream.
            name: how messages refer to the file.
            fraction_present: fraction of the announced file size that is there.
        """
        self.name = name
        self.channels: int = stream.channels
        self.sample_rate: int = stream.rate
        """Sample rate of the file, in hertz."""
        announced_s = duration_s(container, stream)
        self.duration_s = None if announced_s is None else announced_s / fraction_present
        """Duration that the file announces; None if it announces none."""
        self.damage = ""
        """What could not be decoded, as a sentence; set after the last block."""
        self._container = container
        self._stream = stream
        self._delay_s = 0.0
        """Seconds between the start of the file and the start of its audio."""
        self._decoded_s = 0.0
        self._bad_packets = 0

    def blocks(self, split: bool = False) -> Iterator[Block]:
        """Yield the audio in blocks of samples: mixed to one channel, or all channels if `split`.

        Raises:
            MediaError: nothing could be decoded.
        """
        # Interleaved, not planar: PyAV crashes with eight planes, because it reads a ninth.
        for number, frame in enumerate(self.frames("flt", SAMPLE_RATE)):
            block = np.asarray(frame.to_ndarray(), np.float32).reshape(-1, self.channels).T
            if not number:
                block = np.concatenate([silence(self.channels, self._delay_s), block], axis=1)
            self._decoded_s += block.shape[1] / SAMPLE_RATE
            if block.shape[1]:
                # Mixed here, because FFmpeg's mix of float samples can exceed full scale.
                yield block if split else block.mean(axis=0, keepdims=True)
        if not self._decoded_s:
            raise MediaError(f"{self.name} holds no sound: it is empty or damaged.")
        self.damage = self._damage()

    def frames(self, sample_format: str, rate: int) -> Iterator[AudioFrame]:
        """Yield all channels of the audio as frames in a sample format at a rate in hertz.

        Raises:
            MediaError: the audio cannot be converted.
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
            if now != shape:  # the format can change within a file: use a new resampler
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
        """Yield the decoded frames; packets that cannot be decoded are counted and left out."""
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
        """Return the seconds between the start of the file and the first frame of audio."""
        if frame.time is None or self._container.start_time is None:
            return 0.0
        delay = frame.time - self._container.start_time / av.time_base
        return float(delay) if 0.0 < delay < MAX_DELAY_S else 0.0

    def _damage(self) -> str:
        """Return what is missing or damaged, as a sentence; empty if nothing is."""
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
    """Open a path or a binary file; messages refer to it as `name`.

    Raises:
        MediaError: it has no audio that FFmpeg can decode.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "The file")
    with opened(source, name) as file:
        if not file.read(1):
            raise MediaError(f"{name} is empty.")
        fraction_present = riff_fraction_present(file)
        file.seek(0)
        try:
            container = av.open(file, "r", options=NO_PROTOCOLS, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{name} is not a sound or video file that FFmpeg can read, or is cut off at its "
                "beginning."
            ) from error
        with container:
            yield Recording(container, sound_track(container, name), name, fraction_present)


def opened(source: str | Path | BinaryIO, name: str) -> AbstractContextManager[BinaryIO]:
    """Open a path for reading; a source that cannot seek, such as a pipe, is read into memory."""
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
    """Return the first audio stream of a container that can be decoded.

    Raises:
        MediaError: it has no audio stream, or none that can be decoded.
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


def riff_fraction_present(file: BinaryIO) -> float:
    """Return the fraction of the announced size of a WAV file that is there; 1.0 for other files.

    FFmpeg derives the duration of a WAV file from its size, and does not detect a truncated one.
    """
    file.seek(0)
    head = file.read(8)
    announced = 8 + int.from_bytes(head[4:], "little")
    size = file.seek(0, io.SEEK_END)
    is_known = head.startswith(b"RIFF") and announced < RIFF_UNKNOWN
    return size / announced if is_known and size < announced else 1.0


def duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the seconds of audio that the file announces; None if it announces none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.streams.video:
        return None  # the duration of the container is that of its longest track
    return None if container.duration is None else container.duration / av.time_base


def layout_of(channels: int) -> str:
    """Return FFmpeg's name of a layout with 1 to 8 channels."""
    return ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")[channels - 1]


def silence(channels: int, seconds: float) -> Block:
    """Return a block of silence, (channels, n_samples)."""
    return np.zeros((channels, round(seconds * SAMPLE_RATE)), np.float32)
