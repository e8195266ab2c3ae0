"""Serves websockets and plain HTTP on one port.

Theory of operation. uvicorn's `H11Protocol` reads the head of a request, under h11's limit of size.
A request for a websocket is passed on, with its transport, to a `ServerConnection` of the library
websockets: back-pressure towards slow readers and fast uploads (`streams/connection`) depends on
how it reads and writes, which uvicorn's own websockets hide from an application. Everything else is
a request to the ASGI application, with bodies and responses in pieces.

This module does not interpret requests. uvicorn's `Server` is not used, because it would handle the
signals, and its shutdown does not wait for streams.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState as UvicornState
from websockets import http11
from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from stream.server.connection_shares import ConnectionShares
from stream.server.websocket_connection import WebsocketConnection

log = logging.getLogger(__name__)

HEAD_TIMEOUT_S = 10.0
"""Seconds within which a client must send the head of a request."""

REST_TIMEOUT_S = 30.0
"""Seconds within which a client must send the rest of a body to which the response is sent, so that
it reads the response."""

WRITE_TIMEOUT_S = 60.0
"""Seconds after which a client is disconnected that does not read a response."""

MAX_HEAD_BYTES = 64 * 1024
"""Maximum size of the request line and the header fields together."""

# websockets parses the head again that h11 has accepted. By default it refuses a header of more
# than 8 KiB, such as a cookie or a query with a long prompt, and more than 128 headers.
http11.MAX_LINE_LENGTH = http11.MAX_NUM_HEADERS = 1 << 20


class HttpConnection(H11Protocol):
    """uvicorn's HTTP/1.1, with time limits for sending a head and for reading a response."""

    head_timeout_s = HEAD_TIMEOUT_S
    write_timeout_s = WRITE_TIMEOUT_S
    rest_timeout_s = REST_TIMEOUT_S
    shares: ConnectionShares
    address: str | None = None
    """The address that is counted in `shares`; None if the connection was refused."""
    _head_timer: asyncio.TimerHandle | None = None
    _rest_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit of the first head; abort if there are too many connections."""
        super().connection_made(transport)
        address = str((transport.get_extra_info("peername") or ("",))[0])
        if not self.shares.enter(address):
            transport.abort()
            return
        self.address = address
        self._time_head()

    def handle_events(self) -> None:
        """Handle received data; after the head of a websocket request, pass the transport on."""
        super().handle_events()
        self._time_head()
        self._time_rest()

    def on_response_complete(self) -> None:
        """Start the time limit for a body that has not come although its response is sent."""
        super().on_response_complete()
        self._time_rest()

    def pause_writing(self) -> None:
        """Start the time limit for reading the response, because the buffer is full."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the time limit for reading the response."""
        super().resume_writing()
        self._stop(self._write_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all time limits, and remove the connection from the count of its address."""
        super().connection_lost(exc)
        self._stop(self._head_timer)
        self._stop(self._rest_timer)
        self._stop(self._write_timer)
        if self.address is not None:
            self.shares.leave(self.address)

    def _time_rest(self) -> None:
        """Start the time limit of the rest of a body to which the response is sent."""
        answered = self.cycle is not None and self.cycle.response_complete
        if not answered or self.conn.their_state is not h11.SEND_BODY:
            self._stop(self._rest_timer)
            self._rest_timer = None
        elif self._rest_timer is None:
            self._rest_timer = self.loop.call_later(self.rest_timeout_s, self.transport.abort)

    def _time_head(self) -> None:
        """Start the time limit of a head if one is expected, and stop it otherwise."""
        if self.conn.their_state is not h11.IDLE:
            self._stop(self._head_timer)
            self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_timeout_s, self.transport.abort)

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class FrontDoor:
    """A listening port: websockets go to `serve`, all other requests to `application`."""

    def __init__(
        self,
        application: Callable[..., Any],
        headers: Mapping[str, str],
        refuse: Callable[[ServerConnection, Request], Response | None],
        serve: Callable[[ServerConnection], Awaitable[None]],
        subprotocols: Callable[[str], Sequence[str]],
        max_frame_bytes: int,
        shares: ConnectionShares,
    ) -> None:
        """Prepare a port; `open` opens it.

        Args:
            application: ASGI application for plain requests.
            headers: headers that are added to every response of the application.
            refuse: returns the response that refuses a websocket handshake; None to accept it.
            serve: serves an open websocket until it is over.
            subprotocols: returns the subprotocols that are confirmed at a path.
            max_frame_bytes: maximum size of a websocket message.
            shares: counts the connections.
        """
        self._refuse = refuse
        self._serve = serve
        self._subprotocols = subprotocols
        self._max_frame_bytes = max_frame_bytes
        self._shares = shares
        self.head_timeout_s = HEAD_TIMEOUT_S
        self.rest_timeout_s = REST_TIMEOUT_S
        self.write_timeout_s = WRITE_TIMEOUT_S
        self._config = Config(
            application,
            ws=cast("type[asyncio.Protocol]", self._websocket),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )
        self._listening = False
        self._http = UvicornState()
        self._http.default_headers = [
            (name.lower().encode(), value.encode()) for name, value in headers.items()
        ]

    async def open(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
        """Open the port, with TLS if a context is given. Raises `OSError` if it is impossible."""
        loop = asyncio.get_running_loop()
        self._websockets = Server(
            lambda: loop.create_server(self._greet, host, port, ssl=tls), self._open_websocket
        )
        await self._websockets
        self._listening = True

    @property
    def port(self) -> int:
        """The TCP port."""
        number: int = self._websockets.sockets[0].getsockname()[1]
        return number

    async def requests_answered(self) -> None:
        """Wait until the responses to all plain requests are sent."""
        while self._http.tasks:
            await asyncio.wait(self._http.tasks)

    async def close(self) -> None:
        """Close the port and all connections; handlers of requests are notified of a disconnect."""
        if not self._listening:  # the port could not be opened
            return
        self._websockets.close()
        for connection in list(self._http.connections):
            connection.transport.abort()
        await self.requests_answered()
        await self._websockets.wait_closed()

    def _greet(self) -> asyncio.Protocol:
        """Return the asyncio protocol of a new connection."""
        connection = HttpConnection(self._config, self._http, {})
        connection.head_timeout_s = self.head_timeout_s
        connection.rest_timeout_s = self.rest_timeout_s
        connection.write_timeout_s = self.write_timeout_s
        connection.shares = self._shares
        return connection

    def _websocket(self, **uvicorns: object) -> asyncio.Protocol:
        """Return the asyncio protocol of a connection that requests a websocket."""
        return WebsocketConnection(
            ServerProtocol(
                select_subprotocol=choose_subprotocol,
                max_size=self._max_frame_bytes,
            ),
            self._websockets,
            max_queue=1,  # frames that wait to be received; more wait in the client's TCP
            ping_timeout=None,  # see Connection._receive_one
            on_leave=self._shares.leave,
        )

    async def _open_websocket(self, websocket: ServerConnection) -> None:
        """Do the handshake of a new websocket, then call `serve`."""
        try:
            async with asyncio.timeout(self.head_timeout_s):
                await websocket.handshake(self._answer)
            if websocket.state is State.OPEN:
                websocket.start_keepalive()
                async with websocket:
                    await self._serve(websocket)
        except (TimeoutError, ConnectionClosed):
            pass  # the client closed the connection during the handshake
        except Exception:
            log.exception("a websocket failed")
        finally:
            websocket.transport.abort()
            self._websockets.handler_tasks.discard(asyncio.current_task())

    def _answer(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Return the response that refuses a handshake; None to accept it."""
        path = request.path.partition("?")[0]
        available = [Subprotocol(name) for name in self._subprotocols(path)]
        websocket.protocol.available_subprotocols = available
        return self._refuse(websocket, request)


def choose_subprotocol(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Return the first offered subprotocol that is available; None to confirm none.

    The default of websockets would refuse a client that offers none of the available ones.
    """
    available = protocol.available_subprotocols or ()
    return next((name for name in offered if name in available), None)
