"""The load ladder: what a server leaves out if it is too busy, and in which order.

Theory of operation. Only the engine's queue is measured: how long windows of live streams waited
before the engine took them, and how long those in the queue have waited so far. (Windows of
uploads may wait.) Two waits are recorded, each as a maximum that halves every `HALF_LIFE_S`: that
of finals, which somebody is waiting for, and that of all windows. Partials wait by design while
finals are decoded, and a slow partial does no harm, so the wait of all windows can only make
partials slower. Only the wait of finals can stop partials and then close the server to new
streams. No stream that was admitted is closed.

`LADDER` is the whole table. A rung is climbed as soon as a wait exceeds its limit, but one rung at
a time: `CLIMB_S` passes first, so that the effect of the last rung can be measured. A rung is left
when both waits have been below half of its limits for `REST_S`; half, because it was the rung
itself that shortened them.

Pure: the time is passed in, in seconds of any steady clock.
"""

from dataclasses import dataclass
from math import inf

from stream.core.load import Load

HALF_LIFE_S = 2.0
"""The time in which a recorded wait halves. Longer than the slowest batch, so that a wait is not
forgotten before the next is measured; short, so that a burst has no effect for long."""
CLIMB_S = 0.5
"""Longer than most batches, so that the next wait shows what the rung has changed."""
REST_S = 10.0
"""A few utterances long, because the speakers of admitted streams may just be silent. In
simulations of a crowd that comes stream by stream, the waits were a third shorter with 10 s than
with 5 s (`test_simulation.py`)."""
RETRY_AFTER_S = 15
"""How long a refused client is asked to wait: longer than it takes to descend a rung."""

assert REST_S < RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder, and the waits that lead to it."""

    load: Load
    admits: bool
    """Whether new streams are admitted."""
    window_s: float
    """The wait of any window above which this rung is climbed."""
    final_s: float
    """The wait of a final above which this rung is climbed."""


LADDER = (
    Rung(Load.NORMAL, True, 0.0, 0.0),
    Rung(Load.SLOW_PARTIALS, True, 0.5, 0.25),
    Rung(Load.FINALS_ONLY, True, inf, 0.4),
    Rung(Load.FINALS_ONLY, False, inf, 0.6),
)
"""From idle to full. A partial that waited half a second is outdated: the next is due. A final is
to arrive within a second after the endpoint, of which half is for transcribing it."""


@dataclass(slots=True)
class FadingPeak:
    """The highest recent value, in seconds: it halves every `HALF_LIFE_S`."""

    _value: float = 0.0
    _at: float = 0.0

    def note(self, value: float, now: float) -> None:
        """Record a value."""
        self._value, self._at = max(self.at(now), value), now

    def at(self, now: float) -> float:
        """Return the value that remains at this time."""
        return float(self._value * 0.5 ** (max(0.0, now - self._at) / HALF_LIFE_S))


class LoadLadder:
    """The rung that a server is on."""

    def __init__(self) -> None:
        self.step = 0
        """Index into `LADDER`."""
        self._windows = FadingPeak()
        self._finals = FadingPeak()
        self._changed_at = -inf
        self._busy_at = -inf
        """When a wait was last too long to leave this rung."""

    @property
    def rung(self) -> Rung:
        """The current rung."""
        return LADDER[self.step]

    def note_wait(self, waited_s: float, final: bool, now: float) -> None:
        """Record how long a window waited, or has waited so far."""
        self._windows.note(waited_s, now)
        if final:
            self._finals.note(waited_s, now)

    def window_wait_s(self, now: float) -> float:
        """Return the longest recent wait of any window, in seconds."""
        return self._windows.at(now)

    def update(self, now: float) -> bool:
        """Climb or descend a rung if it is time to, and return whether that was so.

        Call it regularly, also while no window waits: rungs are left then.
        """
        if self.step + 1 < len(LADDER) and self._reaches(LADDER[self.step + 1], 1.0, now):
            self._busy_at = now
            return now - self._changed_at >= CLIMB_S and self._go(self.step + 1, now)
        if self._reaches(self.rung, 0.5, now):
            self._busy_at = now
        rested = now - max(self._busy_at, self._changed_at) >= REST_S
        return self.step > 0 and rested and self._go(self.step - 1, now)

    def _reaches(self, rung: Rung, fraction: float, now: float) -> bool:
        """Return whether a wait exceeds this fraction of a rung's limits."""
        windows_s, finals_s = self._windows.at(now), self._finals.at(now)
        return windows_s > fraction * rung.window_s or finals_s > fraction * rung.final_s

    def _go(self, step: int, now: float) -> bool:
        self.step, self._changed_at = step, now
        return True
