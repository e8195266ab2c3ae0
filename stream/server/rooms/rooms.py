"""The rooms of a server: receives the events of streams and queues messages for readers.

A message is encoded once for all readers. Each reader has its own outbox, in which a new partial
replaces the one before it; a reader whose outbox overflows is disconnected. A slow reader therefore
never delays a stream.
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
from stream.rooms.room import Room, empty_snapshot
from stream.server.outbox import Outbox
from stream.server.rooms.store import RoomStore, StoreError

log = logging.getLogger(__name__)

FORGET_EVERY_S = 60.0
"""Seconds between two deletions of old rooms."""

MAX_ROOMS = 20_000
"""Rooms that are stored; of more, those that have been over longest are deleted."""

READER_LIMIT = 64
"""Messages in the outbox of a reader: minutes of finals. A page that reconnects gets a snapshot."""

MayRead = Callable[..., bool]
"""Called with the name of a room, and with `exists` and `owner`; whether a client may read it."""

encode = msgspec.json.Encoder().encode


def anyone_may(room: str, *, exists: bool, owner: str | None) -> bool:
    """Return True: everybody may read every room."""
    return True


class Reader:
    """A reader of a room: an asynchronous iterator of encoded messages, the snapshot first.

    It ends when the room is deleted, when the server closes, or when the outbox overflows.
    """

    def __init__(self, snapshot: bytes, may_read: MayRead) -> None:
        self.may_read = may_read
        self.outbox = Outbox(READER_LIMIT)
        self.outbox.put(QueuedMessage(snapshot))
        self._woken = asyncio.Event()
        self._woken.set()
        self._over = False

    def put(self, message: QueuedMessage) -> None:
        """Add a message to the outbox, unless the reader has ended; an overflow ends it."""
        if self._over:
            return
        self.outbox.put(message)
        if self.outbox.overflowing:
            self.end()
        self._woken.set()

    def end_at_once(self) -> None:
        """End the iterator; the messages that wait are dropped."""
        while self.outbox.take() is not None:
            pass
        self.end()

    def end(self) -> None:
        """End the iterator after the messages that wait."""
        self._over = True
        self._woken.set()

    def take_waiting(self) -> list[bytes]:
        """Return all messages that wait, without blocking; none if the outbox has overflowed."""
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
    """All rooms of a server: the live ones, and the stored ones."""

    def __init__(
        self,
        store: RoomStore,
        keep_s: float,
        max_readers: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Mark the stored rooms as over.

        Args:
            store: storage of the rooms.
            keep_s: seconds for which a room that is over is stored.
            max_readers: readers of all rooms, at most; admission checks it.
            clock: returns seconds since 1970.
        """
        self.store = store
        self.keep_s = keep_s
        self.max_readers = max_readers
        self.live: dict[str, Room] = {}
        self.subscribers: list[Callable[[Room, Message], None]] = []
        """Called with every message except partials; the webhook uses it."""
        self.forgetters: list[Callable[[str], None]] = []
        """Called with the name of each room that somebody deletes."""
        self._readers: dict[str, set[Reader]] = {}
        self._clock = clock
        self._closed = False
        store.end_all(clock())

    @property
    def n_readers(self) -> int:
        """Number of readers of all rooms."""
        return sum(map(len, self._readers.values()))

    def join(self, membership: RoomMembership) -> tuple[Room, int]:
        """Add a session to its room, which is created if there is none.

        Returns the room and the number of the new member.
        """
        room = self._find_or_none(membership.room)
        if room is None:
            room = Room(membership.room, self._clock(), owner=membership.owner)
            self._end_readers_of(room.name, exists=True, owner=room.owner)
        if left_out := room.add_about(membership.about):
            log.warning("%d parameters of a stream are too long for its room", left_out)
        self.live[membership.room] = room
        self.store.open_room(room)
        number, messages = room.add_member(
            membership.speakers, membership.channels, membership.sample_rate, self._clock()
        )
        self._broadcast(room, messages)
        return room, number

    def find(self, name: str) -> Room | None:
        """Return a live or stored room by its name; None if there is none.

        Raises `StoreError`.
        """
        return self.live.get(name) or self.store.find(name)

    def owner_of(self, name: str) -> tuple[bool, str | None]:
        """Return whether a room exists, and its owner. Raises `StoreError`."""
        room = self.live.get(name)
        return (True, room.owner) if room else self.store.owner_of(name)

    def delete(self, name: str) -> None:
        """Delete a room with all its lines, and end its readers.

        The streams in a live room go on without it; what they say later is in no room.

        Raises `StoreError` if the file cannot be written now; then it is deleted later.
        """
        room = self.live.pop(name, None)
        for forget in self.forgetters:
            forget(name)
        for reader in self._readers.get(name, set()):
            reader.end_at_once()
        if room is not None:
            room.finals.clear()
        self.store.delete(name)

    def rename(self, name: str, new_name: str) -> None:
        """Give a room that is over another name; its readers end. Raises `StoreError`."""
        assert name not in self.live
        self.store.rename(name, new_name)
        for reader in self._readers.get(name, set()):
            reader.end()

    def end_unwelcome_readers(self) -> None:
        """End the readers that may no longer read their room, because a key was revoked."""
        for name in list(self._readers):
            try:
                exists, owner = self.owner_of(name)
            except StoreError:
                continue
            self._end_readers_of(name, exists=exists, owner=owner)

    def _end_readers_of(self, name: str, *, exists: bool, owner: str | None) -> None:
        for reader in self._readers.get(name, set()):
            if not reader.may_read(name, exists=exists, owner=owner):
                reader.end_at_once()

    def _find_or_none(self, name: str) -> Room | None:
        """Return a room; None if there is none, or if stored rooms cannot be read.

        In the latter case streams continue with a new room.
        """
        try:
            return self.find(name)
        except StoreError:
            return None

    def settled_s(self, room: Room) -> float:
        """Return the seconds from the opening of a room before which no new line can begin."""
        return room.settled_s(self._clock())

    def listing(self) -> list[Listing]:
        """Return the live and stored rooms, the latest first. Raises `StoreError`."""
        return self.store.listing()

    def read(self, name: str, may_read: MayRead = anyone_may) -> Reader:
        """Create a reader of a room, which need not exist yet; end it with `stop_reading`.

        The reader is ended as soon as `may_read` is false, when the room is opened or a key is
        revoked.
        """
        room = self._find_or_none(name)
        reader = Reader(encode(room.snapshot() if room else empty_snapshot(name)), may_read)
        self._readers.setdefault(name, set()).add(reader)
        return reader

    def stop_reading(self, name: str, reader: Reader) -> None:
        """Remove a reader."""
        readers = self._readers.get(name, set())
        readers.discard(reader)
        if not readers:
            self._readers.pop(name, None)

    async def forget(self) -> None:
        """Delete old rooms periodically; runs until it is cancelled."""
        while True:
            self.forget_old()
            await asyncio.sleep(FORGET_EVERY_S)

    def forget_old(self) -> None:
        """Delete the rooms that were over for more than `keep_s`, or are too many.

        Their readers end.
        """
        old = self.store.forget_ended_before(self._clock() - self.keep_s)
        for name in old + self.store.forget_all_but(MAX_ROOMS):
            for reader in self._readers.get(name, set()):
                reader.end()

    def end_readers(self) -> None:
        """End all readers after the messages that wait for them."""
        for readers in self._readers.values():
            for reader in readers:
                reader.end()

    def close(self) -> None:
        """End all readers and close the storage; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self.end_readers()
        self.store.end_all(self._clock())
        self.store.close()

    def receive(self, room: Room, number: int, event: Event | KeyPressed) -> None:
        """Apply an event of a member to its room, and send the messages to the readers.

        Nothing happens if the room was deleted.
        """
        if self.live.get(room.name) is not room:
            return
        self._broadcast(room, room.receive(number, event, self._clock()))

    def leave(self, room: Room, number: int) -> None:
        """Remove a member from a room; the room is over when the last one has left."""
        if self.live.get(room.name) is not room:
            return
        messages = room.leave(number, self._clock())
        if not room.live:
            self.store.end_room(room.name, self._clock())
            del self.live[room.name]
        self._broadcast(room, messages)

    def _broadcast(self, room: Room, messages: Sequence[Message]) -> None:
        """Store finals, notify the subscribers, and queue messages for all readers."""
        for message in messages:
            if isinstance(message, Final) and message.text:
                self.store.add_line(room.name, message)
            if not isinstance(message, Partial):
                for notify in self.subscribers:
                    notify(room, message)
            queued = queued_message(message)
            for reader in self._readers.get(room.name, ()):
                reader.put(queued)


class Participant:
    """Connects the sessions of one stream with their rooms; a session can be in none."""

    def __init__(self, rooms: Rooms) -> None:
        self.rooms = rooms
        self._joined: dict[str, tuple[Room, int]] = {}
        """Room and number of the member, by the id of the session."""

    def share(self, protocol: SessionProtocol) -> list[str]:
        """Add new sessions to their rooms, and pass on the events that the protocol shares.

        Returns the names of the rooms of new sessions.
        """
        names = []
        for opened in protocol.sessions:
            if opened.membership is not None and opened.session.id not in self._joined:
                self._joined[opened.session.id] = self.rooms.join(opened.membership)
                names.append(opened.membership.room)
        if self._joined:
            for session_id, event in protocol.captions_to_share():
                if joined := self._joined.get(session_id):
                    self.rooms.receive(*joined, event)
        return names

    def leave(self, session_id: str) -> None:
        """Remove a session from its room, if it is in one."""
        if joined := self._joined.pop(session_id, None):
            self.rooms.leave(*joined)


def queued_message(message: Message) -> QueuedMessage:
    """Encode a message; a partial in an outbox is replaced by a newer message about its line."""
    match message:
        case Partial(line=line):
            return QueuedMessage(encode(message), subject=f"line {line}", replaceable=True)
        case Final(line=line):
            return QueuedMessage(encode(message), subject=f"line {line}")
        case Live():
            return QueuedMessage(encode(message), subject="live", replaceable=True)
    return QueuedMessage(encode(message))
