"""The server: listens, gets its model ready, lets clients in, and goes away politely.

It answers HTTP from the moment it listens, so that whoever watches it can tell that it is alive
(`/healthz`) from that it is ready (`/readyz`): the model is loaded meanwhile, in a thread.
"""

import asyncio
import logging
import os
import secrets
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from stream.config import ServerConfig
from stream.core.load import Load
from stream.core.settings import SessionTuning
from stream.engine.load import RETRY_AFTER_S
from stream.engine.voice_detectors import choose_detector
from stream.engine.worker import Engine, Transcriber
from stream.errors import UsageError
from stream.protocols import PROTOCOLS, load_protocol
from stream.protocols.messages import CloseCode
from stream.protocols.port import Closing, Service
from stream.server import access, http, page
from stream.server.connection import Connection
from stream.server.door import FrontDoor
from stream.server.load_watch import LoadWatch
from stream.server.metrics import Metrics
from stream.server.open_files import allow_streams

SUBPROTOCOL = "stream.v1"
GOING_AWAY = Closing(CloseCode.GOING_AWAY, "the server is going away")
log = logging.getLogger(__name__)
T = TypeVar("T")


class Server:
    """One listening port and all that is behind it."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.metrics = Metrics()
        self.assets = page.load_assets(page.page_folder())
        self.connections: dict[str, Connection] = {}
        self.nobody_here = asyncio.Event()
        self.nobody_here.set()
        self.draining = False
        self.engine: Engine | None = None
        self.service: Service | None = None
        self.load: LoadWatch | None = None
        self._watching: asyncio.Task[None] | None = None
        self.door = FrontDoor(
            http.application(self),
            headers=page.HEADERS,
            refuse=self._refuse,
            serve=self._serve_client,
            subprotocol=SUBPROTOCOL,
            max_frame_bytes=config.max_frame_bytes,
        )

    async def listen(self) -> None:
        """Open the port. Raises `UsageError` where that is impossible."""
        try:
            await self.door.open(self.config.host, self.config.port)
        except socket.gaierror as error:
            raise UsageError(f"There is no host {self.config.host}; see --host.") from error
        except OSError as error:
            where = f"{self.config.host} port {self.config.port}"
            raise UsageError(
                f"Cannot listen on {where}: {os.strerror(error.errno or 0)}. "
                "Stop what is using it, or choose another with --port."
            ) from None

    @property
    def address(self) -> str:
        """The address of the page, for people; a stream is at `/v1/stream` of it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.config.host, self.config.host)
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.door.port}/"

    async def start_engine(self, load: Callable[[], Transcriber]) -> None:
        """Get the model, warm, from `load` (called on a thread); then let clients in."""
        config = self.config
        detector = choose_detector(config.vad, config.vad_aggressiveness)
        transcriber = await in_thread(load)
        self.service = Service(
            model=transcriber.name,
            languages=transcriber.languages,
            max_frame_bytes=config.max_frame_bytes,
            max_ahead_s=config.max_ahead_s,
            idle_s=config.idle_s,
            tuning=SessionTuning(partial_hop_ms=config.partial_hop_ms),
            detector=detector,
        )
        self.load = LoadWatch(self.metrics, self._tell_load, config.when_busy == "shed")
        self.engine = Engine(transcriber, config.max_batch, self.load.receive_batch)
        self.metrics.watch(self.engine)
        self.engine.start()
        self._watching = asyncio.create_task(self.load.watch(self.engine))
        self.metrics.ready.set(1)

    @property
    def ready(self) -> bool:
        """Whether clients are let in."""
        return self.engine is not None and not self.draining

    async def drain(self) -> None:
        """Let nobody in, and give everybody inside their finals, for `drain_s` at most."""
        self.draining = True
        self.metrics.ready.set(0)
        log.info("draining %d streams", len(self.connections))
        for connection in list(self.connections.values()):
            connection.finish(GOING_AWAY)
        with suppress(TimeoutError):
            async with asyncio.timeout(self.config.drain_s):
                await self.nobody_here.wait()
                await self.door.requests_answered()

    async def close(self) -> None:
        """Close the port and what is left of the connections, and end the engine's thread."""
        self.draining = True
        for connection in self.connections.values():
            connection.cut(GOING_AWAY)
        await self.nobody_here.wait()
        await self.door.close()
        if self._watching:
            self._watching.cancel()
        if self.engine:
            await in_thread(partial(self.engine.stop, drain=False))

    async def _serve_client(self, websocket: ServerConnection) -> None:
        assert self.engine
        assert self.service
        assert self.load
        assert websocket.request
        session_id = secrets.token_hex(8)
        path, _, query = websocket.request.path.partition("?")
        protocol_class = load_protocol(path)
        protocol = protocol_class(self.service, session_id, access.query_fields(query))
        if not access.authorised(websocket.request.headers.raw_items(), query, self.config):
            protocol.fail("not_authorised", "The key is missing or wrong; see --api-key.")
        protocol.receive_load(self.load.rung.load)
        connection = Connection(
            websocket, protocol, session_id, self.engine, self.config, self.metrics
        )
        self.connections[session_id] = connection
        self.nobody_here.clear()
        self.metrics.sessions.set(len(self.connections))
        try:
            await connection.run()
        finally:
            del self.connections[session_id]
            self.metrics.sessions.set(len(self.connections))
            if not self.connections:
                self.nobody_here.set()

    def _refuse(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Say why this request may not become a stream, if it may not."""
        if request.path.partition("?")[0] not in PROTOCOLS:
            return websocket.respond(404, "There is nothing here.\n")
        if not access.origin_allowed(request.headers.raw_items(), self.config):
            refusal = (403, "Pages of this origin may not; see --allow-origin.\n")
        elif not self.ready:
            refusal = (503, "Not ready; see /readyz.\n")
        elif len(self.connections) >= self.config.max_sessions:
            refusal = (503, "Full; try again later.\n")
        elif self.load and not self.load.rung.admits:
            refusal = (503, f"Too busy; try again in {RETRY_AFTER_S} s.\n")
        else:
            return None
        self.metrics.refused.labels(str(refusal[0])).inc()
        response = websocket.respond(*refusal)
        if refusal[0] == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        return response

    def _tell_load(self, load: Load) -> None:
        """Tell every stream what is left out from now on."""
        log.info("load: %s", load.value)
        for connection in list(self.connections.values()):
            connection.receive_load(load)


async def in_thread(function: Callable[[], T]) -> T:
    """Run a function on a daemon thread: one that hangs must not keep the process from ending."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if outcome.cancelled():
            return
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = function(), None
        except BaseException as raised:
            result, error = None, raised
        with suppress(RuntimeError):  # the loop is gone, and with it whoever waited
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, daemon=True).start()
    return await outcome


@asynccontextmanager
async def running(config: ServerConfig, load: Callable[[], Transcriber]) -> AsyncIterator[Server]:
    """Run a server within this process; it is ready when the block begins."""
    server = Server(config)
    await server.listen()
    try:
        await server.start_engine(load)
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def running_server(config: ServerConfig, transcriber: Transcriber) -> AsyncIterator[str]:
    """Run a server within this process, and yield its address (`http://host:port/`)."""
    async with running(config, lambda: transcriber) as server:
        yield server.address


async def serve(
    config: ServerConfig, load: Callable[[], Transcriber], announce: Callable[[str], None]
) -> None:
    """Serve until SIGINT or SIGTERM; `announce` gets the address once clients are let in.

    The first signal drains: streams get their finals. The second ends the process at once.
    """
    allow_streams(config.max_sessions)
    server = Server(config)
    await server.listen()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # on Windows, Ctrl-C interrupts instead
            loop.add_signal_handler(number, stop_or_exit, stopped)
    try:
        starting = asyncio.create_task(server.start_engine(load))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            announce(server.address)
            await stopping
            await server.drain()
        else:
            starting.cancel()
    finally:
        await server.close()


def stop_or_exit(stopped: asyncio.Event) -> None:
    """Take a signal: the first asks, the second insists."""
    if stopped.is_set():
        log.warning("ending at once")
        os._exit(1)
    stopped.set()
