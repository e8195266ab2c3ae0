"""Decodes containers while their bytes arrive (WebM, Ogg, MP3, FLAC, WAV, AAC …) to 16 kHz samples.

FFmpeg pulls bytes by calling a read function, which blocks until the client has sent some. So this
runs in a process of its own (`decoding_process`).
"""

from typing import Protocol

import av

from stream.core.audio import SAMPLE_RATE, Gap
from stream.media.allowed import STREAM_FORMATS, safe_options
from stream.media.part import Block, MediaError, Part, sound_track
from stream.media.part_reader import PartReader
from stream.media.recording import WHOLE_WAV

PROBED_BYTES = 16 * 1024
"""Bytes that FFmpeg may read to detect the format: a header and half a second of Opus."""
NAME = "The container"
NO_CONTAINER = (
    "The audio is no container that can be decoded as it comes: send WebM, Ogg, WAV, MP3, FLAC, "
    "AAC or fragmented MP4 from its first byte, or announce another encoding."
)
LATER_PART = (
    "Another file begins in the stream behind the first one, and cannot be decoded; its audio is "
    "left out."
)
MAX_BAD_PARTS = 10
"""Joined files that cannot be decoded, after which the rest of the stream is ignored."""


class Wire(Protocol):
    """The input and the output of decoding."""

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes; none at the end. Blocks until there are some."""

    def emit(self, sound: Block | Gap) -> None:
        """Take samples, (channels, n_samples), or a gap."""

    def report(self, problem: str) -> None:
        """Take a sentence about what could not be decoded."""


def decode_container(wire: Wire, channels: int) -> None:
    """Decode what is read until it ends, or until too much of it cannot be decoded.

    `channels` is 1 to mix all channels, or the number of channels that the container must have.
    """
    parts, decoded, failed = PartReader(wire.read), 0, 0
    while parts.begin() and failed < MAX_BAD_PARTS and (decoded or not failed):
        try:
            decode_part(wire, parts, channels)
            decoded += 1
        except MediaError as error:
            wire.report(str(error))
            failed += 1
        except (av.error.FFmpegError, ValueError):
            wire.report(LATER_PART if decoded else NO_CONTAINER)
            failed += 1


def decode_part(wire: Wire, parts: PartReader, channels: int) -> None:
    """Decode one of the joined containers of a stream.

    Raises:
        MediaError: it has no audio that can be decoded, or another number of channels.
    """
    options = {**safe_options(STREAM_FORMATS), **WHOLE_WAV}
    options |= {"probesize": str(PROBED_BYTES), "analyzeduration": "0"}
    with av.open(parts, "r", options=options, metadata_errors="replace") as container:
        part = Part(container, sound_track(container, NAME), NAME)
        if channels not in (1, part.channels):
            raise MediaError(
                f"{NAME} has {part.channels} channels, not {channels}; announce as many, or 1 to "
                "have them mixed."
            )
        for sound in part.blocks(channels > 1, channels):
            wire.emit(sound)
    if not part.decoded_s:
        raise MediaError(f"{NAME} holds no sound: it is empty or damaged.")
    if part.bad_packets:
        wire.report(f"{NAME} is damaged: {part.bad_packets} pieces of it were left out.")


assert SAMPLE_RATE == 16_000  # the sample rate that a session uses for containers
