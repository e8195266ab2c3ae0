"""Streams that lost their socket and wait for their client to resume them.

A parked stream continues to transcribe the audio that it has, and its messages wait in its outbox.
Open and parked streams together are limited to `max_sessions`: if a new client needs a slot, the
stream that has been parked longest is ended.
"""

import asyncio
import hmac

from stream.protocols.interface import Closing, Resumption
from stream.server.keys.signing import Signer
from stream.server.streams.connection import Connection


class ParkedStreams:
    """Connections in the state PARKED, in the order in which they lost their sockets."""

    def __init__(self, park_s: float, signer: Signer) -> None:
        """Park each stream for at most `park_s` seconds; with 0, no stream can be resumed.

        `signer` signs the tokens.
        """
        self.park_s = park_s
        self._signer = signer
        self._parked: dict[str, tuple[Connection, asyncio.TimerHandle]] = {}
        self._finishing: dict[asyncio.Task[None], Connection] = {}
        """Streams that are no longer parked, but still transcribe the last finals for rooms."""

    def __len__(self) -> int:
        return len(self._parked)

    def token(self, session_id: str) -> str | None:
        """Return the token to resume this session; None if no session can be resumed."""
        if not self.park_s:
            return None
        return self._signer.sign("resume", session_id)[:32]

    def admits(self, asked: Resumption) -> bool:
        """Return whether a request to resume has the right token of the session that it names."""
        token = self.token(asked.session)
        return token is not None and hmac.compare_digest(token.encode(), asked.token.encode())

    def park(self, connection: Connection) -> None:
        """Park a stream until `take`, until its time is over or until its slot is needed."""
        session = connection.session_id
        timer = asyncio.get_running_loop().call_later(self.park_s, self._give_up_session, session)
        self._parked[session] = (connection, timer)

    def take(self, session: str) -> Connection | None:
        """Remove and return the stream of a session; None if it is not parked."""
        connection, timer = self._parked.pop(session, (None, None))
        if timer is not None:
            timer.cancel()
        return connection

    def give_up(self, connection: Connection) -> None:
        """End a stream that `take` removed; if its room waits for finals, after these."""
        connection.give_up()
        if not connection.over:
            task = asyncio.get_running_loop().create_task(connection.finish_for_room())
            self._finishing[task] = connection
            task.add_done_callback(self._finishing.pop)

    def make_room(self, slots: int) -> None:
        """End the streams that were parked longest, until at most `slots` are parked."""
        while len(self._parked) > max(slots, 0):
            self._give_up_session(next(iter(self._parked)))

    def give_up_unwelcome(self) -> None:
        """End the streams whose key was revoked or has expired."""
        for session, (connection, _) in list(self._parked.items()):
            if not connection.visitor.still_welcome:
                self._give_up_session(session)

    async def drain(self) -> None:
        """End all parked streams, and wait until their rooms have the finals."""
        self.make_room(0)
        await asyncio.gather(*self._finishing, return_exceptions=True)

    async def close(self, closing: Closing) -> None:
        """End all streams at once, without waiting for finals."""
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
