"""Real sockets: every malformed message, every way of going away, and back-pressure."""

import asyncio
import json
import socket
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from stream.core.session import MAX_MARKS
from stream.core.windows import Hypothesis, Window
from stream.engine.scripted import ScriptedTranscriber
from tests.media.files import write_media
from tests.protocols.malformed import MALFORMED
from tests.server.serving import (
    SECOND,
    WAIT_S,
    GatedTranscriber,
    client,
    metric,
    pcm,
    receive,
    send_audio,
    serving,
    until,
)


async def assert_served(server, audio: bytes) -> None:
    """A well-behaved client gets its words."""
    async with client(server) as websocket:
        await send_audio(websocket, audio)
        await websocket.send('{"type":"end"}')
        messages = await receive(websocket)
    assert any(message["type"] == "final" and message["text"] for message in messages)
    assert messages[-1]["settled"] == messages[-1]["received"] == len(audio) // 2
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    assert websocket.close_code == 1000


async def test_every_malformed_message_gets_its_answer_and_the_next_client_is_served(
    speech: NDArray[np.float32],
) -> None:
    async with serving() as server:
        for name, case in MALFORMED.items():
            async with client(server, case.query) as websocket:
                with suppress(ConnectionClosed):
                    for frame in case.sent:
                        await websocket.send(frame)
                if case.close_code is None:
                    errors = (await receive(websocket, "error"))[-1:]
                    await websocket.send('{"type":"keepalive"}')
                else:
                    errors = [m for m in await receive_all(websocket) if m["type"] == "error"]
                    assert websocket.close_code == case.close_code, name
            assert errors[-1]["code"] == case.code, name
        await assert_served(server, pcm(speech[: 6 * 16_000]))


async def receive_all(websocket):
    """Receive until the connection is closed, however it is."""
    messages = []
    with suppress(ConnectionClosed):
        async with asyncio.timeout(WAIT_S):
            while True:
                messages.append(json.loads(await websocket.recv()))
    return messages


@pytest.mark.slow
async def test_a_frame_of_100_megabytes(speech: NDArray[np.float32]) -> None:
    async with serving() as server:
        websocket = await client(server)
        with suppress(ConnectionClosed):
            await websocket.send(bytes(100_000_000))
        await receive_all(websocket)
        assert websocket.close_code == 1009
        await assert_served(server, pcm(speech[: 6 * 16_000]))


async def test_text_that_is_not_utf_8() -> None:
    async with serving() as server, client(server) as websocket:
        websocket.transport.write(
            Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=True, extensions=[])
        )
        await receive_all(websocket)
        assert websocket.close_code == 1007


@pytest.mark.slow
async def test_a_container_that_arrives_in_pieces(
    tmp_path: Path, speech: NDArray[np.float32]
) -> None:
    samples = np.repeat(speech[: 10 * 16_000], 3)  # at 48 kHz
    data = write_media(tmp_path / "a.webm", samples, "libopus").read_bytes()
    async with serving() as server, client(server, "encoding=container") as websocket:
        for start in range(0, len(data), 1000):
            await websocket.send(data[start : start + 1000])
        await websocket.send('{"type":"end"}')
        messages = await receive(websocket)
    assert any(message["type"] == "final" and message["text"] for message in messages)
    assert not any(message["type"] == "error" for message in messages)
    received = messages[-1]["received"]
    assert messages[-1]["settled"] == received == pytest.approx(160_000, abs=1_000)


async def test_messages_after_the_end_are_reported_and_ignored(speech: NDArray[np.float32]) -> None:
    gated = GatedTranscriber()
    audio = pcm(speech[: 4 * 16_000])
    async with serving(gated) as server, client(server) as websocket:
        for frame in (audio, '{"type":"end"}', '{"type":"mark","id":1}', b"late"):
            await websocket.send(frame)
        first = await receive(websocket, "error") + await receive(websocket, "error")
        gated.gate.set()
        messages = first + await receive(websocket)
    codes = [m["code"] for m in messages if m["type"] == "error"]
    assert codes == ["bad_message", "audio_after_end"]
    assert messages[-1]["received"] == len(audio) // 2
    assert websocket.close_code == 1000


async def test_a_client_that_vanishes_leaves_nothing(speech: NDArray[np.float32]) -> None:
    gated = GatedTranscriber()
    async with serving(gated, resume_s=0) as server:
        async with client(server) as websocket:
            await send_audio(websocket, pcm(speech))
            await until(lambda: server.state.engine.in_flight + server.state.engine.queued > 0)
            websocket.transport.abort()
            await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert server.state.engine.queued == 0
        gated.gate.set()
        await assert_served(server, pcm(speech[: 6 * 16_000]))
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1006"}') == 1


async def test_a_silent_client_gets_its_finals_and_is_closed(speech: NDArray[np.float32]) -> None:
    audio = pcm(speech[: 3 * 16_000])  # in mid-word
    async with serving(idle_s=0.3) as server, client(server) as websocket:
        await send_audio(websocket, audio)
        messages = await receive_all(websocket)
    assert any(message["type"] == "final" for message in messages)
    assert messages[-1]["settled"] == len(audio) // 2
    assert websocket.close_code == 4000


async def test_a_client_that_sends_no_message_is_closed() -> None:
    async with serving(idle_s=0.2) as server, client(server) as websocket:
        assert await receive_all(websocket) == []
        assert websocket.close_code == 4000


@pytest.mark.parametrize("alive", ['{"type":"keepalive"}', bytes(320)])
async def test_audio_and_keepalive_reset_the_idle_timer(alive: str | bytes) -> None:
    async with serving(idle_s=0.4) as server, client(server) as websocket:
        for _ in range(8):
            await websocket.send(alive)
            with suppress(TimeoutError):
                await asyncio.wait_for(websocket.wait_closed(), 0.1)
        assert websocket.close_code is None
        await websocket.send('{"type":"end"}')
        assert (await receive(websocket))[-1]["type"] == "ended"


@pytest.mark.slow
async def test_a_half_open_client_is_cut_off(speech: NDArray[np.float32]) -> None:
    """It neither sends nor answers, not even a close frame."""
    async with (
        serving(idle_s=0.2, resume_s=0) as server,
        client(server, close_timeout=0) as websocket,
    ):
        await send_audio(websocket, pcm(speech[: 3 * 16_000]))
        websocket.transport.pause_reading()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        await assert_served(server, pcm(speech[: 6 * 16_000]))


@pytest.mark.slow
@pytest.mark.parametrize(
    "idle_s", [60.0, 0.5], ids=["too many messages wait", "its socket takes nothing"]
)
async def test_a_client_that_reads_nothing_is_closed_and_delays_no_other(
    speech: NDArray[np.float32], idle_s: float
) -> None:
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    narrow.setblocking(False)
    async with serving(idle_s=idle_s) as server:
        address = ("127.0.0.1", server.door.port)
        await asyncio.get_running_loop().sock_connect(narrow, address)
        async with client(server, sock=narrow, max_queue=1, close_timeout=0) as websocket:
            (connection,) = server.state.streams
            other = asyncio.create_task(assert_served(server, pcm(speech)))
            with suppress(ConnectionClosed):
                for _ in range(50_000):
                    await websocket.send('{"type":"mark","id":9007199254740992}')
                    await asyncio.sleep(0)  # the server is in the same loop
                    if idle_s < 1 and connection._socket.writing:
                        break  # long before too many messages wait
            await other
            await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1013"}') == 1
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1000"}') == 1


async def test_a_client_that_reads_gets_any_number_of_messages_at_once(
    speech: NDArray[np.float32],
) -> None:
    async with serving() as server, client(server) as websocket:
        await send_audio(websocket, pcm(speech[: 2 * 16_000]))
        for mark in range(MAX_MARKS):
            await websocket.send(json.dumps({"type": "mark", "id": mark}))
        await websocket.send('{"type":"end"}')
        messages = await receive(websocket)
    assert [m["id"] for m in messages if m["type"] == "mark"] == list(range(MAX_MARKS))
    assert websocket.close_code == 1000


@pytest.mark.slow
@pytest.mark.parametrize("frame_bytes", [SECOND, 1 << 20])
async def test_a_client_that_sends_ahead_of_real_time_is_not_read(
    speech: NDArray[np.float32], frame_bytes: int
) -> None:
    gated = GatedTranscriber()
    audio = pcm(speech)
    async with serving(gated, max_ahead_s=2.0) as server, client(server) as websocket:
        for start in range(0, len(audio), frame_bytes):
            await websocket.send(audio[start : start + frame_bytes])
        await websocket.send('{"type":"end"}')
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.pending_s > 2.0)
        await metric(server, "distil_stream_sessions")  # the loop has turned meanwhile
        assert connection.protocol.pending_s <= 3.0
        assert not connection.protocol.no_more_audio
        gated.gate.set()
        messages = await receive(websocket)
    assert messages[-1]["settled"] == messages[-1]["received"] == len(audio) // 2


@pytest.mark.slow
async def test_a_client_that_must_send_ahead_is_read(speech: NDArray[np.float32]) -> None:
    """Without partials an utterance of 9 s has no hypothesis; waiting would be for ever."""
    async with serving(max_ahead_s=1.0) as server, client(server, "partials=false") as websocket:
        await send_audio(websocket, pcm(speech))
        await websocket.send('{"type":"end"}')
        messages = await receive(websocket)
    assert messages[-1]["settled"] == len(speech)


@pytest.mark.slow
async def test_many_clients_at_once(speech: NDArray[np.float32]) -> None:
    async with serving() as server:
        audio = pcm(speech[: 10 * 16_000])
        await asyncio.gather(*(assert_served(server, audio) for _ in range(20)))
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1000"}') == 20
        assert await metric(server, "distil_stream_audio_seconds_total") == pytest.approx(200)
        assert await metric(server, "distil_stream_final_latency_seconds_count") >= 20


class Broken(ScriptedTranscriber):
    """Answers something that no session expects."""

    def transcribe(self, windows: list[Window]) -> list[Hypothesis]:
        return [Hypothesis(window, words=None) for window in windows]  # type: ignore[arg-type]


async def test_an_internal_error_ends_one_stream_with_an_error(
    speech: NDArray[np.float32], caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(Broken([])) as server, client(server) as websocket:
        await send_audio(websocket, pcm(speech[: 6 * 16_000]))
        messages = await receive_all(websocket)
    assert messages[-1] | {"seq": 0, "message": ""} == {
        "type": "error", "seq": 0, "code": "internal", "message": "", "fatal": True,
    }  # fmt: skip
    assert websocket.close_code == 1011
    assert "the stream failed" in caplog.text
