"""How much the holders of keys use at present, and whether that is within their limits.

The counts are those of this process: they begin at zero when the server starts.
"""

import math
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from stream.server.keys.key_file import Key

HOUR_S = 3600.0
STEP_S = 60.0
"""Audio is counted by steps of this length, so that a key needs 61 numbers."""

RETRY_S = 5
"""Seconds after which a client may try again if its key has too many streams or uploads."""


@dataclass(frozen=True, slots=True)
class OverLimit(Exception):  # noqa: N818 (an answer, not a fault)
    """A key is over one of its limits: a sentence, and when to try again in seconds."""

    sentence: str
    retry_after_s: int


class AudioOfAnHour:
    """Seconds of audio within the last hour."""

    def __init__(self) -> None:
        self._steps: deque[tuple[float, float]] = deque()  # start of a step, seconds of audio

    def add(self, audio_s: float, now: float) -> None:
        """Count audio."""
        start = now - now % STEP_S
        if self._steps and self._steps[-1][0] == start:
            audio_s += self._steps.pop()[1]
        self._steps.append((start, audio_s))

    def total_s(self, now: float) -> float:
        """Return the seconds of audio within the last hour, and forget what is older."""
        while self._steps and self._steps[0][0] + STEP_S + HOUR_S <= now:
            self._steps.popleft()
        return sum(audio_s for _, audio_s in self._steps)

    def below_in_s(self, limit_s: float, now: float) -> int:
        """Return in how many seconds the total is below a limit."""
        total = self.total_s(now)
        for start, audio_s in self._steps:
            total -= audio_s
            if total < limit_s:
                return max(math.ceil(start + STEP_S + HOUR_S - now), 1)
        return int(HOUR_S)


class Usage:
    """Counts the streams, the uploads and the audio of each key, by its name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from zero; `clock` returns seconds."""
        self.streams: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()
        self._audio: defaultdict[str, AudioOfAnHour] = defaultdict(AudioOfAnHour)
        self._clock = clock

    def check_stream(self, key: Key) -> None:
        """Raise `OverLimit` if the key may not open another stream now."""
        if key.max_streams is not None and self.streams[key.name] >= key.max_streams:
            raise OverLimit(
                f"The key has {key.max_streams} streams open, its limit; end one of them.", RETRY_S
            )
        self.check_audio(key)

    def check_upload(self, key: Key) -> None:
        """Raise `OverLimit` if the key may not send another recording now."""
        if key.max_uploads is not None and self.uploads[key.name] >= key.max_uploads:
            raise OverLimit(
                f"The key has {key.max_uploads} recordings at once, its limit; try again later.",
                RETRY_S,
            )
        self.check_audio(key)

    def check_audio(self, key: Key) -> None:
        """Raise `OverLimit` if the key has used its audio of the last hour."""
        if key.audio_s_an_hour is None:
            return
        now, used = self._clock(), self._audio[key.name]
        if used.total_s(now) >= key.audio_s_an_hour:
            raise OverLimit(
                f"The key has used its {key.audio_s_an_hour:g} seconds of audio of this hour.",
                used.below_in_s(key.audio_s_an_hour, now),
            )

    def add_audio(self, key: Key, audio_s: float) -> None:
        """Count audio of a key that has a limit. Raises `OverLimit` if it is used up."""
        if key.audio_s_an_hour is not None and audio_s > 0:
            self._audio[key.name].add(audio_s, self._clock())
            self.check_audio(key)
