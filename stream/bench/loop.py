"""`bench loop`: measures how long other clients wait for the server while one client attacks it.

Eight live streams run, each attack runs for some seconds beside them, and `/healthz` is requested
all the time. The server has a scripted model and a process of its own, so that the time is spent in
the server's own code.
"""

import asyncio
import io
import json
import multiprocessing
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from urllib.parse import urlsplit

import numpy as np
import soundfile
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from stream.bench.readers import scripted_server
from stream.media.decoding_processes import DecodingProcesses, fork_server
from stream.media.remote import ContainerDecoder

STREAMS = 8
LIMIT_MS = 100.0
"""Milliseconds within which `/healthz` must answer at the 99th percentile."""
EVERY_S = 0.02
STARTS = 20
FRAME = bytes(3200)
"""A tenth of a second of silence."""

Attack = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class LoopRow:
    """The response times of `/healthz` during an attack, in milliseconds."""

    attack: str
    requests: int
    median_ms: float
    p99_ms: float
    worst_ms: float


def run(seconds: float = 10.0) -> None:
    """Print a row for each attack, the cost of a decoding process, and one JSON line.

    Args:
        seconds: duration of each attack.
    """
    rows = []
    print(f"{'attack':24}{'requests':>9}{'median':>9}{'99 %':>9}{'worst':>9}  ms until /healthz")
    with scripted_server() as (address, _):
        for name in ATTACKS:
            row = asyncio.run(measure(address, name, seconds))
            rows.append(row)
            figures = f"{row.median_ms:9.1f}{row.p99_ms:9.1f}{row.worst_ms:9.1f}"
            print(f"{name:24}{row.requests:9}{figures}", flush=True)
    start_ms = asyncio.run(decoding_start_ms())
    print(f"\nA decoding process starts in {start_ms:.1f} ms (median of {STARTS}).")
    within = all(row.p99_ms <= LIMIT_MS for row in rows)
    print(f"/healthz answers within {LIMIT_MS:g} ms at the 99th percentile: {within}")
    print(json.dumps({"rows": [asdict(row) for row in rows], "decoding_start_ms": start_ms}))


async def measure(address: str, name: str, seconds: float) -> LoopRow:
    """Run one attack beside live streams for some seconds."""
    took_ms: list[float] = []
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(talk(address)) for _ in range(STREAMS)]
        stack.enter_context(attacking(name, address))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            began = time.monotonic()
            await request_health(address)
            took_ms.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(EVERY_S)
        for task in tasks:
            task.cancel()
    median, p99 = np.percentile(took_ms, [50, 99])
    return LoopRow(
        name, len(took_ms), round(float(median), 1), round(float(p99), 1), round(max(took_ms), 1)
    )


@contextmanager
def attacking(name: str, address: str) -> Iterator[None]:
    """Attack while the block runs, in another process, so that attacks do not delay requests."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=attack_in_process, args=(name, address), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def attack_in_process(name: str, address: str) -> None:
    """Attack until the process is terminated."""
    asyncio.run(repeat(ATTACKS[name], address))


async def repeat(attack: Attack, address: str) -> None:
    """Attack again and again; the server may end each attack."""
    while True:
        with suppress(ConnectionClosed, InvalidHandshake, OSError, EOFError):
            await attack(address)
        await asyncio.sleep(0.1)


async def talk(address: str) -> None:
    """Stream silence at the pace of speech, and discard the server's messages."""
    async with websocket(address, "/v1/stream") as socket:
        while True:
            await socket.send(FRAME)
            with suppress(TimeoutError):
                async with asyncio.timeout(len(FRAME) / 32_000):
                    async for _ in socket:
                        pass


def websocket(address: str, path: str) -> connect:
    """Return the connection to a path, as a context manager."""
    url = address.replace("http", "ws", 1).rstrip("/") + path
    return connect(url, compression=None, ping_interval=None, max_size=None, proxy=None)


async def request(address: str, head: str, body: bytes = b"") -> None:
    """Send a request over a new connection, and read the response to its end."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        common = f"Host: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(f"{head}\r\n{common}".encode() + body)
        await reader.read()
    finally:
        writer.close()


async def request_health(address: str) -> None:
    """Request `/healthz`."""
    await request(address, "GET /healthz HTTP/1.1")


def silent_flac(seconds: float) -> bytes:
    """Return a FLAC file that holds much silence in few bytes."""
    file = io.BytesIO()
    soundfile.write(file, np.zeros(round(1000 * seconds), np.int16), 1000, format="FLAC")
    return file.getvalue()


async def nothing(address: str) -> None:
    """Wait a second, without an attack: the baseline."""
    await asyncio.sleep(1)


async def container(address: str) -> None:
    """Stream an hour of silence in some kilobytes."""
    async with websocket(address, "/v1/stream") as socket:
        await socket.send('{"type":"start","encoding":"container"}')
        await socket.send(silent_flac(3600))
        await asyncio.sleep(1)


async def large_frame(address: str) -> None:
    """Send two minutes of telephone audio in one message."""
    async with websocket(address, "/v1/stream") as socket:
        await socket.send('{"type":"start","encoding":"mulaw","sample_rate":8000}')
        await socket.send(b"\xff" * 1_000_000)
        await send_end(socket)


async def large_text(address: str) -> None:
    """Send a minute and a half of a call in one message."""
    start = {"streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"]}
    media = {"track": "inbound", "timestamp": "0", "payload": "////" * 230_000}
    async with websocket(address, "/v1/twilio") as socket:
        await socket.send(json.dumps({"event": "start", "start": start}))
        await socket.send(json.dumps({"event": "media", "media": media}))
        await socket.send('{"event":"stop"}')
        await socket.wait_closed()


async def jumps(address: str) -> None:
    """Send a call whose time stamps jump by an hour with each message."""
    start = {"streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound", "outbound"]}
    async with websocket(address, "/v1/twilio") as socket:
        await socket.send(json.dumps({"event": "start", "start": start}))
        for number in range(1, 200):
            media = {"track": "inbound", "timestamp": str(3_500_000 * number), "payload": "/w=="}
            await socket.send(json.dumps({"event": "media", "media": media}))


async def pings(address: str) -> None:
    """Send pings as fast as possible."""
    async with websocket(address, "/v1/stream") as socket:
        for number in range(10_000):
            await socket.ping(number.to_bytes(4, "big") + bytes(120))


async def fragments(address: str) -> None:
    """Send a message of thousands of fragments."""
    async with websocket(address, "/v1/stream") as socket:
        await socket.send('{"type":"start"}')
        await socket.send("" for _ in range(5000))


async def ampersands(address: str) -> None:
    """Send a form of ampersands."""
    head = (
        "POST /v1/audio/transcriptions HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded"
    )
    await request(address, head, b"&" * 20_000_000)


async def upload(address: str) -> None:
    """Upload two hours of silence in some kilobytes."""
    body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
    head = "POST /v1/audio/transcriptions HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=x"
    await request(address, head, body + silent_flac(7200) + b"\r\n--x--\r\n")


async def send_end(socket: ClientConnection) -> None:
    """End a stream of the native protocol, and wait until it is closed."""
    await socket.send('{"type":"end"}')
    async for _ in socket:
        pass


ATTACKS: dict[str, Attack] = {
    "none": nothing,
    "container of silence": container,
    "upload of silence": upload,
    "large binary message": large_frame,
    "large text message": large_text,
    "jumping time stamps": jumps,
    "pings": pings,
    "fragments": fragments,
    "form of ampersands": ampersands,
}


async def decoding_start_ms() -> float:
    """Return the median time until a decoding process takes bytes."""
    fork_server.start()
    processes, took_ms = DecodingProcesses(1), []
    for _ in range(STARTS + 1):
        began = time.perf_counter()
        decoder = ContainerDecoder(processes, 1)
        decoder.decode(b"x")
        sounds = decoder.sounds()
        await anext(sounds)
        took_ms.append((time.perf_counter() - began) * 1000)
        await sounds.aclose()
    return round(float(np.median(took_ms[1:])), 1)
