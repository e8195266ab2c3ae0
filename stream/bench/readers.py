"""`bench readers`: measures the lateness of finals for many readers of a room, and CPU time.

The server runs a scripted model, so that its CPU time is that of the readers and not of a model. It
has its own process; all readers share another.
"""

import asyncio
import json
import math
import multiprocessing
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import zip_longest
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from distil_stream_client import Final, Options, transcribe

from stream.config import ServerConfig
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.evaluate.adapters.feed import Feed
from stream.evaluate.material.recordings import read_audio
from stream.server.running import running_server

ROOM = "bench"
FINAL = re.compile(rb'data: {"type":"final"[^\n]*"text":"[^"]')
"""Matches a final with words in a stream of server-sent events."""

GRACE_S = 10.0
"""Seconds to wait after the recording for the last final of all readers."""

OPEN_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class ReadersRow:
    """The figures for a number of readers.

    The lateness of a final is the time since the first client received it: the speaker, or the
    first of the readers.
    """

    readers: int
    finals: int
    delivered: float
    """The share of all finals for all readers that arrived, 0..1."""
    median_ms: float
    p95_ms: float
    worst_ms: float
    server_cpu: float
    """Average number of cores that the server used while the recording was played."""


def run(recording: Path, readers: list[int] | None = None) -> None:
    """Print a row for each number of readers, and one JSON line.

    Parameters
    ----------
    recording
        File with speech to play, of any length; its finals are timed.
    readers
        Numbers of readers; the default is 1, 100 and 1000.
    """
    print("| readers | finals | delivered | median ms | p95 ms | worst ms | server CPU, cores |")
    print("|---|---|---|---|---|---|---|")
    rows = []
    for count in readers or [1, 100, 1000]:
        with scripted_server() as (address, pid):
            row = asyncio.run(measure(address, pid, recording, count))
        rows.append(row)
        print(
            f"| {row.readers} | {row.finals} | {row.delivered:.2%} | {row.median_ms} "
            f"| {row.p95_ms} | {row.worst_ms} | {row.server_cpu} |",
            flush=True,
        )
    print(json.dumps({"readers": [asdict(row) for row in rows]}))


async def measure(address: str, pid: int, path: Path, count: int) -> ReadersRow:
    """Play a recording into a room with `count` readers, and return the figures.

    Args:
        address: address of the server.
        pid: process id of the server.
        path: the recording.
        count: number of readers.
    """
    server = psutil.Process(pid)
    loop = asyncio.get_running_loop()
    async with many_readers(address, count) as readers:
        spoken: list[float] = []
        before, began = server.cpu_times(), loop.time()
        feed = Feed(read_audio([path]), fast=False)
        settings: Options = {"sample_rate": feed.rate, "room": ROOM, "proxy": None}
        async for event in transcribe(address, feed.chunks(), **settings):
            if isinstance(event, Final) and event.text:
                spoken += [loop.time()]
        took_s, after = loop.time() - began, server.cpu_times()
        await wait_for_finals(readers, len(spoken))
    late_ms = [
        (time - min(times)) * 1000
        for times in zip_longest(spoken, *(reader.finals for reader in readers), fillvalue=math.inf)
        for time in times[1:]
        if time < math.inf
    ]
    busy_s = after.user + after.system - before.user - before.system
    return ReadersRow(
        readers=count,
        finals=len(spoken),
        delivered=len(late_ms) / max(count * len(spoken), 1),
        median_ms=round(float(np.median(late_ms)), 1),
        p95_ms=round(float(np.percentile(late_ms, 95)), 1),
        worst_ms=round(max(late_ms), 1),
        server_cpu=round(busy_s / took_s, 3),
    )


async def wait_for_finals(readers: "list[Reader]", finals: int) -> None:
    """Wait until every reader has this number of finals, but at most `GRACE_S` seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(GRACE_S):
            for reader in readers:
                while len(reader.finals) < finals:
                    reader.received.clear()
                    await reader.received.wait()


class Reader(asyncio.Protocol):
    """Records when each final arrived, with little work, since all readers share a process."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.finals: list[float] = []
        self.received = asyncio.Event()
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the HTTP request for the events of the room."""
        assert isinstance(transport, asyncio.Transport)
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Count the finals in the complete events, and keep an incomplete event for later."""
        self.received.set()
        data = self._rest + data
        whole = data.rfind(b"\n\n") + 2
        self._rest = data[whole:] if whole > 1 else data
        now = asyncio.get_running_loop().time()
        self.finals += [now] * len(FINAL.findall(data[:whole] if whole > 1 else b""))


@asynccontextmanager
async def many_readers(address: str, count: int) -> AsyncIterator[list[Reader]]:
    """Open `count` readers of the room, and wait until each has received its snapshot."""
    host, port = urlsplit(address).hostname or "", urlsplit(address).port or 80
    request = f"GET /v1/rooms/{ROOM}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    readers: list[Reader] = []
    transports = []
    while len(readers) < count:
        opening = min(OPEN_AT_ONCE, count - len(readers))
        opened = await asyncio.gather(
            *(loop.create_connection(lambda: Reader(request), host, port) for _ in range(opening))
        )
        transports += [transport for transport, _ in opened]
        readers += [reader for _, reader in opened]
        await asyncio.gather(*(reader.received.wait() for _, reader in opened))
    try:
        yield readers
    finally:
        for transport in transports:
            transport.abort()


@contextmanager
def scripted_server() -> Iterator[tuple[str, int]]:
    """Run a server with a scripted model in its own process; yield its address and process id."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve_scripted, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv(), process.pid or 0
    finally:
        process.terminate()
        process.join()


def serve_scripted(pipe: Connection) -> None:
    """Send the server's address through the pipe, and serve until the process is terminated."""
    import uvloop

    async def serve() -> None:
        config = ServerConfig(port=0, max_readers=100_000)
        async with running_server(config, ScriptedTranscriber(counting())) as address:
            pipe.send(address)
            await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
