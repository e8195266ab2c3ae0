"""Accepts or refuses each connection of a server, and serves those that it accepts."""

import asyncio
import secrets
from dataclasses import replace

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from stream.protocols.declarations import HttpResponse, Query
from stream.protocols.session_protocol import SessionProtocol
from stream.server import access
from stream.server.admission import refusal, refuse_for_now
from stream.server.endpoints import FindEndpoint, OpenPort
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.rooms import reader as room_reader
from stream.server.state import ServerState
from stream.server.streams.connection import Connection
from stream.server.streams.tcp_connection import TcpConnection


class Websockets:
    """Handles the websockets of a port: those of streams, and those of readers of rooms."""

    def __init__(self, state: ServerState, find: FindEndpoint) -> None:
        """Prepare to handle websockets; `find` returns the protocol at a path."""
        self.state = state
        self.find = find

    def subprotocols(self, path: str) -> tuple[str, ...]:
        """Return the subprotocols that are confirmed at a path if a client offers them."""
        endpoint = self.find(path)
        return endpoint.protocol.subprotocols if endpoint else room_reader.SUBPROTOCOLS

    def refuse(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Return the response that refuses a handshake; None if it is accepted."""
        fields = list(request.headers.raw_items())
        refused = refusal(self.state, self.find, request.path, fields)
        if refused is None:
            return None
        self.state.metrics.refused.labels(str(int(refused.status))).inc()
        return as_response(websocket, refused)

    async def serve(self, websocket: ServerConnection) -> None:
        """Serve a stream, or a reader of a room, until it is over."""
        assert websocket.request
        target = websocket.request.path
        path, _, query = target.partition("?")
        endpoint = self.find(path)
        if endpoint is not None:
            named = {name: [value] for name, value in endpoint.path_fields.items()}
            kind, fields = endpoint.protocol, list(websocket.request.headers.raw_items())
            shown = access.shown_key(fields, query, kind.key) if kind.key else None
            asked = {**access.query_fields(query), **named}
            protocol = begin(self.state, kind, asked, shown or "")
            sentence = access.why_refused(kind, fields, target, self.state.config)
            # Only a protocol whose clients show the key in a message gets here without one.
            protocol.authorised = sentence is None
            await self._serve_stream(protocol, websocket)
        elif room := room_reader.room_of(path):
            await room_reader.serve_reader(
                websocket, self.state.rooms, room, self.state.config.idle_s
            )

    async def _serve_stream(self, protocol: SessionProtocol, websocket: ServerConnection) -> None:
        connection = Connection(protocol, protocol.session_id, self.state.stream_context)
        await self.state.streams.serve(connection, websocket)


async def serve_tcp(
    state: ServerState,
    port: OpenPort,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """Serve a plain TCP connection until it is over, or refuse and close it."""
    if refused := refuse_for_now(state, port.protocol):
        writer.write(refused.body.encode())
        writer.close()
        return
    protocol = begin(state, port.protocol, port.query)
    must_show = protocol.key is not None and state.config.api_key is not None
    protocol.authorised = not must_show
    session_id = protocol.session_id
    connection = TcpConnection(reader, writer, protocol, session_id, state.stream_context)
    await state.streams.serve_tcp(connection)


def begin(
    state: ServerState, kind: type[SessionProtocol], query: Query, shown_key: str = ""
) -> SessionProtocol:
    """Return the protocol of a new connection; the server must be ready."""
    assert state.service
    service = replace(state.service, shown_key=shown_key)
    protocol = kind(service, secrets.token_hex(8), query)
    protocol.receive_load(state.load)
    return protocol


def as_response(websocket: ServerConnection, refused: HttpResponse) -> Response:
    """Convert a refusal to a response of the library websockets."""
    response = websocket.respond(refused.status, refused.body)
    for name, value in refused.headers.items():
        if name in response.headers:
            del response.headers[name]
        response.headers[name] = value
    if refused.status in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
