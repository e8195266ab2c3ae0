"""The server's ports: who knocks is let in or told why not, and led to what serves him.

It answers HTTP from the moment it listens, so that whoever watches it can tell that it is alive
(`/healthz`) from that it is ready (`/readyz`): the model is loaded meanwhile, in a thread.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from stream.config import ServerConfig
from stream.engine.engine import Transcriber
from stream.errors import UsageError
from stream.protocols import load_protocol
from stream.protocols.messages import CloseCode
from stream.protocols.stream_protocol import Closing
from stream.server import access
from stream.server.admission import refusal
from stream.server.door import FrontDoor
from stream.server.http import page
from stream.server.http.application import application
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.rooms.reader import room_of, serve_reader
from stream.server.state import ServerState
from stream.server.streams.audiosocket import PhoneCall, protocol_of_calls
from stream.server.streams.connection import Connection

SUBPROTOCOL = "stream.v1"
GOING_AWAY = Closing(CloseCode.GOING_AWAY, "the server is going away")


class Server:
    """Listens for browsers, programs and telephone calls."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.state = ServerState(config)
        self.new_call = protocol_of_calls(config.audiosocket_settings)
        self.call_listener: asyncio.Server | None = None
        self.door = FrontDoor(
            application(self.state),
            headers=page.HEADERS,
            refuse=self._refuse,
            serve=self._serve_client,
            subprotocol=SUBPROTOCOL,
            max_frame_bytes=config.max_frame_bytes,
        )

    async def listen(self) -> None:
        """Open the ports. Raises `UsageError` where that is impossible."""
        host, port, call_port = self.config.host, self.config.port, self.config.audiosocket_port
        self.state.audience.open()
        with errors_of_listening(host, port, "--port"):
            await self.door.open(host, port)
        if call_port is not None:
            with errors_of_listening(host, call_port, "--audiosocket-port"):
                self.call_listener = await asyncio.start_server(self._serve_call, host, call_port)

    @property
    def address(self) -> str:
        """The address of the page, for people; a stream is at `/v1/stream` of it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.door.port}/"

    async def start_engine(self, load: Callable[[], Transcriber]) -> None:
        """Get the model, warm, from `load` (called on a thread); then let clients in."""
        await self.state.start_engine(load)

    async def drain(self) -> None:
        """Let nobody in, and give everybody inside their finals, for `drain_s` at most."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_s):
                await self.state.drain(GOING_AWAY)
                await self.door.requests_answered()

    async def close(self, closing: Closing = GOING_AWAY) -> None:
        """Close the ports and what is left of the connections, and end the engine's thread."""
        await self.state.close(closing)
        if self.call_listener:
            self.call_listener.close()
        await self.door.close()
        await self.state.stop_engine()

    async def _serve_client(self, websocket: ServerConnection) -> None:
        assert websocket.request
        path, _, query = websocket.request.path.partition("?")
        if room := room_of(path):
            await serve_reader(websocket, self.state.rooms, room, self.config.idle_s)
            return
        assert self.state.service
        session_id = secrets.token_hex(8)
        protocol = load_protocol(path)(self.state.service, session_id, access.query_fields(query))
        if refused := access.why_no_stream(websocket.request, self.config):
            protocol.fail("not_authorised", refused)
        protocol.receive_load(self.state.load)
        connection = Connection(protocol, session_id, self.state.stream_context)
        await self.state.streams.serve(connection, websocket)

    async def _serve_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a call from Asterisk."""
        state = self.state
        if not state.ready or state.too_busy or state.streams.full:
            writer.close()
            return
        assert state.service
        session_id = secrets.token_hex(8)
        protocol = self.new_call(state.service, session_id)
        protocol.receive_load(state.load)
        call = PhoneCall(reader, writer, protocol, session_id, state.stream_context)
        await state.streams.serve_call(call)

    def _refuse(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Say why this request may not become a websocket, if it may not."""
        fields = list(request.headers.raw_items())
        refused = refusal(self.state, request.path, fields, RETRY_AFTER_S)
        if refused is None:
            return None
        self.state.metrics.refused.labels(str(int(refused.status))).inc()
        response = websocket.respond(refused.status, f"{refused.sentence}\n")
        if refused.status == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response


@contextmanager
def errors_of_listening(host: str, port: int, option: str) -> Iterator[None]:
    """Say in a sentence why a port cannot be opened."""
    try:
        yield
    except socket.gaierror as error:
        raise UsageError(f"There is no host {host}; see --host.") from error
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}. "
            f"Stop what is using it, or choose another with {option}."
        ) from None
