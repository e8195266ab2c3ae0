"""Chooses the windows that the engine transcribes next.

Theory of operation. There are two queues of live windows. Finals are never replaced or dropped,
because a client waits for each. The finals of a session are taken in order, and sessions take
turns, so that an upload with fifty finals does not delay that of a live speaker, and new sessions
do not delay those that already wait. (A final may join a batch of its length before an older final
of its session has been taken; the session still sends its finals in order.) At most one partial of
an utterance is queued: a newer window of the same utterance replaces the older one, because it
contains the same audio and more, and a final removes the partial of its utterance for the same
reason. The newer window takes the older one's place in the queue, so that frequent windows do not
delay their utterance for ever.

A batch costs as much as if all its windows were as long as its longest, so a batch holds windows of
similar length. The final whose turn it is comes first, or, if there is none, the oldest partial.
After it come finals of similar length, by turns, and, if no final is left in the queue, partials of
similar length.

The windows of recordings wait until both queues are empty; then they are taken by turns as well.
While there is any live session they are taken one at a time, because a batch that has begun cannot
be stopped, and a live speaker waits for its end. After `PATIENCE` live batches in a row, one window
of a recording is taken before the live ones, so that a server that is never idle transcribes its
uploads as well.

Pure: the module uses neither clocks nor threads; `engine.py` holds the lock.
"""

from collections import Counter
from collections.abc import Callable

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, WindowKind

Utterance = tuple[str, int, int]
"""Session, channel, utterance."""

LIKE_RATIO = 0.5
"""Windows are of similar length if they differ by at most this part of the first one's length,"""
LIKE_SAMPLES = 2 * SAMPLE_RATE
"""or by at most this many samples, where the padding costs less than a separate batch."""

PATIENCE = 16
"""The most live batches between two windows of recordings."""


class Scheduler:
    """The windows that wait for the engine."""

    def __init__(self, max_batch: int = 8) -> None:
        self.max_batch = max_batch
        self.finals: list[Window] = []
        self.partials: dict[Utterance, Window] = {}
        self.files: list[Window] = []
        self._live: set[str] = set()
        """Live sessions, from their first window until `forget`."""
        self._most = max_batch
        self._patience = PATIENCE
        self._batches = 0
        self._served: dict[str, int] = {}
        """By session, the number of the last batch with a final or a window of a recording of this
        session; at first, the number of the last batch before its first window."""

    def __len__(self) -> int:
        return len(self.finals) + len(self.partials) + len(self.files)

    def add(self, window: Window) -> Window | None:
        """Queue a window; return the queued partial that it replaces, if there is one."""
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
        self.partials[utterance] = window  # an existing key of a dict stays in its place
        return superseded

    def next_batch(self, most: int | None = None) -> list[Window]:
        """Remove and return windows of similar length; an empty list if the queues are empty.

        `most` can limit their number below `max_batch`, to leave windows to other threads.
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
        """Return the first windows, as many as fit, and record that their sessions had a turn."""
        batch = windows[: self._most]
        self._batches += 1
        self._served |= {window.session: self._batches for window in batch}
        return batch

    def _by_turns(self, windows: list[Window]) -> list[Window]:
        """Order windows by turns: the first of each session, then the second of each, and so on.

        Within a turn, the session whose last turn is longest ago comes first.
        """
        place: Counter[str] = Counter()
        turns = []
        for number, window in enumerate(windows):
            turns.append((place[window.session], self._served[window.session], number))
            place[window.session] += 1
        return [windows[number] for _, _, number in sorted(turns)]

    def forget(self, session: str) -> list[Window]:
        """Remove and return all windows of a session that has ended."""
        waiting = (*self.finals, *self.partials.values(), *self.files)
        gone = [w for w in waiting if w.session == session]
        self.finals = without(self.finals, gone)
        self.files = without(self.files, gone)
        self.partials = {u: w for u, w in self.partials.items() if u[0] != session}
        self._served.pop(session, None)
        self._live.discard(session)
        return gone


def like(leader: Window) -> Callable[[Window], bool]:
    """Return a predicate that is true for windows of a length similar to that of the leader."""
    length = len(leader.samples)
    slack = max(LIKE_RATIO * length, LIKE_SAMPLES)
    return lambda window: abs(len(window.samples) - length) <= slack


def without(windows: list[Window], taken: list[Window]) -> list[Window]:
    """Return the windows that are not among `taken`; windows are compared by identity."""
    gone = {id(window) for window in taken}
    return [window for window in windows if id(window) not in gone]
