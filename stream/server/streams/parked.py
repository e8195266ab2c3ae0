"""Streams whose socket was lost, kept for a while in case their client comes back.

Each goes on transcribing what it has, and its messages wait in its outbox. How many there are is
bounded together with the open ones, by `max_sessions`: where a new client needs the room, the one
that was lost first gives way.
"""

import asyncio
import hmac
import secrets

from stream.protocols.interface import Resumption
from stream.server.streams.connection import Connection


class Kept:
    """Connections without a socket, the one that was lost first first."""

    def __init__(self, keep_s: float) -> None:
        self.keep_s = keep_s
        self._secret = secrets.token_bytes(32)
        self._waiting: dict[str, tuple[Connection, asyncio.TimerHandle]] = {}
        self._given_up: set[asyncio.Task[None]] = set()
        """What is still to be done for the rooms of those that were given up."""

    def __len__(self) -> int:
        return len(self._waiting)

    def token(self, session_id: str) -> str | None:
        """What the client of this session must show; None where nobody can come back."""
        if not self.keep_s:
            return None
        return hmac.digest(self._secret, session_id.encode(), "sha256").hex()[:32]

    def admits(self, asked: Resumption) -> bool:
        """Whether that token belongs to that session."""
        token = self.token(asked.session)
        return token is not None and hmac.compare_digest(token.encode(), asked.token.encode())

    def keep(self, connection: Connection) -> None:
        """Keep it until it is taken, its time is over or its room is needed."""
        session = connection.session_id
        timer = asyncio.get_running_loop().call_later(self.keep_s, self.drop, session)
        self._waiting[session] = (connection, timer)

    def take(self, session: str) -> Connection | None:
        """Hand it out to its client; None where it is not here."""
        connection, timer = self._waiting.pop(session, (None, None))
        if timer is not None:
            timer.cancel()
        return connection

    def drop(self, session: str) -> None:
        """Give it up: its client did not come back."""
        connection = self.take(session)
        if connection is not None:
            self.give_up(connection)

    def give_up(self, connection: Connection) -> None:
        """End a stream that has no socket."""
        task = asyncio.get_running_loop().create_task(connection.give_up())
        self._given_up.add(task)
        task.add_done_callback(self._given_up.discard)

    def make_room(self, places: int) -> None:
        """Give up the oldest, until no more than `places` are left."""
        while len(self._waiting) > max(places, 0):
            self.drop(next(iter(self._waiting)))

    async def drain(self) -> None:
        """Give all up, and wait until their rooms have what was said in them."""
        self.make_room(0)
        await asyncio.gather(*self._given_up, return_exceptions=True)

    async def close(self) -> None:
        """Give all up at once."""
        self.make_room(0)
        for task in self._given_up:
            task.cancel()
        await self.drain()
