"""What waits to be sent to one client, in order.

A client that reads slowly is owed every final, and only the newest partial of each utterance: a
newer one takes the older one's place (at the end of the line), and a final makes the partial of its
utterance superfluous. What cannot be dropped is counted; when too much of it waits, the reader is
too slow to be served. Pure: whoever sends takes from here when the socket has room.
"""

from collections import OrderedDict
from collections.abc import Hashable

from stream.protocols.stream_protocol import Draft

LIMIT = 256
"""Messages that wait for a reader: minutes of finals, and a bound on memory (a final of the longest
utterance, with all its words, is some 60 kB)."""


class Outbox:
    """Drafts by subject; those without one, and those that stay, are keyed by their number."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.coalesced = 0
        """Drafts that a newer one made superfluous."""
        self._drafts: OrderedDict[Hashable, Draft] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return len(self._drafts)

    @property
    def overflowing(self) -> bool:
        """Whether the reader is too slow: more waits than `limit`."""
        return len(self._drafts) > self.limit

    def put(self, draft: Draft) -> None:
        """Queue a draft, and drop the one it makes superfluous."""
        about = ("about", draft.subject)
        if about in self._drafts:
            del self._drafts[about]
            self.coalesced += 1
        self._count += 1
        key: Hashable = about if draft.replaceable else self._count
        self._drafts[key] = draft

    def take(self) -> Draft | None:
        """Take out the oldest draft; None when nothing waits."""
        return self._drafts.popitem(last=False)[1] if self._drafts else None
