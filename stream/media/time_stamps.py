"""Compares the time stamps of decoded frames with the audio, to find time without audio.

A recorder that was muted, and packets that were lost, leave a jump in the time stamps. Time stamps
are rounded, and drift against the sample clock, so small differences are not gaps. Where they go
back, another recording begins: its time goes on at the end of the one before.
"""

MIN_GAP_S = 0.05
"""Seconds: a smaller jump is rounding or jitter."""

DRIFT_S = 0.5
"""Seconds by which the time stamps may run ahead in small steps before they count as a gap."""

RESTART_S = 0.5
"""Seconds by which they go back where another recording begins."""

DOUBTFUL_S = 10.0
"""A longer jump counts only if the next frame has the same time: it may be a damaged number."""


class TimeStamps:
    """The clock of one track; all times are in seconds."""

    def __init__(self) -> None:
        self._shift = 0.0
        """What is added to the time stamps."""
        self._expected: float | None = None
        """The time stamp at which the next frame is due; None before the first one."""
        self._end = 0.0
        """The end of the last frame on this clock."""

    @property
    def is_new(self) -> bool:
        """Whether no frame has come yet."""
        return self._end == 0.0

    def jump(self, time: float | None) -> float:
        """Return by how much a frame's time stamp is after the one that is due."""
        return 0.0 if time is None or self._expected is None else time - self._expected

    def gap(self, time: float | None, duration: float) -> float:
        """Take the next frame; return the seconds without audio before it, 0 if there are none."""
        gap = 0.0
        if time is not None:
            jump = self.jump(time)
            if self._expected is None or jump < -RESTART_S:
                self._shift = self._end - time
            ahead = time + self._shift - self._end
            if ahead > DRIFT_S or min(ahead, jump) > MIN_GAP_S:
                gap = ahead
            self._expected = time
        if self._expected is not None:
            self._expected += duration
        self._end += gap + duration
        return gap
