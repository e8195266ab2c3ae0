"""Measures twenty times a second how late the event loop is and how long windows wait.

This module reads the clock and takes the reports of the engine's threads; `load_ladder` decides
what the server omits because of the waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from stream.core.load import Load
from stream.core.windows import WindowKind
from stream.engine.engine import BatchReport, Engine, Wait
from stream.server.load_ladder import LoadLadder, Rung
from stream.server.metrics import Metrics

TICK_S = 0.05
"""Interval at which the waits are measured."""


class LoadWatch:
    """Keeps the load ladder up to date and announces each change of the load."""

    def __init__(
        self, metrics: Metrics, announce: Callable[[Load], None], shed: bool = True
    ) -> None:
        """Start on the lowest rung.

        Args:
            metrics: metrics of the server, in which the waits are recorded.
            announce: called with the new load whenever it changes.
            shed: whether anything is omitted under load; if False, the rung never changes.
        """
        self._shed = shed
        self._metrics = metrics
        self._announce = announce
        self._ladder = LoadLadder()
        self._loop = asyncio.get_running_loop()

    @property
    def rung(self) -> Rung:
        """The current rung: what streams omit, and whether new ones are admitted."""
        return self._ladder.rung

    def receive_batch(self, report: BatchReport) -> None:
        """Take the engine's report of a batch; called on the engine's threads."""
        self._metrics.count_batch(report)
        with suppress(RuntimeError):  # the event loop and all streams are closed
            self._loop.call_soon_threadsafe(lambda: self._note(report.waits, self._loop.time()))

    async def watch(self, engine: Engine) -> None:
        """Measure every `TICK_S`, until cancelled."""
        while True:
            due = self._loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            self._metrics.loop_late_s.observe(max(0.0, now - due))
            self.look(engine.waits(), now)

    def look(self, waits: Sequence[Wait], now: float) -> None:
        """Record the waits of the queued windows, and update the ladder and the metrics."""
        self._note(waits, now)
        before = self.rung.load
        if self._shed:
            self._ladder.update(now)
        self._metrics.wait_s.set(self._ladder.window_wait_s(now))
        self._metrics.load.set(self._ladder.step)
        if self.rung.load is not before:
            self._announce(self.rung.load)

    def _note(self, waits: Sequence[Wait], now: float) -> None:
        for kind in WindowKind:
            longest_s = max((wait.seconds for wait in waits if wait.kind is kind), default=0.0)
            self._ladder.note_wait(longest_s, kind is WindowKind.FINAL, now)
