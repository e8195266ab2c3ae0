"""Decodes recordings in any format that FFmpeg reads to 16 kHz samples, block by block.

A recording can be a video with a sound track, or several files joined one behind the other. Only
the block that is being decoded is in memory. Damaged parts are left out, and reported in
`Recording.damage`.

Recordings are not trusted: some formats refer to other files and URLs, which FFmpeg must not open.
"""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from stream.core.audio import Gap
from stream.media.allowed import FILE_FORMATS, safe_options
from stream.media.file_slice import FileSlice
from stream.media.joined import RIFF_UNKNOWN, parts_of
from stream.media.part import Block, MediaError, Part, sound_track

__all__ = ["Block", "MediaError", "Recording", "open_recording"]

WHOLE_WAV = {"ignore_length": "1"}
"""FFmpeg option for WAV files: all that follows the header is audio, since `joined` removes what is
not, and the announced size may be wrong."""

MISSING_S = 1.0
"""Missing seconds from which a file is reported as incomplete; headers are rounded."""

LENGTH_ESTIMATED = frozenset({"mp3", "aac"})
"""Formats without a stated duration: FFmpeg estimates it from file size and bit rate."""

PADDED = frozenset({"mpegts", "mpeg"})
"""Formats that may consist of padding for the most part."""

UNREAD_BYTES = 64 * 1024
"""Bytes that FFmpeg did not read from which a file is reported as read in part."""

PLACEHOLDER_BYTES = 1 << 28
"""A header that announces more than this, of which not a hundredth is there, announces what a
recorder writes that does not know the length in advance."""


class Recording:
    """An open recording; `blocks` or `frames` decodes it once."""

    def __init__(self, file: BinaryIO, name: str, stack: ExitStack) -> None:
        """Open a file.

        Args:
            file: it can seek, and is not empty.
            name: how messages refer to it.
            stack: closes what is opened.

        Raises:
            MediaError: it has no audio that FFmpeg can decode.
        """
        self.name = name
        self.damage = ""
        """What could not be decoded, as sentences; set after the last block."""
        self._file = file
        self._slices = parts_of(file)
        self._stack = stack
        first = self._open(0)
        self.channels, self.sample_rate = first.part.channels, first.part.sample_rate
        """Number of channels, and sample rate in hertz, of the first of joined files."""
        self._first: OpenPart | None = first
        self.duration_s = first.announced_s if len(self._slices) == 1 else None
        """Duration that the file announces; None if it announces none, or consists of several."""

    def blocks(self, split: bool = False) -> Iterator[Block | Gap]:
        """Yield the audio in blocks of samples, and the gaps in its time stamps.

        Args:
            split: yield all channels; otherwise they are mixed to one.

        Raises:
            MediaError: nothing could be decoded.
        """
        decoded_s = 0.0
        for opened in self._parts():
            yield from opened.part.blocks(split, self.channels)
            decoded_s += opened.part.decoded_s
            self._report(opened.damage())
        if not decoded_s:
            raise MediaError(f"{self.name} holds no sound: it is empty or damaged.")

    def frames(self, sample_format: str, rate: int) -> Iterator[AudioFrame | Gap]:
        """Yield all channels of the audio as frames, and the gaps between them.

        Args:
            sample_format: FFmpeg's name of it.
            rate: of the frames, in hertz.

        Raises:
            MediaError: the audio cannot be converted.
        """
        for opened in self._parts():
            yield from opened.part.frames(sample_format, rate, self.channels)

    def _parts(self) -> Iterator["OpenPart"]:
        """Yield the joined files in order; a later one that cannot be decoded is reported."""
        for number, (start, end) in enumerate(self._slices):
            try:
                opened, self._first = self._first or self._open(number), None
            except MediaError:
                self._report(
                    f"{self.name} consists of several files, and {end - start} bytes of it, from "
                    f"{start} on, cannot be decoded."
                )
            else:
                yield opened

    def _report(self, damage: str) -> None:
        self.damage = f"{self.damage} {damage}".strip()

    def _open(self, number: int) -> "OpenPart":
        """Open one of the joined files. Raises `MediaError` if it cannot be decoded."""
        start, end = self._slices[number]
        part_file = FileSlice(self._file, start, end)
        fraction_present = riff_fraction_present(part_file)
        part_file.seek(0)
        options = {**safe_options(FILE_FORMATS), **WHOLE_WAV}
        try:
            container = av.open(part_file, "r", options=options, metadata_errors="replace")
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise MediaError(
                f"{self.name} is not a sound or video file that FFmpeg can read, or is cut off at "
                "its beginning."
            ) from error
        self._stack.enter_context(container)
        track = sound_track(container, self.name)
        part = Part(container, track, self.name)
        return OpenPart(part, container, track, end - start, fraction_present)


class OpenPart:
    """One of the joined files of a recording, and what it announces."""

    def __init__(
        self,
        part: Part,
        container: InputContainer,
        track: AudioStream,
        size: int,
        fraction_present: float,
    ) -> None:
        """Take the open container, its size in bytes, and how much of that is there."""
        self.part = part
        announced_s = announced_duration_s(container, track)
        self.announced_s = None if announced_s is None else announced_s / fraction_present
        """Duration that it announces in seconds; None if it announces none."""
        self._size = size
        self._format = container.format.name
        self._alone = len(container.streams) == 1
        self._byte_rate = (track.codec_context.bit_rate or 0) / 8

    def damage(self) -> str:
        """Return what is missing or damaged, as a sentence; empty if nothing is."""
        part, announced_s = self.part, self.announced_s or 0.0
        unread = self._size - part.packet_bytes
        if self._alone and self._format not in PADDED and unread > self._most_unread:
            return (
                f"{part.name} has {unread} bytes that FFmpeg does not decode; several files may "
                "have been joined to one."
            )
        is_known = self._format not in LENGTH_ESTIMATED and not self._is_placeholder(announced_s)
        missing = announced_s - part.decoded_s
        if is_known and missing > max(MISSING_S, 0.02 * part.decoded_s):
            return (
                f"{part.name} is incomplete: it ends after {part.decoded_s:.1f} s of the "
                f"{announced_s:.1f} s that it announces."
            )
        if part.bad_packets:
            return f"{part.name} is damaged: {part.bad_packets} pieces of it were left out."
        return ""

    @property
    def _most_unread(self) -> float:
        """Bytes that a whole file may consist of besides its packets of audio."""
        return max(UNREAD_BYTES, self._size / 4)

    def _is_placeholder(self, announced_s: float) -> bool:
        """Return whether an announced duration was written without knowledge of the real one."""
        large = announced_s * self._byte_rate > PLACEHOLDER_BYTES
        return large and announced_s > 100 * self.part.decoded_s


@contextmanager
def open_recording(source: str | Path | BinaryIO, name: str = "") -> Iterator[Recording]:
    """Open a path or a binary file; messages refer to it as `name`.

    Raises:
        MediaError: it has no audio that FFmpeg can decode.
    """
    name = name or (str(source) if isinstance(source, str | Path) else "The file")
    with opened(source, name) as file, ExitStack() as stack:
        if not file.read(1):
            raise MediaError(f"{name} is empty.")
        yield Recording(file, name, stack)


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


def riff_fraction_present(file: BinaryIO) -> float:
    """Return the fraction of the announced size of a WAV file that is there; 1.0 for other files.

    FFmpeg derives the duration of a WAV file from its size, and does not detect a truncated one.
    """
    file.seek(0)
    head = file.read(8)
    announced = 8 + int.from_bytes(head[4:], "little")
    size = file.seek(0, io.SEEK_END)
    if not head.startswith(b"RIFF") or not size < announced < RIFF_UNKNOWN:
        return 1.0
    if announced > PLACEHOLDER_BYTES and announced > 100 * size:
        return 1.0
    return size / announced


def announced_duration_s(container: InputContainer, stream: AudioStream) -> float | None:
    """Return the seconds of audio that the file announces; None if it announces none."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    if container.streams.video:
        return None  # the duration of the container is that of its longest track
    return None if container.duration is None else container.duration / av.time_base
