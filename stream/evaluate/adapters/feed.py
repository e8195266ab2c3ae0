"""A recording fed as a microphone would, and the audio clock that latencies are read from."""

import asyncio
import time
from collections.abc import AsyncIterator

from stream.evaluate.material.recordings import Audio

CHUNK_MS = 40
"""Audio in a message: about what a browser sends."""


class Feed:
    """One recording on its way to a system: 16-bit little-endian samples, one channel.

    The clock starts with the first chunk and does not wait for anybody: where the system takes the
    audio late, that is the system's delay, as it is for a person who goes on speaking.
    """

    def __init__(
        self, audio: Audio, *, fast: bool, speed: float = 1.0, trailing_silence_s: float = 0.0
    ) -> None:
        """Take a recording.

        Args:
            audio: the recording.
            fast: do not wait at all.
            speed: seconds of it that are spoken in a second.
            trailing_silence_s: follows it, so that its last utterance ends by itself.
        """
        self.rate = audio.rate
        self.fast = fast
        self._speed = speed
        self.late_ms = 0.0
        """How late the latest chunk was handed out; the figures are worth nothing if it is much."""
        self._data = audio.samples.astype("<i2").tobytes()
        self._data += bytes(2 * round(trailing_silence_s * audio.rate))
        self._sent = 0
        self._began_s: float | None = None

    @property
    def n_samples(self) -> int:
        """All that will be fed."""
        return len(self._data) // 2

    def now_s(self) -> float:
        """Seconds of audio that have been spoken; played fast, that have been handed out."""
        if self.fast or self._began_s is None:
            return self._sent / self.rate
        return (time.perf_counter() - self._began_s) * self._speed

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the audio in chunks, each when its last sample has been spoken, or at once."""
        size = 2 * (self.rate * CHUNK_MS // 1000)
        self._began_s = time.perf_counter()
        for start in range(0, len(self._data), size):
            chunk = self._data[start : start + size]
            if not self.fast:
                spoken_s = (start + len(chunk)) / (2 * self.rate)
                await asyncio.sleep(max(0.0, (spoken_s - self.now_s()) / self._speed))
                self.late_ms = max(self.late_ms, 1000 * (self.now_s() - spoken_s))
            self._sent += len(chunk) // 2
            yield chunk
