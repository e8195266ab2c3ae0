"""The rooms of a server: streams come in at one side, readers listen at the other.

A message is encoded once, whoever many read it; each reader has an outbox of its own, in which a
partial is overtaken by its successor, and a reader whose outbox overflows is let go. So readers
cost the speaker nothing but the turns of the event loop.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from stream.core.events import Event, KeyPressed
from stream.protocols.interface import QueuedMessage, RoomMembership
from stream.protocols.session_protocol import SessionProtocol
from stream.rooms.messages import Final, Listing, Live, Message, Partial
from stream.rooms.room import Room, nothing_yet
from stream.server.outbox import Outbox
from stream.server.rooms.store import RoomStore, StoreError

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
"""How late a room may be forgotten."""

READER_LIMIT = 64
"""Messages that wait for a reader: minutes of finals. A page that comes back gets a snapshot."""

encode = msgspec.json.Encoder().encode


class Reader:
    """Someone who reads a room: an asynchronous iterator of encoded messages, the snapshot first.

    It ends when the room is forgotten, when the server goes, or when the reader is too slow.
    """

    def __init__(self, snapshot: bytes) -> None:
        self.outbox = Outbox(READER_LIMIT)
        self.outbox.put(QueuedMessage(snapshot))
        self._woken = asyncio.Event()
        self._woken.set()
        self._over = False

    def put(self, message: QueuedMessage) -> None:
        """Queue a message."""
        self.outbox.put(message)
        if self.outbox.overflowing:
            self.end()
        self._woken.set()

    def end(self) -> None:
        """Send what waits and no more."""
        self._over = True
        self._woken.set()

    def take_waiting(self) -> list[bytes]:
        """Take all that waits; nothing, where the reader was too slow."""
        if self.outbox.overflowing:
            return []
        return [message.body for message in iter(self.outbox.take, None)]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self.outbox:
            if self._over:
                raise StopAsyncIteration
            self._woken.clear()
            await self._woken.wait()
        if self.outbox.overflowing:
            raise StopAsyncIteration
        message = self.outbox.take()
        assert message is not None
        body: bytes = message.body
        return body


class Rooms:
    """All rooms of a server, live and kept."""

    def __init__(
        self,
        store: RoomStore,
        keep_s: float,
        max_readers: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`keep_s` is how long a room is kept that is over; `clock` gives seconds since 1970."""
        self.store = store
        self.keep_s = keep_s
        self.max_readers = max_readers
        self.live: dict[str, Room] = {}
        self.listeners: list[Callable[[Room, Message], None]] = []
        """Called with every message that says something for good, for webhooks."""
        self._readers: dict[str, set[Reader]] = {}
        self._clock = clock
        self._closed = False
        store.end_all(clock())

    @property
    def n_readers(self) -> int:
        """Readers of all rooms."""
        return sum(map(len, self._readers.values()))

    def join(self, member: RoomMembership) -> tuple[Room, int]:
        """Add a session to its room, which is opened if there is none.

        Returns the room and the number of the session in it.
        """
        room = self._find_or_none(member.room) or Room(member.room, self._clock())
        room.about.update(member.about)
        self.live[member.room] = room
        self.store.open_room(room)
        number, messages = room.take_seat(
            member.speakers, member.channels, member.sample_rate, self._clock()
        )
        self._broadcast(room, messages)
        return room, number

    def find(self, name: str) -> Room | None:
        """Return a room that is live or kept. Raises `StoreError`."""
        return self.live.get(name) or self.store.find(name)

    def _find_or_none(self, name: str) -> Room | None:
        """Return a room; None too where those that are over cannot be read: streams go on."""
        try:
            return self.find(name)
        except StoreError:
            return None

    def settled_s(self, room: Room) -> float:
        """Seconds from the opening of a room before which no line will come any more."""
        return room.settled_s(self._clock())

    def listing(self) -> list[Listing]:
        """Return what rooms there are, the latest first. Raises `StoreError`."""
        return self.store.listing()

    def read(self, name: str) -> Reader:
        """Return a reader of a room, which may be opened later; close it with `stop_reading`."""
        room = self._find_or_none(name)
        reader = Reader(encode(room.snapshot() if room else nothing_yet(name)))
        self._readers.setdefault(name, set()).add(reader)
        return reader

    def stop_reading(self, name: str, reader: Reader) -> None:
        """A reader is gone."""
        readers = self._readers.get(name, set())
        readers.discard(reader)
        if not readers:
            self._readers.pop(name, None)

    async def forget(self) -> None:
        """Forget what has been kept for long enough, for ever and again."""
        while True:
            self.forget_old()
            await asyncio.sleep(FORGET_EVERY_S)

    def forget_old(self) -> None:
        """Forget what has been kept for long enough."""
        for name in self.store.forget_ended_before(self._clock() - self.keep_s):
            for reader in self._readers.get(name, set()):
                reader.end()

    def let_readers_go(self) -> None:
        """End all readers, when they have what waits for them."""
        for readers in self._readers.values():
            for reader in readers:
                reader.end()

    def close(self) -> None:
        """Let all readers go; may be called again."""
        if self._closed:
            return
        self._closed = True
        self.let_readers_go()
        self.store.end_all(self._clock())
        self.store.close()

    def receive(self, room: Room, number: int, event: Event | KeyPressed) -> None:
        """Take what a stream has to say."""
        self._broadcast(room, room.receive(number, event, self._clock()))

    def leave(self, room: Room, number: int) -> None:
        """A stream is gone; the room is over with the last."""
        messages = room.leave(number, self._clock())
        if not room.live:
            self.store.end_room(room.name, self._clock())
            del self.live[room.name]
        self._broadcast(room, messages)

    def _broadcast(self, room: Room, messages: Sequence[Message]) -> None:
        for message in messages:
            if isinstance(message, Final) and message.text:
                self.store.add_line(room.name, message)
            if not isinstance(message, Partial):
                for listen in self.listeners:
                    listen(room, message)
            queued = queued_message(message)
            for reader in self._readers.get(room.name, ()):
                reader.put(queued)


class Participant:
    """The places of a stream's sessions in their rooms; a session may have none."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._places: dict[str, tuple[Room, int]] = {}
        """By the id of the session."""

    def share(self, protocol: SessionProtocol) -> None:
        """Give the rooms what the protocol has for them, once a session is open."""
        for opened in protocol.sessions:
            if opened.membership is not None and opened.session.id not in self._places:
                self._places[opened.session.id] = self.rooms.join(opened.membership)
        if self._places:
            for session_id, event in protocol.captions_to_share():
                if place := self._places.get(session_id):
                    self.rooms.receive(*place, event)

    def leave(self, session_id: str) -> None:
        """Remove a session from its room, if it is in one."""
        if place := self._places.pop(session_id, None):
            self.rooms.leave(*place)

    def leave_all(self) -> None:
        """Remove all sessions: the stream is over."""
        for session_id in list(self._places):
            self.leave(session_id)


def queued_message(message: Message) -> QueuedMessage:
    """Encode a message for all readers; what is newer about a line replaces its partial."""
    match message:
        case Partial(line=line):
            return QueuedMessage(encode(message), subject=f"line {line}", replaceable=True)
        case Final(line=line):
            return QueuedMessage(encode(message), subject=f"line {line}")
        case Live():
            return QueuedMessage(encode(message), subject="live", replaceable=True)
    return QueuedMessage(encode(message))
