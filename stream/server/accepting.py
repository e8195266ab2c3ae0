"""Accepts or refuses each connection of a server, and serves those that it accepts."""

import asyncio
import logging
import secrets
from weakref import WeakKeyDictionary

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from stream.protocols.declarations import HttpResponse, Query
from stream.protocols.session_protocol import SessionProtocol
from stream.server import access
from stream.server.addresses import LOCAL, networks, within
from stream.server.admission import admit, refuse_for_now
from stream.server.endpoints import FindEndpoint, OpenPort
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.rooms import reader as room_reader
from stream.server.state import ServerState
from stream.server.streams.connection import Connection
from stream.server.streams.tcp_connection import TcpConnection
from stream.server.visitors import Asking, Visitor

log = logging.getLogger(__name__)


class Websockets:
    """Handles the websockets of a port: those of streams, and those of readers of rooms."""

    def __init__(self, state: ServerState, find: FindEndpoint) -> None:
        """Prepare to handle websockets; `find` returns the protocol at a path."""
        self.state = state
        self.find = find
        self._admitted: WeakKeyDictionary[ServerConnection, Visitor] = WeakKeyDictionary()
        """The clients whose handshakes were accepted."""

    def subprotocols(self, path: str) -> tuple[str, ...]:
        """Return the subprotocols that are confirmed at a path if a client offers them."""
        endpoint = self.find(path)
        return endpoint.protocol.subprotocols if endpoint else room_reader.SUBPROTOCOLS

    def refuse(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Return the response that refuses a handshake; None if it is accepted."""
        peer = str((websocket.remote_address or (LOCAL,))[0])
        asking = Asking(list(request.headers.raw_items()), request.path, peer)
        outcome = admit(self.state, self.find, asking)
        if isinstance(outcome, Visitor):
            self._admitted[websocket] = outcome
            return None
        self.state.metrics.refused.labels(str(int(outcome.status))).inc()
        return as_response(websocket, outcome)

    async def serve(self, websocket: ServerConnection) -> None:
        """Serve a stream, or a reader of a room, until it is over."""
        assert websocket.request
        path, _, query = websocket.request.path.partition("?")
        visitor = self._admitted.pop(websocket)
        endpoint = self.find(path)
        if endpoint is not None:
            named = {name: [value] for name, value in endpoint.path_fields.items()}
            asked = {**access.query_fields(query), **named}
            protocol = begin(self.state, endpoint.protocol, asked, visitor)
            context = self.state.stream_context(visitor)
            connection = Connection(protocol, protocol.session_id, context)
            await self.state.streams.serve(connection, websocket)
        elif room := room_reader.room_of(path):
            visitor.note_reading(room, "events")
            await room_reader.serve_reader(
                websocket, self.state.rooms, room, self.state.config.idle_s, visitor.may_read_of
            )


async def serve_tcp(
    state: ServerState,
    port: OpenPort,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Serve a plain TCP connection until it is over, or refuse and close it."""
    peer = str((writer.get_extra_info("peername") or (LOCAL,))[0])
    if port.allowed and not within(peer, networks(port.allowed)):
        log.warning("refused a connection from %s to %s", peer, port.option)
        state.metrics.refused.labels("403").inc()
        writer.close()
        return
    if refused := refuse_for_now(state, port.protocol):
        writer.write(refused.body.encode())
        writer.close()
        return
    visitor = state.visitors.of_tcp(port.protocol, peer)
    protocol = begin(state, port.protocol, port.query, visitor)
    context = state.stream_context(visitor)
    connection = TcpConnection(reader, writer, protocol, protocol.session_id, context)
    await state.streams.serve_tcp(connection)


def begin(
    state: ServerState, kind: type[SessionProtocol], query: Query, visitor: Visitor
) -> SessionProtocol:
    """Return the protocol of a new connection; the server must be ready."""
    assert state.service
    protocol = kind(visitor.service(state.service), secrets.token_hex(8), query)
    # Only a client that shows the key in a message gets here without one.
    protocol.authorised = visitor.grant is not None
    protocol.receive_load(state.load)
    return protocol


def as_response(websocket: ServerConnection, refused: HttpResponse) -> Response:
    """Convert a refusal to a response of the library websockets."""
    response = websocket.respond(refused.status, refused.body)
    for name, value in refused.headers.items():
        if name in response.headers:
            del response.headers[name]
        response.headers[name] = value
    if refused.status in (429, 503) and "Retry-After" not in response.headers:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
