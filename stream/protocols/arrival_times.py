"""Records when each part of the audio was received, to compute the latency of finals."""

from bisect import bisect_left

GRAIN_S = 0.02
"""Seconds of audio that share an entry, so that small frames do not need more memory."""


class ArrivalTimes:
    """Pairs of (audio received, time of arrival), both in seconds and never decreasing."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self._times: list[float] = []

    def __len__(self) -> int:
        return len(self._ends)

    def add(self, end_s: float, now: float) -> None:
        """Record that all audio before `end_s` has been received by `now`."""
        if len(self._ends) > 1 and end_s - self._ends[-2] < GRAIN_S:
            self._ends[-1], self._times[-1] = end_s, now
        else:
            self._ends.append(end_s)
            self._times.append(now)

    def time_of(self, audio_s: float) -> float | None:
        """Return the time at which the audio up to `audio_s` was received; None if not recorded."""
        index = min(bisect_left(self._ends, audio_s), len(self._ends) - 1)
        return self._times[index] if index >= 0 else None

    def forget_before(self, audio_s: float) -> None:
        """Drop the times of audio before `audio_s`."""
        old = bisect_left(self._ends, audio_s)
        if old > 256:  # seldom, because deleting from the front moves the rest
            del self._ends[:old], self._times[:old]
