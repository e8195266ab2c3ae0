"""Looks twenty times a second at how late the event loop is and how long windows wait.

What follows from that is the load ladder's business (`server/load_ladder.py`); here are the clock,
and the way from the engine's thread.
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


class LoadWatch:
    """Keeps the ladder up to date, and tells when another load is to be announced."""

    def __init__(self, metrics: Metrics, tell: Callable[[Load], None], shed: bool = True) -> None:
        """Take what is to be told of a load; without `shed` there is only ever one."""
        self._shed = shed
        self._metrics = metrics
        self._tell = tell
        self._ladder = LoadLadder()
        self._loop = asyncio.get_running_loop()

    @property
    def rung(self) -> Rung:
        """What streams are given, and whether new ones are let in."""
        return self._ladder.rung

    def receive_batch(self, report: BatchReport) -> None:
        """Take note of a batch; called on the engine's thread."""
        self._metrics.count_batch(report)
        with suppress(RuntimeError):  # the loop is gone, and with it all streams
            self._loop.call_soon_threadsafe(lambda: self._note(report.waits, self._loop.time()))

    async def watch(self, engine: Engine) -> None:
        """Look at the engine and at the clock, for ever."""
        while True:
            due = self._loop.time() + TICK_S
            await asyncio.sleep(TICK_S)
            now = self._loop.time()
            self._metrics.loop_late_s.observe(max(0.0, now - due))
            self.look(engine.waits(), now)

    def look(self, waits: Sequence[Wait], now: float) -> None:
        """Take note of how long windows have been waiting so far, and climb or descend."""
        self._note(waits, now)
        before = self.rung.load
        if self._shed:
            self._ladder.update(now)
        self._metrics.wait_s.set(self._ladder.window_wait_s(now))
        self._metrics.load.set(self._ladder.step)
        if self.rung.load is not before:
            self._tell(self.rung.load)

    def _note(self, waits: Sequence[Wait], now: float) -> None:
        for kind in WindowKind:
            longest_s = max((wait.seconds for wait in waits if wait.kind is kind), default=0.0)
            self._ladder.note_wait(longest_s, kind is WindowKind.FINAL, now)
