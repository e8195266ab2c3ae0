"""All streams of a server: the open ones, and the parked ones whose clients may come back."""

import asyncio
from collections.abc import Coroutine, Iterator
from functools import partial

from websockets.asyncio.server import ServerConnection

from stream.config import ServerConfig
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing, Resumption
from stream.server.metrics import Metrics
from stream.server.streams.client_socket import ClientSocket
from stream.server.streams.connection import Connection
from stream.server.streams.parked import ParkedStreams
from stream.server.streams.states import State
from stream.server.streams.stream import Stream
from stream.server.streams.tcp_connection import TcpConnection

RESUMED = Closing(CloseCode.ENDED, "the stream goes on through another connection")
NO_SUCH_STREAM = (
    "This stream no longer exists; open a new one, and send the audio that is not settled."
)


class Streams:
    """Serves streams, `max_sessions` at a time; iterating gives the open ones."""

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        self.parked = ParkedStreams(config.resume_s)
        self._max = config.max_sessions
        self._metrics = metrics
        self._open: dict[str, Stream] = {}
        self._begun: set[str] = set()
        """The open streams that have begun: those of clients that ask to resume another have not,
        and take no slot from a parked stream."""
        self._none_open = asyncio.Event()
        self._none_open.set()
        metrics.parked.set_function(lambda: len(self.parked))

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether there is no slot for another stream."""
        return len(self._open) >= self._max

    async def closed(self) -> None:
        """Wait until no stream is open."""
        await self._none_open.wait()

    async def serve_tcp(self, connection: TcpConnection) -> None:
        """Serve a stream through a TCP connection until it is over."""
        self._enter(connection)
        self._begin(connection)
        try:
            await connection.run()
        finally:
            self._leave(connection)

    async def serve(self, connection: Connection, websocket: ServerConnection) -> None:
        """Serve a client through a websocket, with its own stream or with one that it resumes."""
        socket = ClientSocket(websocket)
        await self._run(connection, connection.open(socket, partial(self._begin, connection)))
        if connection.state is State.ASKING:
            await self._resume(connection, socket)
        # A socket is still open if its client has resumed the stream through another one.
        await socket.close(connection.protocol.close_frame(RESUMED))

    async def _resume(self, asking: Connection, socket: ClientSocket) -> None:
        """Serve a client through its new socket with the stream that it asks for."""
        assert asking.protocol.resumption
        found = await self._find(asking.protocol.resumption)
        if found is None:
            await self._run(asking, asking.refuse("resume_refused", NO_SUCH_STREAM))
            return
        asking.grant()
        self._metrics.resumed.inc()
        stream, missed = found
        await self._run(stream, stream.resume(socket, partial(self._begin, stream), missed))

    async def _find(self, asked: Resumption) -> tuple[Connection, list[str | bytes]] | None:
        """Take out a parked stream; return it and the messages that its client did not get."""
        if not self.parked.admits(asked):
            return None
        still_open = self._open.get(asked.session)
        if isinstance(still_open, Connection):
            await still_open.replace_socket()
        # If the client came twice at once, the first has taken the stream already.
        connection = self.parked.take(asked.session)
        if connection is None:
            return None
        missed = connection.sender.replay.after(asked.seq)
        if missed is None:
            self.parked.give_up(connection)
            return None
        return connection, missed

    async def _run(self, connection: Connection, serving: Coroutine[None, None, None]) -> None:
        """Count a stream as open while a socket of it is served; afterwards it may be parked."""
        self._enter(connection)
        try:
            await serving
        finally:
            self._leave(connection)
            if connection.state is State.PARKED:
                self.parked.park(connection)

    def _enter(self, stream: Stream) -> None:
        self._open[stream.session_id] = stream
        self._none_open.clear()
        self._metrics.sessions.set(len(self._open))

    def _begin(self, stream: Stream) -> None:
        """A stream begins or is resumed: if need be, it takes the slot of a parked one."""
        self._begun.add(stream.session_id)
        self.parked.make_room(self._max - len(self._begun))

    def _leave(self, stream: Stream) -> None:
        del self._open[stream.session_id]
        self._begun.discard(stream.session_id)
        self._metrics.sessions.set(len(self._open))
        if not self._open:
            self._none_open.set()
