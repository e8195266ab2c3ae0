"""Decodes containers while their bytes arrive (WebM, Ogg, MP3, FLAC, WAV, AAC …) to 16 kHz samples.

FFmpeg pulls bytes by calling a read function, whereas the bytes of a stream are pushed. FFmpeg
therefore runs on a separate thread. `push` blocks until that thread has consumed all bytes and
waits for more: the two threads never run at the same time, so the decoded samples depend only on
the bytes.
"""

import logging
import threading
import weakref

import av

from stream.core.audio import SAMPLE_RATE, Gap
from stream.media.part import Block, MediaError, Part, sound_track
from stream.media.part_reader import PartReader
from stream.media.recording import NO_PROTOCOLS, WHOLE_WAV

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
ALLOWED_FORMATS = "matroska,webm,ogg,wav,mp3,flac,aac,mov,mp4"

log = logging.getLogger(__name__)


class Pipe:
    """Passes bytes from a writing thread to a reading one; only one of the two runs at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._ended = False
        self._waiting = False
        """Whether the reader has consumed all bytes and waits for more."""
        self._reader_ended = False
        self.sounds: list[Block | Gap] = []
        """Samples that the reader has decoded, (channels, n_samples) each, and gaps."""
        self.problems: list[str] = []
        """What could not be decoded, in sentences."""

    def push(self, data: bytes, ended: bool = False) -> None:
        """Append bytes, and wait until the reader has consumed them or has stopped."""
        with self._changed:
            if self._reader_ended:
                return
            self._bytes += data
            self._ended |= ended
            self._waiting = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._reader_ended)

    def end(self) -> None:
        """Mark the end of the bytes, without waiting for the reader."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes; none at the end. Blocks until there are some."""
        with self._changed:
            if not self._bytes and not self._ended:
                self._waiting = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._bytes or self._ended)
            data = bytes(self._bytes[:size])
            del self._bytes[:size]
            return data

    def report(self, problem: str) -> None:
        """Report, in a sentence, something that could not be decoded."""
        self.problems.append(problem)

    def stop_reading(self) -> None:
        """Mark that the reader has stopped: further bytes are ignored."""
        with self._changed:
            self._reader_ended = True
            self._bytes.clear()
            self._changed.notify_all()


class ContainerDecoder:
    """Decodes the container of one stream; implements `core.audio.AudioDecoder`."""

    leftover = 0

    def __init__(self, channels: int) -> None:
        """Start the decoding thread.

        `channels` is 1 to mix all channels, or the number of channels that the container must have.
        """
        self.channels = channels
        self._pipe = pipe = Pipe()
        # The thread holds no reference to this object, so that it ends when this is deleted.
        threading.Thread(target=run, args=(pipe, channels), name="container", daemon=True).start()
        weakref.finalize(self, pipe.end)

    def forget_leftover(self) -> None:
        """Do nothing: a stream of a container is never resumed."""

    def decode(self, data: bytes) -> list[Block | Gap]:
        """Decode bytes; return the samples that they complete, in -1..1, and the gaps."""
        self._pipe.push(data)
        return self._take_sounds()

    def flush(self) -> list[Block | Gap]:
        """End the container; return the remaining samples and gaps."""
        self._pipe.push(b"", ended=True)
        return self._take_sounds()

    def take_problems(self) -> list[str]:
        """Return what could not be decoded, in sentences, each once."""
        problems, self._pipe.problems = self._pipe.problems, []
        return problems

    def _take_sounds(self) -> list[Block | Gap]:
        sounds, self._pipe.sounds = self._pipe.sounds, []
        return sounds


def run(pipe: Pipe, channels: int) -> None:
    """Decode the bytes of a pipe until it ends. Runs on the thread of a decoder."""
    parts, decoded, failed = PartReader(pipe.read), 0, 0
    try:
        while parts.begin() and failed < MAX_BAD_PARTS and (decoded or not failed):
            try:
                decode_part(pipe, parts, channels)
                decoded += 1
            except MediaError as error:
                pipe.report(str(error))
                failed += 1
            except Exception:
                log.debug("a container cannot be decoded", exc_info=True)
                pipe.report(LATER_PART if decoded else NO_CONTAINER)
                failed += 1
    finally:
        pipe.stop_reading()


def decode_part(pipe: Pipe, parts: PartReader, channels: int) -> None:
    """Decode one of the joined containers of a stream.

    Raises:
        MediaError: it has no audio that can be decoded, or another number of channels.
    """
    options = {**NO_PROTOCOLS, **WHOLE_WAV, "probesize": str(PROBED_BYTES), "analyzeduration": "0"}
    options["format_whitelist"] = ALLOWED_FORMATS
    with av.open(parts, "r", options=options, metadata_errors="replace") as container:
        part = Part(container, sound_track(container, NAME), NAME)
        if channels not in (1, part.channels):
            raise MediaError(
                f"{NAME} has {part.channels} channels, not {channels}; announce as many, or 1 to "
                "have them mixed."
            )
        for sound in part.blocks(channels > 1, channels):
            pipe.sounds.append(sound)
    if not part.decoded_s:
        raise MediaError(f"{NAME} holds no sound: it is empty or damaged.")
    if part.bad_packets:
        pipe.report(f"{NAME} is damaged: {part.bad_packets} pieces of it were left out.")


assert SAMPLE_RATE == 16_000  # the sample rate that a session uses for containers
