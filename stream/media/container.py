"""A container's bytes as they arrive (WebM, Ogg, MP3, FLAC, WAV, AAC …), as samples at 16 kHz.

FFmpeg pulls its bytes, and ours are pushed. So it runs on a thread of its own that reads until
there is nothing left, and whoever pushes waits just until then: the two never run at once, and what
has been decoded depends on the bytes alone.
"""

import threading
import weakref

import av
import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.media.recording import NOTHING_ELSE, MediaError, Recording, sound_track

PROBED_BYTES = 16 * 1024
"""What FFmpeg may read before it says what the format is; a header and half a second of Opus."""
FROM_BROWSERS_AND_FILES = "matroska,webm,ogg,wav,mp3,flac,aac,mov,mp4"


class Pipe:
    """Bytes from one thread to another, one of the two running at a time."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = bytearray()
        self._ended = False
        self._waiting = False
        """Whether the reader has read all there is."""
        self._gone = False
        self.blocks: list[NDArray[np.float32]] = []
        """What the reader made of it, (channels, n_samples) each."""
        self.problem = ""
        """Why the reader went."""

    def push(self, data: bytes, ended: bool = False) -> None:
        """Let the reader read this, and wait until it has."""
        with self._changed:
            self._bytes += data
            self._ended |= ended
            if self._gone and data:
                self.problem = self.problem or "Audio came after the end of its container."
            self._waiting = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._gone)

    def end(self) -> None:
        """Let the reader find the end, whenever it reads next."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def read(self, size: int) -> bytes:
        """Return up to so many bytes, at least one, none at the end; called by FFmpeg."""
        with self._changed:
            if not self._bytes and not self._ended:
                self._waiting = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._bytes or self._ended)
            data = bytes(self._bytes[:size])
            del self._bytes[:size]
            return data

    def leave(self, problem: str) -> None:
        """Read no more."""
        with self._changed:
            self.problem, self._gone = problem, True
            self._bytes.clear()
            self._changed.notify_all()


class ContainerDecoder:
    """Decodes one stream; see `core.audio.AudioDecoder`."""

    leftover = 0

    def __init__(self, channels: int) -> None:
        """Mix to one channel, or expect the container to have as many as announced."""
        self.channels = channels
        self._pipe = pipe = Pipe()
        # A daemon, and without a reference to this object: it ends when nobody decodes any more.
        threading.Thread(target=run, args=(pipe, channels), name="container", daemon=True).start()
        weakref.finalize(self, pipe.end)

    @property
    def problem(self) -> str:
        """What keeps the container from being decoded, as a sentence."""
        return self._pipe.problem

    def forget_leftover(self) -> None:
        """Keep all: a stream of a container is never resumed."""

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Return the samples that are complete by now, (channels, n_samples) in -1..1."""
        self._pipe.push(data)
        return self._taken()

    def flush(self) -> NDArray[np.float32]:
        """Return the samples that only the end completes, (channels, n_samples)."""
        self._pipe.push(b"", ended=True)
        return self._taken()

    def _taken(self) -> NDArray[np.float32]:
        blocks, self._pipe.blocks = self._pipe.blocks, []
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *blocks], axis=1)


def run(pipe: Pipe, channels: int) -> None:
    """Decode until the pipe ends; the thread of a decoder."""
    problem = ""
    try:
        options = {**NOTHING_ELSE, "probesize": str(PROBED_BYTES), "analyzeduration": "0"}
        options["format_whitelist"] = FROM_BROWSERS_AND_FILES
        with av.open(pipe, "r", options=options, metadata_errors="replace") as container:
            track = sound_track(container, "The container")
            recording = Recording(container, track, "The container")
            if channels not in (1, recording.channels):
                problem = (
                    f"The container has {recording.channels} channels, not {channels}; announce "
                    "as many, or 1 to have them mixed."
                )
                return
            for block in recording.blocks(split=channels > 1):
                pipe.blocks.append(block)
    except MediaError as error:
        problem = str(error)
    except Exception:
        problem = (
            "The audio is no container that can be decoded as it comes: send WebM, Ogg, WAV, MP3, "
            "FLAC, AAC or fragmented MP4 from its first byte, or announce another encoding."
        )
    finally:
        pipe.leave(problem)


assert SAMPLE_RATE == 16_000  # what the session is told that a container's samples are
