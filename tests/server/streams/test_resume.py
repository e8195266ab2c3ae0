"""A lost connection: the stream is kept, its client comes back, and nothing is lost or doubled."""

import asyncio
import json
from contextlib import AsyncExitStack, suppress

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from stream.engine.scripted import ScriptedTranscriber, counting
from stream.server.running import RESTARTING
from tests.clients import recording
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


@pytest.fixture
def audio(speech: NDArray[np.float32]) -> bytes:
    return pcm(speech[: 12 * 16_000])


def resume(ready: dict, seq: int, changes: dict | None = None) -> str:
    asked = {"session": ready["session"], "token": ready["resume_token"], "seq": seq}
    asked |= changes or {}
    return json.dumps({"type": "start", "resume": asked})


async def opened(websocket: ClientConnection, **settings) -> dict:
    await websocket.send(json.dumps({"type": "start", **settings}))
    (ready,) = await receive(websocket, "ready")
    return ready


async def lost(server) -> None:
    """Wait until the server knows."""
    await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


def words_of(messages: list[dict]) -> str:
    return " ".join(m["text"] for m in messages if m["type"] == "final" and m["text"])


async def in_one_piece(server, audio: bytes) -> str:
    async with client(server) as websocket:
        await send_audio(websocket, audio)
        await websocket.send('{"type":"end"}')
        return words_of(await receive(websocket))


@pytest.mark.slow
@pytest.mark.parametrize("cut_at", [SECOND // 2 + 1, 3 * SECOND + 7, 7 * SECOND])
async def test_it_continues_where_it_stopped(audio: bytes, cut_at: int) -> None:
    async with serving() as server:
        whole = await in_one_piece(server, audio)
        first = await client(server)
        ready = await opened(first)
        await send_audio(first, audio[:cut_at])
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.session.held == cut_at // 2)
        first.transport.abort()
        await lost(server)
        assert await metric(server, "distil_stream_sessions_parked") == 1
        async with client(server) as second:
            await second.send(resume(ready, seq=1))
            before = await receive(second, "ready")
            assert before[-1]["session"] == ready["session"]
            assert before[-1]["received"] == cut_at // 2
            await send_audio(second, audio[2 * before[-1]["received"] :])
            await second.send('{"type":"end"}')
            messages = before + await receive(second)
        assert words_of(messages) == whole
        assert [m["seq"] for m in messages] == list(range(2, len(messages) + 2))
        assert messages[-1]["settled"] == messages[-1]["received"] == len(audio) // 2
        assert await metric(server, "distil_stream_sessions_resumed_total") == 1
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1000"}') == 2


async def test_events_during_an_interruption_wait_for_the_client(audio: bytes) -> None:
    gated = GatedTranscriber()
    async with serving(gated) as server:
        first = await client(server)
        ready = await opened(first)
        await send_audio(first, audio)
        await first.send('{"type":"end"}')
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.no_more_audio)
        first.transport.abort()
        await lost(server)
        gated.gate.set()
        await until(lambda: connection.protocol.closing is not None)
        async with client(server) as second:
            await second.send(resume(ready, seq=0))
            messages = await receive(second)
            assert second.close_code == 1000
    assert messages[0]["type"] == "ready"
    assert [m["seq"] for m in messages] == list(range(1, len(messages) + 1))
    assert words_of(messages)
    assert messages[-1]["type"] == "ended"


@pytest.mark.parametrize("settings", [{}, {"room": "standup"}], ids=["alone", "in a room"])
async def test_a_socket_that_is_half_open_is_closed(audio: bytes, settings: dict) -> None:
    async with serving() as server:
        async with client(server) as first, client(server) as second:
            ready = await opened(first, **settings)
            await send_audio(first, audio[: 2 * SECOND])
            seq = (await receive(first, "progress"))[-1]["seq"]
            await second.send(resume(ready, seq))
            received = (await receive(second, "ready"))[-1]["received"]
            await receive(first)
            assert first.close_code == 1000
            await send_audio(second, audio[2 * received :])
            await second.send('{"type":"end"}')
            assert (await receive(second))[-1]["received"] == len(audio) // 2
        assert await metric(server, "distil_stream_sessions_parked") == 0


@pytest.mark.parametrize(
    "changes",
    [{"token": "wrong"}, {"token": "wröng"}, {"session": "0123456789abcdef"}, {"seq": 99},
     {"seq": -1}],
)  # fmt: skip
async def test_who_may_not(changes: dict) -> None:
    async with serving() as server:
        first = await client(server)
        ready = await opened(first)
        first.transport.abort()
        await lost(server)
        async with client(server) as second:
            await second.send(resume(ready, 1, changes))
            (error,) = await receive(second, "error")
            assert (error["code"], error["fatal"]) == ("resume_refused", True)
            with pytest.raises(ConnectionClosed):
                await second.recv()
            assert second.close_code == 4002


async def refused(server, ready: dict) -> bool:
    async with client(server) as websocket:
        await websocket.send(resume(ready, 1))
        (message,) = await receive(websocket, "error", "ready")
        return message["type"] == "error"


async def test_a_stream_that_was_parked_for_too_long() -> None:
    async with serving(resume_s=0.05) as server:
        first = await client(server)
        ready = await opened(first)
        first.transport.abort()
        await lost(server)
        await until(lambda: len(server.state.streams.parked) == 0)
        assert await refused(server, ready)
        assert await metric(server, 'distil_stream_sessions_closed_total{close_code="1006"}') == 1


async def test_a_server_that_keeps_nothing() -> None:
    async with serving(resume_s=0) as server:
        first = await client(server)
        ready = await opened(first)
        assert ready["resume_token"] is None
        first.transport.abort()
        await lost(server)
        assert len(server.state.streams.parked) == 0
        assert await refused(server, {**ready, "resume_token": "x"})


async def test_a_client_that_closes_normally_is_not_parked() -> None:
    async with serving() as server:
        async with client(server) as first:
            ready = await opened(first)
        await lost(server)
        assert len(server.state.streams.parked) == 0
        assert await refused(server, ready)


async def test_new_streams_take_the_slots_of_lost_ones() -> None:
    async with serving(max_sessions=2) as server:
        ready = []
        for _ in range(2):
            websocket = await client(server)
            ready.append(await opened(websocket))
            websocket.transport.abort()
            await lost(server)
        async with client(server) as websocket:
            await opened(websocket)
            assert len(server.state.streams.parked) == 1
        assert await refused(server, ready[0])
        assert not await refused(server, ready[1])


@pytest.mark.parametrize("n", [1, 2, 8])
async def test_returning_streams_find_their_slots(n: int) -> None:
    async with serving(max_sessions=n) as server:
        first = [await client(server) for _ in range(n)]
        ready = [await opened(websocket) for websocket in first]
        for websocket in first:
            websocket.transport.abort()
        await lost(server)
        async with AsyncExitStack() as stack:
            back = [await stack.enter_async_context(client(server)) for _ in range(n)]
            for websocket, was in zip(back, ready, strict=True):
                await websocket.send(resume(was, 1))
                assert (await receive(websocket, "ready", "error"))[-1]["type"] == "ready"


async def test_two_simultaneous_resumptions_serve_one() -> None:
    async with serving() as server, client(server) as first:
        ready = await opened(first)
        async with client(server) as second, client(server) as third:
            back = [second, third]
            for websocket in back:
                await websocket.send(resume(ready, 1))
            answers = [(await receive(w, "ready", "error"))[-1]["type"] for w in back]
            assert sorted(answers) == ["error", "ready"]


@pytest.mark.slow
@pytest.mark.parametrize("ends", ["nobody comes back", "the server drains"])
@pytest.mark.parametrize("partials", [True, False])
async def test_a_room_gets_the_last_words_of_an_abandoned_stream(ends: str, partials: bool) -> None:
    resume_s = 0.3 if ends == "nobody comes back" else 60
    async with serving(recording.transcriber(), vad="webrtc", resume_s=resume_s) as server:
        first = await client(server)
        await opened(first, room="standup", partials=partials)
        said = recording.pcm()[: 5 * SECOND + SECOND // 2]
        await send_audio(first, said)
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.session.held == len(said) // 2)
        first.transport.abort()
        await lost(server)
        assert len(server.state.streams.parked) == 1
        if ends == "the server drains":
            await server.drain()
        await until(lambda: not server.state.rooms.live)
        room = server.state.rooms.find("standup")
    assert [line.text for line in room.finals] == ["one two three four", "five six seven"]


async def test_a_restarting_server_closes_with_its_code(audio: bytes) -> None:
    async with serving() as server, client(server) as websocket:
        await opened(websocket)
        closing = asyncio.create_task(server.close(RESTARTING))
        with suppress(ConnectionClosed):
            await websocket.recv()
        assert websocket.close_code == 1012
        await closing


async def test_a_parked_stream_drops_half_a_sample(audio: bytes) -> None:
    async with serving(ScriptedTranscriber(counting())) as server:
        first = await client(server)
        ready = await opened(first)
        await first.send(audio[:6401])
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.session.held == 3200)
        first.transport.abort()
        await lost(server)
        async with client(server) as second:
            await second.send(resume(ready, 1))
            assert (await receive(second, "ready"))[-1]["received"] == 3200
            await second.send(audio[6400:6402])
            await second.send('{"type":"end"}')
            messages = await receive(second)
        assert messages[-1]["received"] == 3201
        assert not any(m["type"] == "error" for m in messages)
