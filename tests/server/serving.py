"""A real server on a free port with a scripted or a gated engine, and real clients."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection, connect

from stream.config import ServerConfig
from stream.core.settings import SessionTuning
from stream.core.windows import Hypothesis, Window
from stream.engine.scripted import ScriptedTranscriber, counting
from stream.engine.transcriber import Transcriber
from stream.protocols.protocol_table import PROTOCOLS
from stream.server.app import Server
from stream.server.running import running

WAIT_S = 20
SECOND = 32_000
"""Bytes of pcm_s16le at 16 kHz."""


class GatedTranscriber(ScriptedTranscriber):
    """Scripted, but every batch waits until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__(counting())
        self.gate = threading.Event()

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        assert self.gate.wait(WAIT_S)
        return super().transcribe(windows)


@asynccontextmanager
async def serving(
    transcriber: Transcriber | None = None,
    protocols: Mapping[str, str] = PROTOCOLS,
    tuning: SessionTuning | None = None,
    **settings: Any,
) -> AsyncIterator[Server]:
    """Run a server; in the end everybody must be gone, and nothing left behind."""
    engine = transcriber or ScriptedTranscriber(counting())
    config = ServerConfig(port=0, **settings)
    async with running(config, lambda: engine, protocols, tuning) as server:
        yield server
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert server.state.engine
        assert server.state.engine.queued == 0
        assert not server.state.engine._jobs
        assert not server.state.engine._owed
        assert server.state.metrics.registry.get_sample_value("distil_stream_sessions") == 0


def url(server: Server, query: str = "", path: str = "v1/stream") -> str:
    return f"{server.address.replace('http', 'ws')}{path}{'?' if query else ''}{query}"


def client(server: Server, query: str = "", path: str = "v1/stream", **options: Any) -> connect:
    return connect(url(server, query, path), compression=None, **options)


async def receive(websocket: ClientConnection, *until: str) -> list[dict[str, Any]]:
    """Receive messages until one of these types, or until the connection is closed."""
    messages = []
    async with asyncio.timeout(WAIT_S):
        async for frame in websocket:
            messages.append(json.loads(frame))
            if messages[-1]["type"] in until:
                break
    return messages


async def get(server: Server, path: str, *headers: str) -> tuple[int, dict[str, str], str]:
    """GET a path: status, headers (lower case), body."""
    port = server.door.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
    lines += [*headers, "", ""]
    writer.write("\r\n".join(lines).encode())
    content = await asyncio.wait_for(reader.read(), WAIT_S)
    writer.close()
    await writer.wait_closed()
    head, _, body = content.decode().partition("\r\n\r\n")
    status, *fields = head.split("\r\n")
    pairs = (field.split(": ", 1) for field in fields)
    return int(status.split()[1]), {name.lower(): value for name, value in pairs}, body


async def metric(server: Server, name: str) -> float:
    """The value of a metric, by its name and labels."""
    _, _, text = await get(server, "/metrics")
    (value,) = [line.split()[-1] for line in text.splitlines() if line.split()[0] == name]
    return float(value)


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something is so; it does not pause between."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def send_audio(websocket: ClientConnection, audio: bytes) -> None:
    """Send pcm_s16le at 16 kHz in frames of a second."""
    for start in range(0, len(audio), SECOND):
        await websocket.send(audio[start : start + SECOND])


def pcm(samples: NDArray[np.float32]) -> bytes:
    """Samples (n,) as pcm_s16le."""
    return (samples * 32_767).astype("<i2").tobytes()
