"""Runs a server: within another program, or as a process that a signal ends."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from stream.config import ServerConfig
from stream.core.settings import SessionTuning
from stream.engine.transcriber import Transcriber
from stream.media.decoding_processes import fork_server
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing
from stream.protocols.protocol_table import PROTOCOLS
from stream.server.app import GOING_AWAY, Server
from stream.server.open_files import allow_streams

RESTARTING = Closing(CloseCode.RESTARTING, "the server is restarting; reconnect")
SIGNALS = {"SIGINT": GOING_AWAY, "SIGTERM": GOING_AWAY, "SIGHUP": RESTARTING}
"""The signals that end a server, and how its streams are closed."""

log = logging.getLogger(__name__)


@asynccontextmanager
async def running(
    config: ServerConfig,
    load: Callable[[], Transcriber],
    protocols: Mapping[str, str] = PROTOCOLS,
    tuning: SessionTuning | None = None,
) -> AsyncIterator[Server]:
    """Run a server within this process for the time of a `with` block, in which it is ready.

    Args:
        config: settings of the server.
        load: loads the model; called on a thread.
        protocols: protocols to offer: name -> module:class, as in `PROTOCOLS`.
        tuning: tuning of all streams and uploads; None for the defaults.
    """
    server = Server(config, protocols, tuning)
    try:
        await server.listen()
        await server.start_engine(load)
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def running_server(config: ServerConfig, transcriber: Transcriber) -> AsyncIterator[str]:
    """Run a server within this process for a `with` block, and yield its `http://host:port/`."""
    async with running(config, lambda: transcriber) as server:
        yield server.address


async def serve(
    config: ServerConfig, load: Callable[[], Transcriber], announce: Callable[[str], None]
) -> None:
    """Serve until a signal arrives; `announce` gets the URL once clients are admitted.

    After SIGINT and SIGTERM the server drains: streams get their finals. After SIGHUP it does not,
    because another server takes over at once: clients get a close code that makes them reconnect. A
    second signal ends the process at once. A signal that was ignored when the process was started,
    as `nohup` and shells do, stays ignored.
    """
    allow_streams(config.max_connections)
    fork_server.start()
    server = Server(config)
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[Closing] = loop.create_future()
    for name, closing in SIGNALS.items():
        with suppress(NotImplementedError, AttributeError):  # on Windows Ctrl-C interrupts instead
            number = getattr(signal, name)
            if signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, stop_or_exit, stopped, closing)
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


def stop_or_exit(stopped: "asyncio.Future[Closing]", closing: Closing) -> None:
    """Handle a signal: the first stops the server, the second ends the process."""
    if stopped.done():
        log.warning("ending at once")
        os._exit(1)
    stopped.set_result(closing)
