"""The messages that wait to be sent to one client, in order.

A client that reads slowly gets every final, but only the newest partial of each utterance: a newer
partial replaces the older one (at the end of the queue), and a final replaces the partial of its
utterance. If too many messages wait, the client reads too slowly to be served. Pure: the sender
takes messages from here when the socket accepts them.
"""

from collections import OrderedDict
from collections.abc import Hashable

from stream.protocols.interface import QueuedMessage

LIMIT = 256
"""The most messages that may wait for a client: minutes of finals, and a bound on memory (a final
of the longest utterance, with all its words, takes about 60 kB)."""


class Outbox:
    """A queue of messages in which a newer message can replace an older one on the same subject."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self.coalesced = 0
        """Number of messages that were replaced by a newer one."""
        self._messages: OrderedDict[Hashable, QueuedMessage] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def overflowing(self) -> bool:
        """Whether more than `limit` messages wait, so that the client reads too slowly."""
        return len(self._messages) > self.limit

    def put(self, message: QueuedMessage) -> None:
        """Append a message, and drop the one that it replaces, if any."""
        about = ("about", message.subject)
        if about in self._messages:
            del self._messages[about]
            self.coalesced += 1
        self._count += 1
        key: Hashable = about if message.replaceable else self._count
        self._messages[key] = message

    def take(self) -> QueuedMessage | None:
        """Remove and return the oldest message; None if none waits."""
        return self._messages.popitem(last=False)[1] if self._messages else None
