"""What a server that is too busy leaves out, and in which order: the load ladder.

Theory of operation. The engine's queue is the only thing that is measured: how long windows of live
streams waited before they were taken, and how long those that still wait have been waiting. (An
upload may wait.) Two waits are kept, each as a maximum that halves every `HALF_LIFE_S`: that of
finals, which somebody is waiting for, and that of any window. Partials wait by design while finals
are decoded, and a slow partial does no harm, so they can make partials slower and no more; only
late finals take partials away, and then close the door to new streams. Whoever is in stays in.

`LADDER` is the whole table. A rung is climbed as soon as a wait is over its limit, but one at a
time: what it changes must have had `CLIMB_S` to show. It is left when both waits have been below
half of its limits for `REST_S`: half, because what relieved the engine was the rung itself.

Pure: the time is passed in, in seconds of any steady clock.
"""

from dataclasses import dataclass
from math import inf

from stream.core.load import Load

HALF_LIFE_S = 2.0
"""After which a wait counts half. Longer than the slowest batch, so that one wait is not forgotten
before the next is measured; short, so that a burst is over when it is over."""
CLIMB_S = 0.5
"""Longer than most batches: what a rung changes shows in the next one."""
REST_S = 10.0
"""A few utterances long: who was let in may just not be speaking. In simulations of a crowd that
comes stream by stream, 10 s in place of 5 took a third off the waits (`test_simulation.py`)."""
RETRY_AFTER_S = 15
"""What a client that is refused is told to wait: longer than it takes to come down a rung."""

assert REST_S < RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Rung:
    """A step of the ladder, and the waits that lead up to it."""

    load: Load
    admits: bool
    """Whether new streams are let in."""
    window_s: float
    """A wait of any window that leads here; so for finals."""
    final_s: float


LADDER = (
    Rung(Load.NORMAL, True, 0.0, 0.0),
    Rung(Load.SLOW_PARTIALS, True, 0.5, 0.25),
    Rung(Load.FINALS_ONLY, True, inf, 0.4),
    Rung(Load.FINALS_ONLY, False, inf, 0.6),
)
"""From idle to full. A partial that waited half a second is a hop old. A final shall be there a
second after the endpoint, and half of that is for transcribing it."""


@dataclass(slots=True)
class FadingPeak:
    """The highest value of late, in seconds: it halves every `HALF_LIFE_S`."""

    _value: float = 0.0
    _at: float = 0.0

    def note(self, value: float, now: float) -> None:
        """Take a value."""
        self._value, self._at = max(self.at(now), value), now

    def at(self, now: float) -> float:
        """Return what is left of it."""
        return float(self._value * 0.5 ** (max(0.0, now - self._at) / HALF_LIFE_S))


class LoadLadder:
    """Where a server stands on the ladder."""

    def __init__(self) -> None:
        self.step = 0
        """Index into `LADDER`."""
        self._windows = FadingPeak()
        self._finals = FadingPeak()
        self._changed_at = -inf
        self._busy_at = -inf
        """When a wait was last too long for this rung to be left."""

    @property
    def rung(self) -> Rung:
        """The rung that is stood on."""
        return LADDER[self.step]

    def note_wait(self, waited_s: float, final: bool, now: float) -> None:
        """Take note of how long a window waited, or has been waiting so far."""
        self._windows.note(waited_s, now)
        if final:
            self._finals.note(waited_s, now)

    def window_wait_s(self, now: float) -> float:
        """How long windows have lately waited at worst."""
        return self._windows.at(now)

    def update(self, now: float) -> bool:
        """Climb or descend a rung where it is time to; return whether that was so.

        To be called every now and then, also while nothing waits: that is when it is left.
        """
        if self.step + 1 < len(LADDER) and self._reaches(LADDER[self.step + 1], 1.0, now):
            self._busy_at = now
            return now - self._changed_at >= CLIMB_S and self._go(self.step + 1, now)
        if self._reaches(self.rung, 0.5, now):
            self._busy_at = now
        rested = now - max(self._busy_at, self._changed_at) >= REST_S
        return self.step > 0 and rested and self._go(self.step - 1, now)

    def _reaches(self, rung: Rung, part: float, now: float) -> bool:
        """Tell whether a wait is over this part of a rung's limits."""
        windows_s, finals_s = self._windows.at(now), self._finals.at(now)
        return windows_s > part * rung.window_s or finals_s > part * rung.final_s

    def _go(self, step: int, now: float) -> bool:
        self.step, self._changed_at = step, now
        return True
