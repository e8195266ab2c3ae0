"""A server with its ports: it opens them, loads its model, drains and closes.

The server answers HTTP as soon as its ports are open, while a thread loads the model. So a monitor
can distinguish a process that runs (`/healthz`) from one that is ready (`/readyz`).
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from stream.config import ServerConfig
from stream.core.settings import SessionTuning
from stream.engine.transcriber import Transcriber
from stream.errors import UsageError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import Transport
from stream.protocols.interface import Closing
from stream.protocols.protocol_table import PROTOCOLS
from stream.server.accepting import Websockets, serve_tcp
from stream.server.door import FrontDoor
from stream.server.endpoints import Endpoints, FindEndpoint, OpenPort
from stream.server.exposure import check_exposure
from stream.server.http import page
from stream.server.http.application import application
from stream.server.http.protocol_routes import own_port_application
from stream.server.state import ServerState
from stream.server.tls import certificate_of

GOING_AWAY = Closing(CloseCode.GOING_AWAY, "the server is stopping")


class Server:
    """A server on a shared port, and on a separate port for each protocol that declares one."""

    def __init__(
        self,
        config: ServerConfig,
        protocols: Mapping[str, str] = PROTOCOLS,
        tuning: SessionTuning | None = None,
    ) -> None:
        """Prepare a server; `listen` opens the ports.

        Args:
            config: settings of the server.
            protocols: protocols to offer: name -> module:class, as in `PROTOCOLS`.
            tuning: tuning of all streams and uploads; None for the defaults.

        Raises:
            UsageError: a file (of rooms, keys, the secret, the certificate) cannot be used, or the
                settings of a protocol are invalid.
        """
        self.config = config
        self.endpoints = Endpoints(protocols, config)
        self.state = ServerState(config, tuning)
        self.certificate = certificate_of(config.tls_cert, config.tls_key)
        self._watching: asyncio.Task[None] | None = None
        shared = application(self.state, self.endpoints.protocols)
        self.door = self._front_door(shared, self.endpoints.find)
        self.own_doors: dict[str, FrontDoor | asyncio.Server] = {}
        """The listeners on the ports of single protocols, by the flag that sets the port."""

    async def listen(self) -> None:
        """Open the ports.

        Raises `UsageError` if that is impossible, or if other machines could use the server without
        a key and nothing says that they may.
        """
        host, port = self.config.host, self.config.port
        check_exposure(self.config, self.endpoints.ports, self.state.visitors.keyring.required)
        self.state.room_service.open()
        with errors_of_listening(host, port, "--port"):
            await self.door.open(host, port, self._tls)
        for own in self.endpoints.ports:
            with errors_of_listening(own.host or host, own.number, own.option):
                self.own_doors[own.option] = await self._open(own)
        if self.certificate:
            self._watching = asyncio.create_task(self.certificate.watch())

    @property
    def address(self) -> str:
        """The URL of the captions page; streams are at `/v1/stream` below it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)
        scheme = "https" if self.certificate else "http"
        bracketed = f"[{host}]" if ":" in host and host[0] != "[" else host
        return f"{scheme}://{bracketed}:{self.door.port}/"

    @property
    def _tls(self) -> ssl.SSLContext | None:
        return self.certificate.context if self.certificate else None

    def own_port(self, option: str) -> int:
        """Return the TCP port that was opened for a flag such as `--audiosocket-port`."""
        door = self.own_doors[option]
        number: int = door.port if isinstance(door, FrontDoor) else door.sockets[0].getsockname()[1]
        return number

    async def start_engine(self, load: Callable[[], Transcriber]) -> None:
        """Load the model with `load`, which is called on a thread; then accept clients."""
        await self.state.start_engine(load)

    async def drain(self) -> None:
        """Stop accepting clients, and send the finals of all streams, for at most `drain_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_s):
                await self.state.drain(GOING_AWAY)
                await self.door.requests_answered()

    async def close(self, closing: Closing = GOING_AWAY) -> None:
        """Close the ports and all connections, and end the threads of the engine."""
        if self._watching:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.state.close(closing)
        for door in self.own_doors.values():
            if isinstance(door, FrontDoor):
                await door.close()
            else:
                door.close()
        await self.door.close()
        await self.state.stop_engine()

    async def _open(self, own: OpenPort) -> FrontDoor | asyncio.Server:
        if own.protocol.transport is Transport.TCP:
            handler = partial(serve_tcp, self.state, own)
            return await asyncio.start_server(handler, own.host or self.config.host, own.number)
        door = self._front_door(own_port_application(self.state, own.protocol), own.find)
        await door.open(own.host or self.config.host, own.number, self._tls)
        return door

    def _front_door(self, application: Callable[..., Any], find: FindEndpoint) -> FrontDoor:
        websockets = Websockets(self.state, find)
        return FrontDoor(
            application,
            headers=page.HEADERS,
            refuse=websockets.refuse,
            serve=websockets.serve,
            subprotocols=websockets.subprotocols,
            max_frame_bytes=self.config.max_frame_bytes,
            shares=self.state.shares,
        )


@contextmanager
def errors_of_listening(host: str, port: int, option: str) -> Iterator[None]:
    """Convert the errors of opening a port in a `with` block to `UsageError` with the reason."""
    try:
        yield
    except socket.gaierror as error:
        raise UsageError(f"There is no host {host}; see --host.") from error
    except OSError as error:
        raise UsageError(
            f"Cannot listen on {host} port {port}: {os.strerror(error.errno or 0)}. "
            f"Stop what is using it, or choose another with {option}."
        ) from None
