"""`bench idle`: measures the cost of idle streams, connected only or sending silence."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass

from rich.console import Console
from websockets.asyncio.client import ClientConnection, connect

from stream.bench.server_metrics import read_metrics
from stream.core.audio import SAMPLE_RATE
from stream.evaluate.measures.cost import tree_bytes, tree_cpu_s
from stream.evaluate.report.tables import table
from stream.evaluate.server_process import server_process
from stream.server.open_files import allow_streams

AT_ONCE = 50
"""Number of concurrent handshakes; the server's TCP backlog allows a hundred."""
FRAME_MS = 100
KEEPALIVE_S = 20.0

Act = Callable[[list[ClientConnection], float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class IdleRow:
    """The cost of streams in the same state."""

    state: str
    streams: int
    cpu_cores: float
    """CPU time of the server divided by the elapsed time."""
    kib_a_stream: float
    """Growth of the server's resident memory for each stream."""
    loop_late_p99_ms: float
    """Lateness of the server's event loop, 99th percentile."""


def run(streams: int = 1000, sending: int = 100, seconds: float = 20.0) -> None:
    """Print the cost of connected streams and of streams that send silence, and one JSON line.

    The server runs a scripted model, since no window is made of silence.

    Parameters
    ----------
    streams
        Number of streams that are connected and send only a `keepalive` every 20 s.
    sending
        Number of these streams that then send digital silence, in frames of 100 ms.
    seconds
        Duration of each of the two measurements.
    """
    allow_streams(streams)
    with server_process("scripted", streams) as (url, pid):
        rows = asyncio.run(measure(url, pid, streams, min(sending, streams), seconds))
    made = table("idle streams", "", "streams", "cores", "KiB more each", "loop late p99 ms")
    for row in rows:
        made.add_row(
            row.state,
            str(row.streams),
            f"{row.cpu_cores:.3f}",
            f"{row.kib_a_stream:.0f}",
            f"{row.loop_late_p99_ms:.1f}",
        )
    Console(width=100, highlight=False).print(made)
    print(json.dumps({"command": "bench idle", "rows": [asdict(row) for row in rows]}))


async def measure(url: str, pid: int, streams: int, sending: int, seconds: float) -> list[IdleRow]:
    """Connect all streams; measure them first idle, then while some of them send silence."""
    held = tree_bytes(pid)
    async with AsyncExitStack() as stack:
        opened: list[ClientConnection] = []
        for first in range(0, streams, AT_ONCE):
            places = range(min(AT_ONCE, streams - first))
            opened += await asyncio.gather(*(open_stream(stack, url) for _ in places))

        async def row(state: str, members: list[ClientConnection], act: Act) -> IdleRow:
            nonlocal held
            before, began, metrics = tree_cpu_s(pid), time.perf_counter(), read_metrics(url)
            await act(members, seconds)
            took = time.perf_counter() - began
            used = sum(tree_cpu_s(pid).values()) - sum(before.values())
            late = read_metrics(url).since(metrics)["loop_late_p99_ms"]
            now = tree_bytes(pid)
            kib, held = (now - held) / 1024 / len(members), now
            return IdleRow(state, len(members), round(used / took, 4), round(kib, 1), late)

        return [
            await row("connected", opened, keep_alive),
            await row("sending silence", opened[:sending], send_silence),
        ]


async def open_stream(stack: AsyncExitStack, url: str) -> ClientConnection:
    """Open a stream, start it, and wait for the server's first message."""
    address = f"{url.replace('http', 'ws', 1)}v1/stream"
    websocket = await stack.enter_async_context(
        connect(address, compression=None, ping_interval=None, open_timeout=60)
    )
    await websocket.send('{"type":"start"}')
    await websocket.recv()
    return websocket


async def keep_alive(members: list[ClientConnection], seconds: float) -> None:
    """Send a `keepalive` on every stream, every `KEEPALIVE_S` seconds."""
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for websocket in members:
            await websocket.send('{"type":"keepalive"}')
        await asyncio.sleep(min(KEEPALIVE_S, left))


async def send_silence(members: list[ClientConnection], seconds: float) -> None:
    """Send silence at the pace of speech on every stream; discard the server's messages."""
    frame = bytes(2 * SAMPLE_RATE * FRAME_MS // 1000)
    reading = [asyncio.create_task(read_all(websocket)) for websocket in members]
    began = time.perf_counter()
    for number in range(round(1000 * seconds / FRAME_MS)):
        await asyncio.sleep(max(0.0, began + number * FRAME_MS / 1000 - time.perf_counter()))
        for websocket in members:
            await websocket.send(frame)
    for task in reading:
        task.cancel()


async def read_all(websocket: ClientConnection) -> None:
    """Read and discard all messages."""
    async for _ in websocket:
        pass
