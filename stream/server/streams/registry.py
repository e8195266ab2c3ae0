"""All streams of a server: the open ones, and those that were lost and may be gone on with."""

import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

from websockets.asyncio.server import ServerConnection

from stream.config import ServerConfig
from stream.protocols.interface import Resumption
from stream.server.metrics import Metrics
from stream.server.streams.connection import Connection
from stream.server.streams.parked import Kept
from stream.server.streams.stream import Stream
from stream.server.streams.tcp_connection import TcpConnection


class Streams:
    """Serves them, `max_sessions` at a time; iterating gives the open ones."""

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self.kept = Kept(config.resume_s)
        self._max = config.max_sessions
        self._metrics = metrics
        self._open: dict[str, Stream] = {}
        self._begun: set[str] = set()
        """Of those, the ones that are known not to come back to another stream."""
        self._none_open = asyncio.Event()
        self._none_open.set()
        metrics.kept.set_function(lambda: len(self.kept))

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether there is no place for another one."""
        return len(self._open) >= self._max

    async def closed(self) -> None:
        """Wait until none is open."""
        await self._none_open.wait()

    async def serve_tcp(self, connection: TcpConnection) -> None:
        """Serve a stream through a TCP connection until it is over."""
        self._enter(connection)
        self._begin(connection)
        try:
            await connection.run()
        finally:
            self._leave(connection)

    async def serve(
        self,
        connection: Connection,
        websocket: ServerConnection,
        missed: Sequence[str | bytes] | None = None,
    ) -> None:
        """Serve a stream through a websocket; if that breaks, keep the stream for its client.

        `missed` are the messages that a client that has come back did not get.
        """
        self._enter(connection)
        connection.begins = partial(self._begin, connection)
        if missed is not None:
            self._begin(connection)
        try:
            await connection.run(websocket, missed)
        finally:
            if connection.websocket is websocket:  # and has not gone on with another since
                if connection.lost:
                    self.kept.keep(connection)
                self._leave(connection)

    async def find(self, asked: Resumption) -> tuple[Connection, list[str | bytes]] | None:
        """Return a stream that a client comes back to, and the messages that it did not get."""
        if not self.kept.admits(asked):
            return None
        found = self._open.get(asked.session)
        still_open = found if isinstance(found, Connection) else None
        if still_open:
            socket = still_open.websocket
            await still_open.release()
            if still_open.websocket is not socket:
                return None  # he came twice, and the other was first
        connection = self.kept.take(asked.session) or still_open
        if connection is None or connection.over:
            return None
        missed = connection.sent.after(asked.seq)
        if missed is None:
            self.kept.give_up(connection)
            return None
        return connection, missed

    def _enter(self, stream: Stream) -> None:
        self._open[stream.session_id] = stream
        self._none_open.clear()
        self._metrics.sessions.set(len(self._open))

    def _begin(self, stream: Stream) -> None:
        """A stream begins, or goes on: it takes the place of one that was lost, if need be."""
        if stream.session_id not in self._begun:
            self._begun.add(stream.session_id)
            self.kept.make_room(self._max - len(self._begun))

    def _leave(self, stream: Stream) -> None:
        del self._open[stream.session_id]
        self._begun.discard(stream.session_id)
        self._metrics.sessions.set(len(self._open))
        if not self._open:
            self._none_open.set()
