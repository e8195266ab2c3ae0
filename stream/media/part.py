"""Decodes one container: its first sound track, with the gaps between its time stamps."""

from collections.abc import Iterator

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE, Gap
from stream.core.mixdown import Mixdown
from stream.errors import UsageError
from stream.media.allowed import CODECS
from stream.media.time_stamps import DOUBTFUL_S, MIN_GAP_S, TimeStamps

MAX_CHANNELS = 8
"""With more channels, FFmpeg's resampler, as PyAV calls it, crashes for some layouts."""
MIN_RATE = 1000
"""Lowest sample rate in hertz; below it, a few bytes would decode to hours of audio."""
LOUDEST = 8.0
"""Amplitude at which samples are clipped. Decoders exceed full scale, which is 1, by a little; much
larger float samples would overflow in the model."""
MAX_BAD_PACKETS = 1000
"""Packets that cannot be decoded before decoding stops."""

MAX_DELAY_S = 600.0
"""Longest delay of a sound track after its video; a longer one is an invalid time stamp."""

TIMED = frozenset({"matroska,webm", "ogg", "mov,mp4,m4a,3gp,3g2,mj2", "mpegts", "flv", "asf"})
"""Formats whose time stamps are stored in the file; FFmpeg computes those of the others from the
number of samples or bytes."""

TAGS = (b"ID3", b"TAG", b"APETAGEX", b"LYRICS")
"""How a packet begins that holds the tags of a file, which lie between joined MP3 files."""

Block = NDArray[np.float32]
"""(n_channels, n_samples) at 16 kHz, nominally in -1..1."""


class MediaError(UsageError):
    """A file has no audio that can be decoded; the message is a sentence with the reason."""


class Part:
    """An open container; `blocks` or `frames` decodes it once."""

    def __init__(self, container: InputContainer, stream: AudioStream, name: str) -> None:
        """Prepare to decode one audio stream of a container; messages refer to it as `name`."""
        self.name = name
        self.channels: int = stream.channels
        self.sample_rate: int = stream.rate
        """Sample rate of the container, in hertz."""
        self.decoded_s = 0.0
        """Seconds of audio and of gaps so far."""
        self.bad_packets = 0
        """Packets that could not be decoded and were left out."""
        self.packet_bytes = 0
        """Bytes of the packets so far."""
        self._container = container
        self._stream = stream
        self._time_stamps = TimeStamps()
        self._timed = container.format.name in TIMED
        self._ahead: AudioFrame | None = None
        """A frame that was decoded to confirm the time of the one before it."""

    def blocks(self, split: bool, channels: int) -> Iterator[Block | Gap]:
        """Yield the audio in blocks of samples, and gaps: mixed to one channel, or all if `split`.

        Raises:
            MediaError: the audio cannot be converted.
        """
        mixdown, names = Mixdown(1), None
        # Interleaved, not planar: PyAV crashes with eight planes, because it reads a ninth.
        for frame in self.frames("flt", SAMPLE_RATE, channels if split else None):
            if isinstance(frame, Gap):
                yield from sounding(mixdown.flush())
                self.decoded_s += frame.samples / SAMPLE_RATE
                yield frame
                continue
            n_channels = frame.layout.nb_channels
            block = finite(np.asarray(frame.to_ndarray(), np.float32).reshape(-1, n_channels).T)
            self.decoded_s += block.shape[1] / SAMPLE_RATE
            if split:
                yield from sounding(block)
                continue
            if names != (names := channel_names(frame)):
                yield from sounding(mixdown.flush())
                mixdown = Mixdown(n_channels, names)
            # Mixed here, because FFmpeg's mix of channels of opposite polarity is silence.
            yield from sounding(mixdown.feed(block))
        yield from sounding(mixdown.flush())

    def frames(
        self, sample_format: str, rate: int, channels: int | None
    ) -> Iterator[AudioFrame | Gap]:
        """Yield all channels of the audio as frames, and the gaps between them.

        Args:
            sample_format: FFmpeg's name of it.
            rate: of the frames, in hertz.
            channels: number to which FFmpeg mixes frames with another one; None leaves them.

        Raises:
            MediaError: the audio cannot be converted.
        """
        resampler, shape = None, None
        for frame in self._decoded():
            check_shape(frame, self.name)
            gap = Gap(round(self._gap_before(frame) * rate))
            if gap.samples:
                yield from () if resampler is None else resampler.resample(None)
                resampler, shape = None, None
                yield gap
            now = (frame.format.name, frame.layout.name, frame.sample_rate)
            if now != shape:  # the format can change within a file: use a new resampler
                yield from () if resampler is None else resampler.resample(None)
                own = channels in (None, frame.layout.nb_channels)
                layout = frame.layout if own else layout_of(channels or 1)
                resampler, shape = AudioResampler(sample_format, layout, rate), now
            assert resampler
            try:
                yield from resampler.resample(frame)
            except av.error.FFmpegError as error:
                raise MediaError(f"{self.name} has sound that FFmpeg cannot convert.") from error
        yield from () if resampler is None else resampler.resample(None)

    def _gap_before(self, frame: AudioFrame) -> float:
        """Return the seconds without audio before a frame."""
        first = self._time_stamps.is_new
        duration = frame.samples / frame.sample_rate
        time = frame.time if self._timed else None
        if time is not None and self._time_stamps.jump(time) > DOUBTFUL_S:
            self._ahead = next(self._frames, None)
            following = self._ahead.time if self._ahead else None
            if following is not None and abs(following - time - duration) > MIN_GAP_S:
                time = None
        gap = self._time_stamps.gap(time, duration)
        return self._delay_of(frame) if first else gap

    def _decoded(self) -> Iterator[AudioFrame]:
        """Yield the decoded frames, the one that was decoded ahead among them."""
        self._frames = self._decode()
        while frame := self._ahead or next(self._frames, None):
            self._ahead = None
            yield frame

    def _decode(self) -> Iterator[AudioFrame]:
        """Yield the decoded frames; packets that cannot be decoded are counted and left out."""
        packets = self._container.demux(self._stream)
        while True:
            packet = None
            try:
                packet = next(packets, None)
                if packet is None:
                    return
                self.packet_bytes += packet.size
                frames = packet.decode()
            except av.error.EOFError:
                return
            except av.error.FFmpegError:
                if packet is None or not bytes(packet).startswith(TAGS):
                    self.bad_packets += 1
                if self.bad_packets > MAX_BAD_PACKETS:
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
        return float(delay) if MIN_GAP_S < delay < MAX_DELAY_S else 0.0


def finite(block: Block) -> Block:
    """Return samples with silence for those that are no number, clipped to `LOUDEST`."""
    # One NaN would spoil the model's output for a whole window.
    return np.clip(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0), -LOUDEST, LOUDEST)


def check_shape(frame: AudioFrame, name: str) -> None:
    """Raise `MediaError` for a frame with too many channels or too low a rate."""
    if frame.layout.nb_channels > MAX_CHANNELS or frame.sample_rate < MIN_RATE:
        raise MediaError(
            f"{name} has {frame.layout.nb_channels} channels at {frame.sample_rate} Hz; use 1 to "
            f"{MAX_CHANNELS} at {MIN_RATE} Hz or more."
        )


def channel_names(frame: AudioFrame) -> tuple[str, ...]:
    """Return FFmpeg's names of the channels of a frame, such as FL and FR."""
    return tuple(channel.name for channel in frame.layout.channels)


def sounding(block: Block) -> Iterator[Block]:
    """Yield the block if it has samples."""
    if block.shape[1]:
        yield block


def layout_of(channels: int) -> str:
    """Return FFmpeg's name of a layout with 1 to 8 channels."""
    return ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")[channels - 1]


def sound_track(container: InputContainer, name: str) -> AudioStream:
    """Return the first audio stream of a container that can be decoded.

    Raises:
        MediaError: it has no audio stream, or none that can be decoded.
    """
    if not container.streams.audio:
        raise MediaError(f"{name} has no sound track.")
    for stream in container.streams.audio:
        if is_decodable(stream) and 0 < stream.channels <= MAX_CHANNELS:
            return stream
    if not is_decodable(container.streams.audio[0]):
        raise MediaError(f"{name} has sound of a kind that FFmpeg cannot decode.")
    channels = container.streams.audio[0].channels
    raise MediaError(f"{name} has {channels} channels; use 1 to {MAX_CHANNELS}.")


def is_decodable(stream: AudioStream) -> bool:
    """Return whether FFmpeg has a decoder for a stream, and it may be used."""
    return stream.codec_context is not None and stream.codec_context.codec.name in CODECS
