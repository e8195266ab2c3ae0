"""The load ladder: what a server omits if it is too busy, and in which order.

Theory of operation. Only the engine's queue is measured: how long windows of live streams waited
before their transcription began, and how long those in the queue have waited so far. (Windows of
uploads do not count.) Two waits are recorded, each as a maximum that halves every `HALF_LIFE_S`:
that of finals, for which users wait, and that of all windows. Partials always wait while finals are
decoded, and a slow partial does no harm, so the wait of all windows can only make partials less
frequent. Only the wait of finals can stop partials, and then refuse new streams. A stream that was
admitted is never closed.

`LADDER` is the whole table. The server moves to the next rung as soon as a wait exceeds its limit,
but only one rung at a time: `CLIMB_S` must pass first, so that the effect of the last rung can be
measured. It moves back when both waits have been below half of the limits of the current rung for
`REST_S`. Half of the limits, because the rung itself has shortened the waits.

Pure: the time is passed in, in seconds of any monotonic clock.
"""

from dataclasses import dataclass
from math import inf

from stream.core.load import Load

HALF_LIFE_S = 2.0
"""The time in which a recorded wait halves. It is longer than the slowest batch, so that a wait is
remembered until the next is measured, and short, so that the effect of a burst is short."""
CLIMB_S = 0.5
"""The least time on a rung before the next one. It is longer than most batches, so that the next
wait shows the effect of the rung."""
REST_S = 10.0
"""The time with short waits after which the server moves back a rung. It is as long as a few
utterances, because the speakers of admitted streams may only be pausing. In simulations of streams
that arrive one by one, the waits were a third shorter with 10 s than with 5 s
(`test_simulation.py`)."""
RETRY_AFTER_S = 15
"""Seconds after which a refused client may try again: longer than it takes to move back a rung."""

assert REST_S < RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder, with the waits above which it is reached."""

    load: Load
    admits: bool
    """Whether new streams are admitted."""
    window_s: float
    """The wait of any window above which the server moves to this rung."""
    final_s: float
    """The wait of a final above which the server moves to this rung."""


LADDER = (
    Rung(Load.NORMAL, True, 0.0, 0.0),
    Rung(Load.SLOW_PARTIALS, True, 0.5, 0.25),
    Rung(Load.FINALS_ONLY, True, inf, 0.4),
    Rung(Load.FINALS_ONLY, False, inf, 0.6),
)
"""The rungs, from idle to full. A partial that waited half a second is outdated, because the next
one is due. A final must arrive within a second after the endpoint, and its transcription takes half
of that."""


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
        """The last time at which a wait was too long to move back from this rung."""

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
        """Move up or down a rung if it is due, and return whether the rung has changed.

        It must be called regularly, also while no window waits, because the waits decrease then.
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
