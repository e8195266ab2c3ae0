"""The server's life: getting ready, draining, ending, and what a signal does."""

import asyncio
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.config import ServerConfig
from stream.engine.scripted import ScriptedTranscriber
from stream.errors import UsageError
from stream.server.app import Server
from stream.server.running import running_server
from tests.server.serving import (
    WAIT_S,
    GatedTranscriber,
    client,
    get,
    pcm,
    receive,
    send_audio,
    serving,
    until,
)


async def test_alive_before_it_is_ready() -> None:
    loaded = threading.Event()

    def load() -> ScriptedTranscriber:
        assert loaded.wait(WAIT_S)
        return ScriptedTranscriber([])

    server = Server(ServerConfig(port=0))
    await server.listen()
    starting = asyncio.create_task(server.start_engine(load))
    assert (await get(server, "/healthz"))[0] == 200
    assert (await get(server, "/readyz"))[0] == 503
    with pytest.raises(InvalidStatus) as refused:
        await client(server)
    assert refused.value.response.status_code == 503
    loaded.set()
    await starting
    assert (await get(server, "/readyz"))[0] == 200
    await server.close()


async def test_a_model_that_does_not_load() -> None:
    def load() -> ScriptedTranscriber:
        raise UsageError("There is no such model.")

    server = Server(ServerConfig(port=0))
    await server.listen()
    with pytest.raises(UsageError, match="no such model"):
        await server.start_engine(load)
    assert (await get(server, "/readyz"))[0] == 503
    await server.close()


async def test_a_port_that_is_taken() -> None:
    async with serving() as server:
        port = server.door.port
        with pytest.raises(UsageError, match=rf"port {port}: Address already in use\. Stop"):
            await Server(ServerConfig(port=port)).listen()


async def test_draining_sends_every_stream_its_finals(speech: NDArray[np.float32]) -> None:
    gated = GatedTranscriber()
    audio = pcm(speech[: 5 * 16_000])
    async with serving(gated) as server, client(server) as websocket:
        await send_audio(websocket, audio)
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.counts.audio_s == 5)
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.state.draining)
        assert (await get(server, "/readyz"))[0] == 503
        with pytest.raises(InvalidStatus):
            await client(server)
        await send_audio(websocket, audio)  # too late, and no fault of the client's
        gated.gate.set()
        messages = await receive(websocket)
        await draining
    assert any(message["type"] == "final" and message["text"] for message in messages)
    assert not any(message["type"] == "error" for message in messages)
    assert messages[-1]["settled"] == messages[-1]["received"] == len(audio) // 2
    assert websocket.close_code == 1001


async def test_draining_ends_within_its_limit(speech: NDArray[np.float32]) -> None:
    gated = GatedTranscriber()
    async with serving(gated, drain_s=0.1) as server, client(server) as websocket:
        await send_audio(websocket, pcm(speech[: 5 * 16_000]))
        await until(lambda: server.state.engine.in_flight > 0)
        await server.drain()
        assert len(server.state.streams) == 1
        closing = asyncio.create_task(server.close())
        await receive(websocket)
        assert websocket.close_code == 1001
        gated.gate.set()
        await closing


async def test_a_server_embedded_in_a_program() -> None:
    transcriber = ScriptedTranscriber([])
    async with running_server(ServerConfig(port=0), transcriber) as address:
        url = address.replace("http", "ws") + "v1/stream"
        async with connect(url, compression=None) as websocket:
            await websocket.send('{"type":"end"}')
            assert (await receive(websocket))[-1]["type"] == "ended"


HEEDING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # the tests may run in the background
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""

RUN = """
from stream.cli.main import main
main()
"""

SCRIPTED = ("serve", "--model", "scripted", "--port", "0")


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    process = python(HEEDING + RUN, *SCRIPTED)
    yield process
    process.kill()
    process.communicate()


async def address_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = await asyncio.to_thread(process.stdout.readline)
    (address,) = re.findall(r"http://127\.0\.0\.1:\d+/", line)
    return address.replace("http", "ws") + "v1/stream"


@pytest.mark.slow
async def test_a_signal_drains(process: subprocess.Popen[str], speech: NDArray[np.float32]) -> None:
    async with connect(await address_of(process), compression=None) as websocket:
        await send_audio(websocket, pcm(speech[: 5 * 16_000]))
        await receive(websocket, "partial")
        process.send_signal(signal.SIGTERM)
        messages = await receive(websocket)
        assert messages[-1]["type"] == "ended"
        assert websocket.close_code == 1001
    _, log = await asyncio.to_thread(process.communicate, timeout=WAIT_S)
    assert process.returncode == 0
    session = re.findall(r"\[(\w+)\] opened from 127.0.0.1", log)
    assert re.findall(r"\[(\w+)\] closed \(1001\): [\d.]+ s of audio, \d finals", log) == session
    assert "Traceback" not in log


@pytest.mark.slow
async def test_a_signal_to_restart_sends_clients_to_the_next_server(
    process: subprocess.Popen[str],
) -> None:
    async with connect(await address_of(process), compression=None) as websocket:
        await websocket.send('{"type":"start"}')
        await receive(websocket, "ready")
        process.send_signal(signal.SIGHUP)
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1012
    assert await asyncio.to_thread(process.wait, WAIT_S) == 0


@pytest.mark.slow
async def test_a_second_signal_stops_immediately(process: subprocess.Popen[str]) -> None:
    url = await address_of(process)
    websocket = await connect(url, compression=None, ping_interval=None)
    await websocket.send('{"type":"start"}')
    await receive(websocket, "ready")
    websocket.transport.pause_reading()  # never answers the close frame
    process.send_signal(signal.SIGINT)
    assert process.stderr
    for line in iter(process.stderr.readline, ""):
        if "draining" in line:
            break
    process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(process.wait, WAIT_S) == 1
    websocket.transport.abort()
    await websocket.wait_closed()


IGNORING = """
import signal
for name in {names}:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
"""


@pytest.mark.parametrize(
    ("ignored", "sent"),
    [
        (["SIGHUP"], signal.SIGHUP),  # as nohup does
        (["SIGINT", "SIGQUIT"], signal.SIGINT),  # as a shell does to jobs in its background
    ],
)
async def test_a_signal_that_is_ignored_stays_ignored(ignored: list[str], sent: int) -> None:
    with python(IGNORING.format(names=ignored) + RUN, *SCRIPTED) as process:
        try:
            async with connect(await address_of(process), compression=None) as websocket:
                await websocket.send('{"type":"start"}')
                await receive(websocket, "ready")
                process.send_signal(sent)
                await websocket.send('{"type":"mark","id":7}')
                assert (await receive(websocket, "mark"))[-1]["id"] == 7
                process.send_signal(signal.SIGTERM)
                await receive(websocket)
            assert await asyncio.to_thread(process.wait, WAIT_S) == 0
        finally:
            process.kill()


LOADING = """
import asyncio, sys, threading
from stream.cli.main import app, main
from stream.config import ServerConfig
from stream.server.running import serve

@app.command
def wait():
    def load():
        print("loading", flush=True)
        threading.Event().wait()
    asyncio.run(serve(ServerConfig(port=0), load, print))
main()
"""


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_while_the_model_loads(sent: int) -> None:
    with python(HEEDING + LOADING, "wait") as process:
        try:
            assert process.stdout
            assert await asyncio.to_thread(process.stdout.readline) == "loading\n"
            process.send_signal(sent)
            _, log = await asyncio.to_thread(process.communicate, timeout=WAIT_S)
            assert (process.returncode, "Traceback" in log) == (0, False)
        finally:
            process.kill()


@pytest.mark.model
async def test_a_signal_while_the_model_warms_up() -> None:
    with python(HEEDING + RUN, "serve", "--model", "tiny.en", "--port", "0") as process:
        try:
            assert process.stderr
            while "warming up" not in (line := await asyncio.to_thread(process.stderr.readline)):
                assert line
            process.send_signal(signal.SIGTERM)
            _, log = await asyncio.to_thread(process.communicate, timeout=60)
            assert (process.returncode, "terminate called" in log) == (0, False)
        finally:
            process.kill()


def test_no_thread_is_left() -> None:
    """The engines of the tests before have ended."""
    assert [thread for thread in threading.enumerate() if thread.name == "engine"] == []
