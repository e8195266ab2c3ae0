"""The front door: websockets and plain HTTP on one port.

Theory of operation. uvicorn's `H11Protocol` reads the head of a request, under h11's limit of size.
One that asks for a websocket leaves it, with its transport, for a `ServerConnection` of websockets:
what a stream promises to slow readers and fast uploads rests on that one's reading and writing
(`connection`), which uvicorn's own websockets do not let an application see. Everything else is a
request to the ASGI application; bodies come in and responses go out in pieces.

Knows nothing of what is asked for. uvicorn's `Server` is not used: it would take the signals, and
its shutdown knows nothing of streams.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, cast

import h11
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState
from websockets import http11
from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

log = logging.getLogger(__name__)

HEAD_TIMEOUT_S = 10.0
"""How long a client has to send the head of a request."""

WRITE_TIMEOUT_S = 60.0
"""How long a client may take nothing of a response that waits for it."""

MAX_HEAD_BYTES = 64 * 1024
"""Of a request: its line and its headers."""

# websockets reads the same head once more. Its own limits are lower: of a header, which a cookie of
# the site or a query with a long prompt exceeds, and of the number of headers, which proxies add to.
http11.MAX_LINE_LENGTH = MAX_HEAD_BYTES
http11.MAX_NUM_HEADERS = MAX_HEAD_BYTES // len("a:b\r\n")


class HttpConnection(H11Protocol):
    """uvicorn's HTTP/1.1, which also cuts off clients that stall in a head or in reading."""

    head_timeout_s = HEAD_TIMEOUT_S
    write_timeout_s = WRITE_TIMEOUT_S
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first head."""
        super().connection_made(transport)
        self._time_head()

    def handle_events(self) -> None:
        """Take what has come; a websocket's head leads away from here."""
        super().handle_events()
        self._time_head()

    def pause_writing(self) -> None:
        """The client does not read as fast as the response is made."""
        super().pause_writing()
        self._write_timer = self.loop.call_later(self.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        self._stop(self._write_timer)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        self._stop(self._head_timer)
        self._stop(self._write_timer)

    def _time_head(self) -> None:
        """Let the time run exactly while a head is waited for."""
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
        subprotocol: str,
        max_frame_bytes: int,
    ) -> None:
        """Prepare; `open` begins to listen.

        Args:
            application: ASGI.
            headers: carried by every answer of the application.
            refuse: says how to answer a request for a websocket that is not to be opened.
            serve: converses over one that is open.
            subprotocol: confirmed where it is offered; a client may as well offer none.
            max_frame_bytes: of a websocket.
        """
        self._refuse = refuse
        self._serve = serve
        self._subprotocol = Subprotocol(subprotocol)
        self._max_frame_bytes = max_frame_bytes
        self.head_timeout_s = HEAD_TIMEOUT_S
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
        self._http = ServerState()
        self._http.default_headers = [
            (name.lower().encode(), value.encode()) for name, value in headers.items()
        ]

    async def open(self, host: str, port: int) -> None:
        """Listen. Raises `OSError` where that is impossible."""
        loop = asyncio.get_running_loop()
        self._websockets = Server(
            lambda: loop.create_server(self._greet, host, port), self._open_websocket
        )
        await self._websockets
        self._listening = True

    @property
    def port(self) -> int:
        """The TCP port."""
        number: int = self._websockets.sockets[0].getsockname()[1]
        return number

    async def requests_answered(self) -> None:
        """Wait until no plain request is being answered."""
        while self._http.tasks:
            await asyncio.wait(self._http.tasks)

    async def close(self) -> None:
        """Close the port and cut what is open; whoever answers a request finds its client gone."""
        if not self._listening:  # somebody else has the port
            return
        self._websockets.close()
        for connection in list(self._http.connections):
            connection.transport.abort()
        await self.requests_answered()
        await self._websockets.wait_closed()

    def _greet(self) -> asyncio.Protocol:
        """Return the protocol of a connection that has just been accepted."""
        connection = HttpConnection(self._config, self._http, {})
        connection.head_timeout_s = self.head_timeout_s
        connection.write_timeout_s = self.write_timeout_s
        return connection

    def _websocket(self, **uvicorns: object) -> asyncio.Protocol:
        """Return the protocol of a connection that has asked for a websocket."""
        return ServerConnection(
            ServerProtocol(
                subprotocols=[self._subprotocol],
                select_subprotocol=choose_subprotocol,
                max_size=self._max_frame_bytes,
            ),
            self._websockets,
            max_queue=1,  # frame that waits to be received; more wait in the client's TCP
            ping_timeout=None,  # see Connection._receive_one
        )

    async def _open_websocket(self, websocket: ServerConnection) -> None:
        """Shake hands and let `serve` converse; called by the connection once it is made."""
        try:
            async with asyncio.timeout(self.head_timeout_s):
                await websocket.handshake(self._refuse)
            if websocket.state is State.OPEN:
                websocket.start_keepalive()
                async with websocket:
                    await self._serve(websocket)
        except (TimeoutError, ConnectionClosed):
            pass  # the client went in the middle of it
        except Exception:
            log.exception("a websocket failed")
        finally:
            websocket.transport.abort()
            self._websockets.handler_tasks.discard(asyncio.current_task())


def choose_subprotocol(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Confirm ours if it is offered; websockets' own choice refuses a client that offers others."""
    ours = protocol.available_subprotocols or ()
    return next((name for name in offered if name in ours), None)
