"""Decodes a container while its bytes arrive (WebM, Ogg, MP3, FLAC, WAV, AAC …) to 16 kHz samples.

FFmpeg calls a read function, while the bytes of a stream are pushed. FFmpeg therefore runs on a
thread of its own. `push` blocks until that thread has consumed all bytes and asks for more: the two
threads never run at the same time, and the decoded samples depend only on the bytes.
"""

import threading
import weakref

import av
import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.media.recording import NO_PROTOCOLS, MediaError, Recording, sound_track

PROBED_BYTES = 16 * 1024
"""Bytes that FFmpeg may read to detect the format: a header and half a second of Opus."""
ALLOWED_FORMATS = "matroska,webm,ogg,wav,mp3,flac,aac,mov,mp4"


class Pipe:
    """Passes bytes from a writing thread to a reading one; only one of the two runs at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._ended = False
        self._waiting = False
        """Whether the reader has consumed all bytes and waits for more."""
        self._reader_ended = False
        self.blocks: list[NDArray[np.float32]] = []
        """Samples that the reader has decoded, (channels, n_samples) each."""
        self.problem = ""
        """Why the reader stopped, as a sentence; empty without an error."""

    def push(self, data: bytes, ended: bool = False) -> None:
        """Append bytes, and wait until the reader has consumed them or has stopped."""
        with self._changed:
            self._bytes += data
            self._ended |= ended
            if self._reader_ended and data:
                self.problem = self.problem or "Audio came after the end of its container."
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

    def stop_reading(self, problem: str) -> None:
        """Report that the reader has stopped; `problem` is empty without an error."""
        with self._changed:
            self.problem, self._reader_ended = problem, True
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

    @property
    def problem(self) -> str:
        """Why the container cannot be decoded, as a sentence; empty without an error."""
        return self._pipe.problem

    def forget_leftover(self) -> None:
        """Do nothing: a stream of a container is never resumed."""

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Decode bytes; return the samples that they complete, (channels, n_samples) in -1..1."""
        self._pipe.push(data)
        return self._take_blocks()

    def flush(self) -> NDArray[np.float32]:
        """End the container; return the remaining samples, (channels, n_samples)."""
        self._pipe.push(b"", ended=True)
        return self._take_blocks()

    def _take_blocks(self) -> NDArray[np.float32]:
        blocks, self._pipe.blocks = self._pipe.blocks, []
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *blocks], axis=1)


def run(pipe: Pipe, channels: int) -> None:
    """Decode the bytes of a pipe until it ends. Runs on the thread of a decoder."""
    problem = ""
    try:
        options = {**NO_PROTOCOLS, "probesize": str(PROBED_BYTES), "analyzeduration": "0"}
        options["format_whitelist"] = ALLOWED_FORMATS
        with av.open(pipe, "r", options=options, metadata_errors="replace") as container:
            track = sound_track(container, "The container")
            recording = Recording(container, track, "The container")
            if channels not in (1, recording.channels):
                problem = (
                    f"The container has {recording.channels} channels, not {channels}: set "
                    "`channels` to that number, or to 1 to mix them."
                )
                return
            for block in recording.blocks(split=channels > 1):
                pipe.blocks.append(block)
    except MediaError as error:
        problem = str(error)
    except Exception:
        problem = (
            "The audio is not a container that can be decoded as it arrives: send WebM, Ogg, WAV, "
            "MP3, FLAC, AAC or fragmented MP4 from its first byte, or set another `encoding`."
        )
    finally:
        pipe.stop_reading(problem)


assert SAMPLE_RATE == 16_000  # the sample rate that a session uses for containers
