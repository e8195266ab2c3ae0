"""What is measured reaches the ladder, the streams and the door."""

import json

import pytest
from websockets.exceptions import InvalidStatus

from stream.core.load import Load
from stream.core.windows import WindowKind
from stream.engine.engine import Wait
from stream.server.app import Server
from stream.server.load_ladder import RETRY_AFTER_S
from stream.server.load_watch import LoadWatch
from stream.server.metrics import Metrics
from tests.clients import recording
from tests.server.serving import (
    GatedTranscriber,
    client,
    metric,
    pcm,
    receive,
    serving,
    until,
)

LATE = (Wait(WindowKind.FINAL, 5.0),)


async def test_a_change_is_reported_once() -> None:
    told: list[Load] = []
    watch = LoadWatch(Metrics(), told.append)
    for tick in range(100):
        watch.look(LATE, tick / 10)
    assert told == [Load.SLOW_PARTIALS, Load.FINALS_ONLY]
    assert not watch.rung.admits
    for tick in range(100, 800):
        watch.look((), tick / 10)
    assert told[2:] == [Load.SLOW_PARTIALS, Load.NORMAL]


async def test_without_shedding_nothing_is_left_out() -> None:
    told: list[Load] = []
    watch = LoadWatch(Metrics(), told.append, shed=False)
    for tick in range(100):
        watch.look(LATE, tick / 10)
    assert told == []
    assert watch.rung.admits


def at_the_top(server: Server) -> None:
    """Let a final have waited for long, until nobody is let in."""
    assert server.state.load_watch
    now = server.state.load_watch._loop.time()
    while server.state.load_watch.rung.admits:
        server.state.load_watch.look(LATE, now)
        now += 1.0


@pytest.mark.slow
async def test_streams_are_informed_and_new_ones_refused() -> None:
    async with serving() as server, client(server) as websocket:
        await websocket.send('{"type":"start"}')
        assert (await receive(websocket, "ready"))[-1]["type"] == "ready"
        at_the_top(server)
        loads = [(await receive(websocket, "progress"))[-1]["load"]]
        assert loads[-1] in ("slow_partials", "finals_only")
        assert await metric(server, "distil_stream_load") == 3
        with pytest.raises(InvalidStatus) as refused:
            await client(server)
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == str(RETRY_AFTER_S)
        await websocket.send('{"type":"end"}')
        ending = await receive(websocket)
        assert ending[-2]["load"] == "finals_only"


async def test_a_lost_stream_resumes_on_a_busy_server_and_is_informed() -> None:
    async with serving() as server:
        first = await client(server)
        await first.send('{"type":"start"}')
        (ready,) = await receive(first, "ready")
        first.transport.abort()
        await server.state.streams.closed()
        at_the_top(server)
        async with client(server) as second:
            asked = {"session": ready["session"], "token": ready["resume_token"], "seq": 1}
            await second.send(json.dumps({"type": "start", "resume": asked}))
            (progress,) = await receive(second, "progress")
            assert progress["load"] == "finals_only"
            await second.send('{"type":"end"}')
            await receive(second)


async def test_a_stream_that_begins_under_load_is_informed() -> None:
    async with serving() as server:
        assert server.state.load_watch
        server.state.load_watch.look(LATE, server.state.load_watch._loop.time())
        async with client(server) as websocket:
            await websocket.send('{"type":"start"}')
            ready, progress = await receive(websocket, "progress")
            assert (ready["type"], progress["load"]) == ("ready", "slow_partials")
            await websocket.send('{"type":"end"}')
            await receive(websocket)


async def test_queued_windows_of_streams_count_and_those_of_uploads_do_not() -> None:
    transcriber = GatedTranscriber()
    async with serving(transcriber) as server, client(server) as live, client(server) as upload:
        assert server.state.engine
        await upload.send(pcm(recording.samples()))
        await until(lambda: server.state.engine.in_flight == 1)
        assert server.state.engine.waits() == []
        await live.send(pcm(recording.samples()[: 3 * 8_000]))
        await live.send(json.dumps({"type": "finalize"}))
        await until(lambda: bool(server.state.engine.waits()))
        transcriber.gate.set()
        for websocket in (live, upload):
            await websocket.send('{"type":"end"}')
            await receive(websocket)


async def test_the_loop_is_timed() -> None:
    async with serving() as server:
        count = "distil_stream_loop_lateness_seconds_count"
        await until(lambda: bool(server.state.metrics.registry.get_sample_value(count)))
