"""Which windows the engine transcribes next.

Theory of operation. Two queues. Finals are never replaced or dropped: someone waits for each. A
session's own lead in order, and sessions take turns, so that an upload with fifty finals to come
does not stand before the one of somebody who is speaking, and those who come do not stand before
those who wait. (One may ride along in a batch of its
length before its elder has led; the session sends its finals in order all the same.) Partials wait
one per utterance: a newer window of the same utterance takes the place of the older in the queue,
because it holds the same audio and more, and a final removes the partial of its utterance for the
same reason. It keeps the older one's turn, so that nobody pushes himself back for ever.

A batch costs as much as if all its windows were as long as its longest, so windows of like length
share one. The final whose turn it is leads, or, where there is none, the oldest partial; behind it
go finals of like length, by turns, and, if no final is left to wait, partials of like length.

Pure: knows no clock and no thread; `worker.py` holds the lock.
"""

from collections import Counter

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Window, WindowKind

Utterance = tuple[str, int, int]
"""Session, channel, utterance."""

LIKE_RATIO = 0.5
"""Windows are of like length when they differ by at most this part of the leader's,"""
LIKE_SAMPLES = 2 * SAMPLE_RATE
"""or by this many samples, over which a model's fixed costs outweigh the padding."""


class Scheduler:
    """The windows that wait for the engine."""

    def __init__(self, max_batch: int = 8) -> None:
        self.max_batch = max_batch
        self.finals: list[Window] = []
        self.partials: dict[Utterance, Window] = {}
        self._batches = 0
        self._served: dict[str, int] = {}
        """By session: the last batch with a final of it, or the last before it came."""

    def __len__(self) -> int:
        return len(self.finals) + len(self.partials)

    def add(self, window: Window) -> Window | None:
        """Queue a window; return the partial that it makes superfluous, if one waited."""
        utterance = (window.session, window.channel, window.utterance)
        if window.kind is WindowKind.FINAL:
            self.finals.append(window)
            self._served.setdefault(window.session, self._batches)
            return self.partials.pop(utterance, None)
        superseded = self.partials.get(utterance)
        self.partials[utterance] = window  # a dict keeps the place of a key it already has
        return superseded

    def next_batch(self) -> list[Window]:
        """Take out up to `max_batch` windows of like length; none when nothing waits."""
        finals = self._finals_by_turns()
        waiting = finals or list(self.partials.values())
        if not waiting:
            return []
        leader = len(waiting[0].samples)
        slack = max(LIKE_RATIO * leader, LIKE_SAMPLES)

        def alike(window: Window) -> bool:
            return abs(len(window.samples) - leader) <= slack

        batch = list(filter(alike, finals))[: self.max_batch]
        taken = {id(window) for window in batch}
        self.finals = [window for window in self.finals if id(window) not in taken]
        self._batches += 1
        self._served |= {window.session: self._batches for window in batch}
        if not self.finals:
            riders = [u for u, window in self.partials.items() if alike(window)]
            batch += map(self.partials.pop, riders[: self.max_batch - len(batch)])
        return batch

    def _finals_by_turns(self) -> list[Window]:
        """Each session's first final, then each one's second, …; who waits longest goes first."""
        place: Counter[str] = Counter()
        turns = []
        for number, window in enumerate(self.finals):
            turns.append((place[window.session], self._served[window.session], number))
            place[window.session] += 1
        return [self.finals[number] for _, _, number in sorted(turns)]

    def forget(self, session: str) -> list[Window]:
        """Drop and return all windows of a session that is gone."""
        gone = [w for w in (*self.finals, *self.partials.values()) if w.session == session]
        self.finals = [w for w in self.finals if w.session != session]
        self.partials = {u: w for u, w in self.partials.items() if u[0] != session}
        self._served.pop(session, None)
        return gone
