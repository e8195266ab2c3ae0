"""A wire between client and server that can be broken, as a network breaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Wire:
    """Forwards TCP connections to a server."""

    def __init__(self, target: str) -> None:
        self.port = urlsplit(target).port
        self.address = ""
        self.passed = 0
        """Connections so far."""
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.plugged = True

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        if not self.plugged:
            self.cut()
            return
        self.passed += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            self.cut({writer})
            return
        self._writers.add(far_writer)
        with suppress(OSError):
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self.cut({writer, far_writer})

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 14):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self, writers: set[asyncio.StreamWriter] | None = None) -> None:
        """Break connections without a word, all of them unless told."""
        for writer in set(writers or self._writers):
            self._writers.discard(writer)
            writer.transport.abort()

    def hold(self) -> None:
        """Swallow what is sent from now on: half open."""
        self._open = asyncio.Event()

    def let_through(self) -> None:
        """Forward again what comes through connections that begin now."""
        self._open = asyncio.Event()
        self._open.set()


@asynccontextmanager
async def breakable(target: str) -> AsyncIterator[Wire]:
    wire = Wire(target)
    listener = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.address = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/"
    try:
        yield wire
    finally:
        listener.close()
        wire.cut()
