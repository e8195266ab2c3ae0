"""When each stretch of audio arrived, so that a final can say how late it is."""

from bisect import bisect_left

GRAIN_S = 0.02
"""Seconds of audio that share an entry, so that a client of tiny frames costs no more memory."""


class Arrivals:
    """A short memory of (audio received, time of arrival), both in seconds and never decreasing."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self._times: list[float] = []

    def __len__(self) -> int:
        return len(self._ends)

    def note(self, end_s: float, now: float) -> None:
        """All audio before `end_s` has arrived by `now`."""
        if len(self._ends) > 1 and end_s - self._ends[-2] < GRAIN_S:
            self._ends[-1], self._times[-1] = end_s, now
        else:
            self._ends.append(end_s)
            self._times.append(now)

    def time_of(self, audio_s: float) -> float | None:
        """When the audio before `audio_s` had arrived; None where nothing is known of it."""
        index = min(bisect_left(self._ends, audio_s), len(self._ends) - 1)
        return self._times[index] if index >= 0 else None

    def forget_before(self, audio_s: float) -> None:
        """Drop what is older than `audio_s`."""
        old = bisect_left(self._ends, audio_s)
        if old > 256:  # now and then: deleting from the front moves the rest
            del self._ends[:old], self._times[:old]
