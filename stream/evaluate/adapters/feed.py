"""Feeds a recording at the pace of a microphone, and keeps the audio clock for latencies."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Literal

from stream.evaluate.material.recordings import Audio

Encoding = Literal["pcm_s16le", "pcm_f32le"]

CHUNK_MS = 40
"""Milliseconds of audio in a message, about as much as in a browser's message."""


class Feed:
    """Yields one recording in chunks of little-endian samples, channels interleaved.

    The audio clock starts with the first chunk and never stops: if a system accepts audio late, the
    lateness counts as delay of the system, because a real speaker would not stop either.
    """

    def __init__(
        self, audio: Audio, *, fast: bool, speed: float = 1.0, trailing_silence_s: float = 0.0
    ) -> None:
        """Start before the first chunk, with the audio clock at 0.

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
        self.channels = len(audio.channels())
        # The gain of a repeat would be rounded away in 16 bits.
        exact = audio.gain != 1.0
        self.encoding: Encoding = "pcm_f32le" if exact else "pcm_s16le"
        self._frame = (4 if exact else 2) * self.channels
        """Bytes of one sample of all channels."""
        samples = audio.floats.astype("<f4") if exact else audio.samples.astype("<i2")
        self._data = samples.tobytes()
        self._data += bytes(self._frame * round(trailing_silence_s * audio.rate))
        self._sent = 0
        self._began_s: float | None = None

    @property
    def n_samples(self) -> int:
        """Number of samples of each channel that will be fed, with the trailing silence."""
        return len(self._data) // self._frame

    def now_s(self) -> float:
        """Return the audio clock: seconds of audio spoken so far; if fast, seconds yielded."""
        if self.fast or self._began_s is None:
            return self._sent / self.rate
        return (time.perf_counter() - self._began_s) * self._speed

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the audio in chunks, each when its last sample is spoken; if fast, at once."""
        size = self._frame * (self.rate * CHUNK_MS // 1000)
        self._began_s = time.perf_counter()
        for start in range(0, len(self._data), size):
            chunk = self._data[start : start + size]
            if not self.fast:
                spoken_s = (start + len(chunk)) / (self._frame * self.rate)
                await asyncio.sleep(max(0.0, (spoken_s - self.now_s()) / self._speed))
                self.late_ms = max(self.late_ms, 1000 * (self.now_s() - spoken_s))
            self._sent += len(chunk) // self._frame
            yield chunk
