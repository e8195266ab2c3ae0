"""Which windows the engine transcribes next.

Theory of operation. Two queues of live windows. Finals are never replaced or dropped: someone waits
for each. A session's own lead in order, and sessions take turns, so that an upload with fifty
finals to come does not stand before the one of somebody who is speaking, and those who come do not
stand before those who wait. (One may ride along in a batch of its length before its elder has led;
the session sends its finals in order all the same.) Partials wait
one per utterance: a newer window of the same utterance takes the place of the older in the queue,
because it holds the same audio and more, and a final removes the partial of its utterance for the
same reason. It keeps the older one's turn, so that nobody pushes himself back for ever.

A batch costs as much as if all its windows were as long as its longest, so windows of like length
share one. The final whose turn it is leads, or, where there is none, the oldest partial; behind it
go finals of like length, by turns, and, if no final is left to wait, partials of like length.

The windows of recordings wait behind all of these; then they are taken by turns as well. While
there is any live session they go one at a time, because a batch that has begun cannot be stopped,
and who speaks meanwhile waits for its end. Only after `PATIENCE` live batches in a row does one of
them get a turn: a server that is never idle transcribes its uploads all the same.

Pure: knows no clock and no thread; `engine.py` holds the lock.
"""

from collections import Counter
from collections.abc import Callable

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, WindowKind

Utterance = tuple[str, int, int]
"""Session, channel, utterance."""

LIKE_RATIO = 0.5
"""Windows are of like length when they differ by at most this part of the leader's,"""
LIKE_SAMPLES = 2 * SAMPLE_RATE
"""or by this many samples, over which a model's fixed costs outweigh the padding."""

PATIENCE = 16
"""Live batches that a recording waits for at most, between two windows of recordings."""


class Scheduler:
    """The windows that wait for the engine."""

    def __init__(self, max_batch: int = 8) -> None:
        self.max_batch = max_batch
        self.finals: list[Window] = []
        self.partials: dict[Utterance, Window] = {}
        self.files: list[Window] = []
        self._live: set[str] = set()
        """Sessions of people who speak, from their first window until they are forgotten."""
        self._most = max_batch
        self._patience = PATIENCE
        self._batches = 0
        self._served: dict[str, int] = {}
        """By session: the last batch with a final, or a window of a recording, of it, or the last
        before it came."""

    def __len__(self) -> int:
        return len(self.finals) + len(self.partials) + len(self.files)

    def add(self, window: Window) -> Window | None:
        """Queue a window; return the partial that it makes superfluous, if one waited."""
        if window.kind is not WindowKind.PARTIAL:
            self._served.setdefault(window.session, self._batches)
        if window.kind is WindowKind.FILE:
            self.files.append(window)
            return None
        self._live.add(window.session)
        utterance = (window.session, window.channel, window.utterance)
        if window.kind is WindowKind.FINAL:
            self.finals.append(window)
            return self.partials.pop(utterance, None)
        superseded = self.partials.get(utterance)
        self.partials[utterance] = window  # a dict keeps the place of a key it already has
        return superseded

    def next_batch(self, most: int | None = None) -> list[Window]:
        """Take out windows of like length; none when nothing waits.

        `most` is how many, up to `max_batch`: no more than the part of one of several threads.
        """
        self._most = self.max_batch if most is None else min(most, self.max_batch)
        live = self.finals or self.partials
        if live and (self._patience or not self.files):
            self._patience -= bool(self.files)
            return self._live_batch()
        self._patience = PATIENCE
        return self._file_batch()

    def _live_batch(self) -> list[Window]:
        waiting = self._by_turns(self.finals) or list(self.partials.values())
        alike = like(waiting[0])
        batch = self._serve([w for w in waiting if w.kind is WindowKind.FINAL and alike(w)])
        self.finals = without(self.finals, batch)
        if not self.finals:
            riders = [u for u, window in self.partials.items() if alike(window)]
            batch += map(self.partials.pop, riders[: self._most - len(batch)])
        return batch

    def _file_batch(self) -> list[Window]:
        if not self.files:
            return []
        waiting = self._by_turns(self.files)
        batch = self._serve(list(filter(like(waiting[0]), waiting))[: 1 if self._live else None])
        self.files = without(self.files, batch)
        return batch

    def _serve(self, windows: list[Window]) -> list[Window]:
        """Take note that the first of these, as many as go, had their turn; return them."""
        batch = windows[: self._most]
        self._batches += 1
        self._served |= {window.session: self._batches for window in batch}
        return batch

    def _by_turns(self, windows: list[Window]) -> list[Window]:
        """Each session's first window, then each one's second, …; who waits longest goes first."""
        place: Counter[str] = Counter()
        turns = []
        for number, window in enumerate(windows):
            turns.append((place[window.session], self._served[window.session], number))
            place[window.session] += 1
        return [windows[number] for _, _, number in sorted(turns)]

    def forget(self, session: str) -> list[Window]:
        """Drop and return all windows of a session that is gone."""
        waiting = (*self.finals, *self.partials.values(), *self.files)
        gone = [w for w in waiting if w.session == session]
        self.finals = without(self.finals, gone)
        self.files = without(self.files, gone)
        self.partials = {u: w for u, w in self.partials.items() if u[0] != session}
        self._served.pop(session, None)
        self._live.discard(session)
        return gone


def like(leader: Window) -> Callable[[Window], bool]:
    """Return what tells whether a window is long enough, and short enough, to go with this one."""
    length = len(leader.samples)
    slack = max(LIKE_RATIO * length, LIKE_SAMPLES)
    return lambda window: abs(len(window.samples) - length) <= slack


def without(windows: list[Window], taken: list[Window]) -> list[Window]:
    """The windows that were not taken; windows are told apart by identity."""
    gone = {id(window) for window in taken}
    return [window for window in windows if id(window) not in gone]
