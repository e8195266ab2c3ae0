"""Streams that lost their socket and wait for their client to resume them.

A parked stream goes on transcribing what it has, and its messages wait in its outbox. Open and
parked streams together are limited to `max_sessions`: if a new client needs a slot, the stream that
has been parked longest is given up.
"""

import asyncio
import hmac
import secrets

from stream.protocols.interface import Closing, Resumption
from stream.server.streams.connection import Connection


class ParkedStreams:
    """Connections in the state PARKED, in the order in which they lost their sockets."""

    def __init__(self, park_s: float) -> None:
        """Park each stream for `park_s` seconds at most; 0 lets no client come back."""
        self.park_s = park_s
        self._secret = secrets.token_bytes(32)
        self._parked: dict[str, tuple[Connection, asyncio.TimerHandle]] = {}
        self._finishing: dict[asyncio.Task[None], Connection] = {}
        """Streams that were given up, whose rooms still get the last finals."""

    def __len__(self) -> int:
        return len(self._parked)

    def token(self, session_id: str) -> str | None:
        """Return what a client must show to resume this session; None if nobody can resume."""
        if not self.park_s:
            return None
        return hmac.digest(self._secret, session_id.encode(), "sha256").hex()[:32]

    def admits(self, asked: Resumption) -> bool:
        """Return whether the token belongs to the session."""
        token = self.token(asked.session)
        return token is not None and hmac.compare_digest(token.encode(), asked.token.encode())

    def park(self, connection: Connection) -> None:
        """Hold a stream until it is taken, its time is over or its slot is needed."""
        session = connection.session_id
        timer = asyncio.get_running_loop().call_later(self.park_s, self._give_up_session, session)
        self._parked[session] = (connection, timer)

    def take(self, session: str) -> Connection | None:
        """Remove and return a stream; None if it is not parked."""
        connection, timer = self._parked.pop(session, (None, None))
        if timer is not None:
            timer.cancel()
        return connection

    def give_up(self, connection: Connection) -> None:
        """End a stream that was taken out, after its room was given its finals."""
        connection.give_up()
        if not connection.over:
            task = asyncio.get_running_loop().create_task(connection.finish_for_room())
            self._finishing[task] = connection
            task.add_done_callback(self._finishing.pop)

    def make_room(self, slots: int) -> None:
        """Give up the oldest, until no more than `slots` are parked."""
        while len(self._parked) > max(slots, 0):
            self._give_up_session(next(iter(self._parked)))

    async def drain(self) -> None:
        """Give all up, and wait until their rooms have the finals."""
        self.make_room(0)
        await asyncio.gather(*self._finishing, return_exceptions=True)

    async def close(self, closing: Closing) -> None:
        """Give all up at once."""
        while self._parked:
            connection = self.take(next(iter(self._parked)))
            assert connection
            connection.give_up_at_once()
        for connection in self._finishing.values():
            if not connection.over:
                connection.cut(closing)
        await self.drain()

    def _give_up_session(self, session: str) -> None:
        connection = self.take(session)
        if connection is not None:
            self.give_up(connection)
