"""All streams of a server: the open ones, and the parked ones, which can be resumed."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from functools import partial

from websockets.asyncio.server import ServerConnection

from stream.config import ServerConfig
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing, Resumption
from stream.server.keys.signing import Signer
from stream.server.metrics import Metrics
from stream.server.streams.client_socket import ClientSocket
from stream.server.streams.connection import Connection
from stream.server.streams.parked import ParkedStreams
from stream.server.streams.states import State
from stream.server.streams.stream import Stream
from stream.server.streams.tcp_connection import TcpConnection

RESUMED = Closing(CloseCode.ENDED, "the stream goes on through another connection")
SILENT_S = 2.0
"""A live client sends audio or a message more often than that, in seconds."""

NO_SUCH_STREAM = (
    "This stream no longer exists; open a new one, and send the audio that is not settled."
)


class Streams:
    """Serves all streams and counts them; iterates over the open ones.

    Open streams that have begun and parked ones together are at most `max_sessions`.
    """

    def __init__(self, config: ServerConfig, metrics: Metrics, signer: Signer) -> None:
        self.parked = ParkedStreams(config.resume_s, signer)
        self._max = config.max_sessions
        self._metrics = metrics
        self._open: dict[str, Stream] = {}
        self._begun: set[str] = set()
        """Ids of the open streams that have begun. The stream of a client that resumes another one
        has not begun, so it does not end a parked stream."""
        self._none_open = asyncio.Event()
        self._none_open.set()
        metrics.parked.set_function(lambda: len(self.parked))

    def __iter__(self) -> Iterator[Stream]:
        return iter(list(self._open.values()))

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether no further stream can be opened."""
        return len(self._open) >= self._max

    def silent_of(self, name: str) -> bool:
        """Return whether an open stream of the key of this name has sent nothing for some time."""
        before = time.monotonic() - SILENT_S
        mine = (stream for stream in self if stream.visitor.name == name)
        return any(0 < stream.protocol.now < before for stream in mine)

    async def closed(self) -> None:
        """Wait until no stream is open."""
        await self._none_open.wait()

    async def serve_tcp(self, connection: TcpConnection) -> None:
        """Serve a stream over a TCP connection until it is over."""
        self._enter(connection)
        self._begin(connection)
        try:
            await connection.run()
        finally:
            self._leave(connection)

    async def serve(self, connection: Connection, websocket: ServerConnection) -> None:
        """Serve a client over a websocket until it is closed or the stream is parked.

        If the client resumes another stream, `connection` ends and that stream is served.
        """
        socket = ClientSocket(websocket)
        try:
            await self._run(connection, connection.open(socket, partial(self._begin, connection)))
            if connection.state is State.ASKING:
                await self._resume(connection, socket)
        finally:
            connection.abandon()
        # The socket is still open if the client has resumed the stream over another socket.
        await socket.close(connection.protocol.close_frame(RESUMED))

    async def _resume(self, asking: Connection, socket: ClientSocket) -> None:
        """Serve the stream that the client wants to resume over its new socket, or refuse.

        Args:
            asking: the connection that received the request.
            socket: its socket, which is still open.
        """
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
        """Remove the requested stream from the parked ones.

        If it still has a socket, that is detached first.

        Returns:
            The stream, and the frames that its client did not get; None if there is no such stream,
            the token is wrong, or frames are no longer stored.
        """
        if not self.parked.admits(asked):
            return None
        still_open = self._open.get(asked.session)
        if isinstance(still_open, Connection):
            await still_open.replace_socket()
        # If the client reconnected twice at the same time, the first one has taken the stream.
        connection = self.parked.take(asked.session)
        if connection is None:
            return None
        missed = connection.sender.replay.after(asked.seq)
        if missed is None:
            self.parked.give_up(connection)
            return None
        return connection, missed

    async def _run(self, connection: Connection, serving: Coroutine[None, None, None]) -> None:
        """Run `serving` with the stream counted as open; park the stream afterwards if needed."""
        self._enter(connection)
        try:
            await serving
        except BaseException:  # a bug, or the event loop ends: release everything
            connection.abandon()
            raise
        finally:
            self._leave(connection)
            if connection.state is State.PARKED:
                self.parked.park(connection)

    def _enter(self, stream: Stream) -> None:
        self._open[stream.session_id] = stream
        self._none_open.clear()
        self._metrics.sessions.set(len(self._open))

    def _begin(self, stream: Stream) -> None:
        """Record that a stream begins or is resumed; if no slot is free, end a parked stream."""
        self._begun.add(stream.session_id)
        stream.visitor.begin()
        action = "resume_stream" if stream.begun else "open_stream"
        stream.begun = True
        stream.visitor.note(action, session=stream.session_id)
        self.parked.make_room(self._max - len(self._begun))

    def _leave(self, stream: Stream) -> None:
        del self._open[stream.session_id]
        self._begun.discard(stream.session_id)
        stream.visitor.leave()
        self._metrics.sessions.set(len(self._open))
        if not self._open:
            self._none_open.set()
