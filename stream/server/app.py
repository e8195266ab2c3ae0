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
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from stream.config import ServerConfig
from stream.core.load import Load
from stream.core.settings import SessionTuning
from stream.engine.load import RETRY_AFTER_S
from stream.engine.voice_detectors import choose_detector
from stream.engine.worker import Engine, Transcriber
from stream.errors import UsageError
from stream.media.container import ContainerDecoder
from stream.protocols import PROTOCOLS, load_protocol
from stream.protocols.messages import CloseCode
from stream.protocols.port import Closing, Resumption, Service
from stream.server import access, http, page
from stream.server.audience import Audience
from stream.server.audiosocket import PhoneCall, protocol_of_calls
from stream.server.connection import Connection
from stream.server.door import FrontDoor
from stream.server.kept import Kept
from stream.server.load_watch import LoadWatch
from stream.server.metrics import Metrics
from stream.server.open_files import allow_streams
from stream.server.room_reader import room_of, serve_reader

SUBPROTOCOL = "stream.v1"
GOING_AWAY = Closing(CloseCode.GOING_AWAY, "the server is going away")
RESTARTING = Closing(CloseCode.RESTARTING, "the server is restarting: come back")
NO_SUCH_STREAM = "There is no such stream any more; open one, and send what is not settled yet."
log = logging.getLogger(__name__)
T = TypeVar("T")


class Server:
    """One listening port and all that is behind it."""

    def __init__(self, config: ServerConfig) -> None:
        self.config = config
        self.metrics = Metrics()
        self.assets = page.load_assets(page.page_folder())
        self.audience = Audience(config, self.metrics)
        self.rooms = self.audience.rooms
        self.new_call = protocol_of_calls(config.audiosocket_settings)
        self.call_listener: asyncio.Server | None = None
        self.connections: dict[str, Connection | PhoneCall] = {}
        self.kept = Kept(config.resume_s)
        self.metrics.kept.set_function(lambda: len(self.kept))
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
        """Open the ports. Raises `UsageError` where that is impossible."""
        host, port, call_port = self.config.host, self.config.port, self.config.audiosocket_port
        self.audience.open()
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
            resume_token=self.kept.token,
            container=ContainerDecoder,
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
                self.rooms.let_readers_go()
                await self.door.requests_answered()

    async def close(self, closing: Closing = GOING_AWAY) -> None:
        """Close the port and what is left of the connections, and end the engine's thread."""
        self.draining = True
        self.kept.make_room(0)
        for connection in self.connections.values():
            connection.cut(closing)
        await self.nobody_here.wait()
        if self.call_listener:
            self.call_listener.close()
        await self.audience.close()
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
        if room := room_of(path):
            await serve_reader(websocket, self.rooms, room, self.config.idle_s)
            return
        protocol_class = load_protocol(path)
        protocol = protocol_class(self.service, session_id, access.query_fields(query))
        if not access.may_stream(websocket.request, self.config):
            protocol.fail("not_authorised", "The key is missing or wrong; see --api-key.")
        protocol.receive_load(self.load.rung.load)
        connection = Connection(
            protocol, session_id, self.engine, self.config, self.metrics, self.rooms
        )
        await self._attend(connection, websocket)
        if protocol.resumption is None:
            return
        if found := await self._find(protocol.resumption):
            self.metrics.resumed.inc()
            stream, missed = found
            stream.receive_load(self.load.rung.load)
            await self._attend(stream, websocket, missed)
        else:
            protocol.fail("resume_refused", NO_SUCH_STREAM)
            await self._attend(connection, websocket)

    async def _serve_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a call from Asterisk."""
        admits = self.ready and self.load is not None and self.load.rung.admits
        if not admits or len(self.connections) >= self.config.max_sessions:
            writer.close()
            return
        assert self.engine
        assert self.service
        assert self.load
        session_id = secrets.token_hex(8)
        protocol = self.new_call(self.service, session_id)
        protocol.receive_load(self.load.rung.load)
        call = PhoneCall(
            reader, writer, protocol, session_id, self.engine, self.config, self.metrics, self.rooms
        )
        self.connections[session_id] = call
        self.nobody_here.clear()
        self._count_streams()
        try:
            await call.run()
        finally:
            del self.connections[session_id]
            self._count_streams()
            if not self.connections:
                self.nobody_here.set()

    async def _attend(
        self,
        connection: Connection,
        websocket: ServerConnection,
        missed: Sequence[str] | None = None,
    ) -> None:
        """Serve a stream through a socket; if that breaks, keep the stream for its client."""
        session_id = connection.session_id
        self.connections[session_id] = connection
        self.nobody_here.clear()
        self._count_streams()
        try:
            await connection.run(websocket, missed)
        finally:
            if connection.websocket is websocket:  # and has not gone on with another since
                del self.connections[session_id]
                if connection.lost:
                    self.kept.keep(connection)
            self._count_streams()
            if not self.connections:
                self.nobody_here.set()

    async def _find(self, asked: Resumption) -> tuple[Connection, list[str]] | None:
        """Return a stream that a client comes back to, and the messages that it did not get."""
        if not self.kept.admits(asked):
            return None
        found = self.connections.get(asked.session)
        still_open = found if isinstance(found, Connection) else None
        if still_open:
            await still_open.release()
        connection = self.kept.take(asked.session) or still_open
        if connection is None or connection.over:
            return None
        missed = connection.sent.after(asked.seq)
        if missed is None:
            connection.give_up()
            return None
        return connection, missed

    def _count_streams(self) -> None:
        self.kept.make_room(self.config.max_sessions - len(self.connections))
        self.metrics.sessions.set(len(self.connections))

    def _refuse(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Say why this request may not become a stream, if it may not."""
        path = request.path.partition("?")[0]
        if path not in PROTOCOLS and not room_of(path):
            return websocket.respond(404, "There is nothing here.\n")
        if not access.origin_allowed(request.headers.raw_items(), self.config):
            refusal = (403, "Pages of this origin may not; see --allow-origin.\n")
        elif room_of(path):
            if access.may_read(request.headers.raw_items(), request.path, self.config):
                if self.rooms.n_readers < self.config.max_readers:
                    return None
                refusal = (503, "There are too many readers; try again later.\n")
            else:
                refusal = (401, "The key is missing or wrong; see --api-key.\n")
        elif not self.ready:
            refusal = (503, "Not ready; see /readyz.\n")
        elif len(self.connections) >= self.config.max_sessions:
            refusal = (503, "Full; try again later.\n")
        elif self.load and not self.load.rung.admits and not self.kept:
            # While a lost client is waited for, the door is open: he may be the one who knocks.
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


@asynccontextmanager
async def running(config: ServerConfig, load: Callable[[], Transcriber]) -> AsyncIterator[Server]:
    """Run a server within this process; it is ready when the block begins."""
    server = Server(config)
    try:
        await server.listen()
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
    """Serve until a signal; `announce` gets the address once clients are let in.

    SIGINT and SIGTERM drain: streams get their finals. SIGHUP says that another server will take
    over at once: clients are told to come back. A second signal ends the process.
    """
    allow_streams(config.max_sessions + config.max_readers)
    server = Server(config)
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[Closing] = loop.create_future()
    for name, closing in SIGNALS.items():
        with suppress(NotImplementedError, AttributeError):  # on Windows, Ctrl-C interrupts instead
            loop.add_signal_handler(getattr(signal, name), stop_or_exit, stopped, closing)
    closing = GOING_AWAY
    try:
        await server.listen()
        starting = asyncio.create_task(server.start_engine(load))
        first: list[asyncio.Future[Any]] = [starting, stopped]
        await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            announce(server.address)
            closing = await stopped
            if closing is GOING_AWAY:
                await server.drain()
        else:
            starting.cancel()
    finally:
        await server.close(closing)


SIGNALS = {"SIGINT": GOING_AWAY, "SIGTERM": GOING_AWAY, "SIGHUP": RESTARTING}
"""What ends a server, and what its clients are told."""


def stop_or_exit(stopped: "asyncio.Future[Closing]", closing: Closing) -> None:
    """Take a signal: the first asks, the second insists."""
    if stopped.done():
        log.warning("ending at once")
        os._exit(1)
    stopped.set_result(closing)
