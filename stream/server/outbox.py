"""The messages that wait to be sent to one client, in order.

A client that reads slowly gets every final, but only the newest partial of each utterance: a newer
partial replaces the older one and moves to the end of the queue, and a final drops the partial of
its utterance. If too many messages wait that may not be dropped, the reader is too slow to be
served. Pure.
"""

from collections import OrderedDict
from collections.abc import Hashable

from stream.protocols.stream_protocol import Draft

LIMIT = 256
"""How many messages may wait for a reader: minutes of finals, and a bound on memory (a final of the
longest utterance, with all its words, has about 60 kB)."""


class Outbox:
    """A queue in which a message may replace an older one on the same subject."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.coalesced = 0
        """How many messages were dropped for a newer one."""
        self._drafts: OrderedDict[Hashable, Draft] = OrderedDict()
        """By subject if they are replaceable, otherwise by a number of their own."""
        self._count = 0

    def __len__(self) -> int:
        return len(self._drafts)

    @property
    def overflowing(self) -> bool:
        """Whether more than `limit` messages wait: the reader is too slow."""
        return len(self._drafts) > self.limit

    def put(self, draft: Draft) -> None:
        """Append a message, and drop the replaceable one on the same subject."""
        about = ("about", draft.subject)
        if about in self._drafts:
            del self._drafts[about]
            self.coalesced += 1
        self._count += 1
        key: Hashable = about if draft.replaceable else self._count
        self._drafts[key] = draft

    def take(self) -> Draft | None:
        """Remove and return the oldest message; None if none waits."""
        return self._drafts.popitem(last=False)[1] if self._drafts else None
