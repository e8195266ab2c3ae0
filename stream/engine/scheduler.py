"""Which windows the engine transcribes next.

Theory of operation. Two queues. Finals wait in order of arrival: someone waits for each of them
and none is ever replaced or dropped. Partials wait one per utterance: a newer window of the same
utterance takes the place of the older in the queue, because it holds the same audio and more,
and a final removes the partial of its utterance for the same reason. It keeps the older one's
turn, so a chatty stream cannot push itself back forever.

A batch is as long as its longest window, so windows of alike length share one: the batch is led
by the first in line, and filled with those nearest to it in length. Finals are always taken
before partials, but a batch may hold both: rows that would be empty cost little.

Pure: knows no clock and no thread; `worker.py` holds the lock.
"""

from stream.core.hypothesis import Window, WindowKind

Utterance = tuple[str, int, int]
"""Session, channel, utterance."""

LENGTH_RATIO = 1.5
"""A batch holds no partial longer than this times its leader's length: it would slow all rows."""


class Scheduler:
    """The windows that wait for the engine."""

    def __init__(self, max_batch: int = 8) -> None:
        self.max_batch = max_batch
        self.finals: list[Window] = []
        self.partials: dict[Utterance, Window] = {}

    def __len__(self) -> int:
        return len(self.finals) + len(self.partials)

    def add(self, window: Window) -> Window | None:
        """Queue a window; return the partial that it makes superfluous, if one waited."""
        utterance = (window.session, window.channel, window.utterance)
        if window.kind is WindowKind.FINAL:
            self.finals.append(window)
            return self.partials.pop(utterance, None)
        superseded = self.partials.get(utterance)
        self.partials[utterance] = window  # a dict keeps the place of a key it already has
        return superseded

    def next_batch(self) -> list[Window]:
        """Take up to `max_batch` windows out: finals in order, then partials that fit beside them.

        Empty when nothing waits.
        """
        batch = self.finals[: self.max_batch]
        del self.finals[: self.max_batch]
        if not batch and self.partials:
            batch = [self.partials.pop(next(iter(self.partials)))]
        if batch:
            self._fill(batch)
        return batch

    def _fill(self, batch: list[Window]) -> None:
        """Add the oldest partials that are not much longer than the batch already is."""
        longest = max(len(window.samples) for window in batch) * LENGTH_RATIO
        fitting = [u for u, w in self.partials.items() if len(w.samples) <= longest]
        batch.extend(map(self.partials.pop, fitting[: self.max_batch - len(batch)]))

    def forget(self, session: str) -> list[Window]:
        """Drop and return all windows of a session that is gone."""
        gone = [w for w in (*self.finals, *self.partials.values()) if w.session == session]
        self.finals = [w for w in self.finals if w.session != session]
        self.partials = {u: w for u, w in self.partials.items() if u[0] != session}
        return gone
