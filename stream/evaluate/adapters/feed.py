"""Feeds a recording at the pace of a microphone, and keeps the audio clock for latencies."""

import asyncio
import time
from collections.abc import AsyncIterator

from stream.evaluate.material.recordings import Audio

CHUNK_MS = 40
"""Milliseconds of audio in a message, about as much as in a browser's message."""


class Feed:
    """Yields one recording in chunks of 16-bit little-endian samples, one channel.

    The audio clock starts with the first chunk and never stops: if a system accepts audio late, the
    lateness counts as delay of the system, because a real speaker would not stop either.
    """

    def __init__(
        self, audio: Audio, *, fast: bool, speed: float = 1.0, trailing_silence_s: float = 0.0
    ) -> None:
        """Prepare the feed of a recording.

        Args:
            audio: the recording.
            fast: yield the chunks without waiting.
            speed: seconds of the recording that are fed in a second.
            trailing_silence_s: silence after the recording, so that silence ends its last
                utterance.
        """
        self.rate = audio.rate
        self.fast = fast
        self._speed = speed
        self.late_ms = 0.0
        """The largest delay of a chunk, in milliseconds. Latencies are not valid if it is large."""
        self._data = audio.samples.astype("<i2").tobytes()
        self._data += bytes(2 * round(trailing_silence_s * audio.rate))
        self._sent = 0
        self._began_s: float | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples that will be fed, with the trailing silence."""
        return len(self._data) // 2

    def now_s(self) -> float:
        """Return the audio clock: seconds of audio spoken so far; if fast, seconds yielded."""
        if self.fast or self._began_s is None:
            return self._sent / self.rate
        return (time.perf_counter() - self._began_s) * self._speed

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the audio in chunks, each when its last sample is spoken; if fast, at once."""
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
