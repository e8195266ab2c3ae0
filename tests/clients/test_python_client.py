"""The Python client against the real server, with a scripted engine behind it."""

import asyncio
import socket
from contextlib import aclosing
from itertools import pairwise

import pytest
from distil_stream_client import (
    Configured,
    ConnectionLost,
    Ended,
    Error,
    Final,
    Mark,
    Partial,
    ServerError,
    connect,
    transcribe,
)
from distil_stream_client.wire import stream_url

from stream.config import ServerConfig
from stream.server.running import running, running_server
from tests.clients import recording
from tests.clients.breakable import breakable


@pytest.fixture
async def server():
    async with running_server(ServerConfig(port=0), recording.transcriber()) as address:
        yield address


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def collect(events, into: list) -> None:
    async for event in events:
        into.append(event)  # noqa: PERF401 -- what came before a failure is kept


async def test_a_recording_becomes_its_words(server):
    audio = recording.frames(recording.pcm())
    events = [event async for event in transcribe(server, audio, words=True)]
    finals = [event for event in events if isinstance(event, Final)]
    assert [final.text for final in finals] == list(recording.BURSTS)
    assert [word.word for word in finals[0].words] == finals[0].text.split()
    assert [event.seq for event in events] == list(range(2, len(events) + 2))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.received == ended.settled == len(recording.samples())


async def test_committed_words_only_grow(server):
    audio = recording.frames(recording.pcm())
    events = [event async for event in transcribe(server, audio)]
    partials = [event for event in events if isinstance(event, Partial)]
    for earlier, later in pairwise(partials):
        if earlier.utterance == later.utterance:
            assert later.committed.startswith(earlier.committed)


@pytest.mark.slow
async def test_settings_reach_the_server(server):
    audio = recording.frames(recording.pcm(48_000, 2))
    settings = {"sample_rate": 48_000, "channels": 2, "partials": False}
    events = [event async for event in transcribe(server, audio, **settings)]
    assert not any(isinstance(event, Partial) for event in events)
    for channel in range(2):
        said = [e.text for e in events if isinstance(e, Final) and e.channel == channel]
        assert said == list(recording.BURSTS)


async def test_a_mark_follows_the_finals_that_finalize_asks_for(server):
    async with connect(server) as stream:
        await stream.send_audio(recording.pcm()[: 2 * 16_000 * 2])
        await stream.finalize(mark=7)
        said = []
        async for event in stream:
            if isinstance(event, Final):
                said.append(event.text)
            if isinstance(event, Mark):
                break
        assert event.id == 7
        assert said == ["one two three"]


async def test_marks_settings_and_signs_of_life(server):
    async with connect(server) as stream:
        assert stream.ready.model == "scripted"
        assert stream.ready.limits.max_frame_bytes > 0
        await stream.keepalive()
        await stream.configure(endpointing_ms=700)
        await stream.mark(3)
        await stream.end()
        events = [event async for event in stream]
    assert next(e for e in events if isinstance(e, Configured)).settings["endpointing_ms"] == 700
    assert next(e for e in events if isinstance(e, Mark)).id == 3
    assert stream.ended == events[-1]
    assert [event async for event in stream] == []


async def test_audio_beyond_the_size_of_a_frame(server):
    async with connect(server) as stream:
        await stream.send_audio(bytes(stream.ready.limits.max_frame_bytes + 2))
        await stream.end()
        async for _ in stream:
            pass
        assert stream.ended.received == stream.ready.limits.max_frame_bytes // 2 + 1


async def test_a_server_with_a_backlog_is_not_considered_dead(server):
    """It answers no ping while it does not read the audio before it."""
    async with connect(server) as stream:
        assert stream.websocket.ping_timeout is None


async def test_a_nonfatal_error_is_an_event(server):
    async with connect(server) as stream:
        await stream.send(type="weather")
        await stream.end()
        events = [event async for event in stream]
    assert [event.code for event in events if isinstance(event, Error)] == ["bad_message"]
    assert isinstance(events[-1], Ended)


@pytest.mark.parametrize("settings", [{"sample_rate": 1}, {"channels": 99}, {"encoding": "morse"}])
async def test_a_refused_setting_is_a_server_error(server, settings):
    with pytest.raises(ServerError, match=next(iter(settings))) as refusal:
        async with connect(server, **settings):
            pass
    assert refusal.value.code == "bad_settings"
    with pytest.raises(ServerError, match=next(iter(settings))):
        async for _ in transcribe(server, recording.frames(recording.pcm()), **settings):
            pass


async def test_a_full_server_reports_that_it_is_full():
    config = ServerConfig(port=0, max_sessions=1)
    async with running_server(config, recording.transcriber()) as address, connect(address):
        with pytest.raises(ServerError, match="full") as refusal:
            async with connect(address):
                pass
        assert refusal.value.code == "http_503"


async def test_the_key_opens_the_server():
    config = ServerConfig(port=0, api_key="sesame")
    async with running_server(config, recording.transcriber()) as address:
        with pytest.raises(ServerError) as refusal:
            async with connect(address):
                pass
        assert refusal.value.code == "not_authorised"
        async with connect(address, api_key="sesame") as stream:
            assert stream.ready.received == 0


async def test_a_server_that_is_not_there():
    with pytest.raises(ConnectionLost, match="No server answers") as lost:
        async with connect(f"ws://127.0.0.1:{free_port()}"):
            pass
    assert lost.value.close_code is None


@pytest.mark.parametrize("url", ["ws://", "mailto:me", "ftp://127.0.0.1"])
async def test_an_invalid_address(url):
    with pytest.raises(ConnectionLost, match="No server answers"):
        async with connect(url):
            pass


@pytest.mark.slow
async def test_a_server_that_goes_away_sends_its_finals_first():
    async with (
        running(ServerConfig(port=0), recording.transcriber) as server,
        connect(server.address, reconnect_s=1) as stream,
    ):
        await stream.send_audio(recording.pcm()[: 2 * 16_000 * 2])
        while not isinstance(await stream.receive(), Partial):
            pass
        draining = asyncio.create_task(server.drain())
        events = []
        with pytest.raises(ConnectionLost, match="was stopped") as lost:
            await collect(stream, events)
        await draining
    assert lost.value.close_code == 1001
    assert isinstance(events[-1], Ended)
    assert [event.text for event in events if isinstance(event, Final)] == ["one two three"]


async def test_a_server_that_received_nothing_for_too_long():
    """Who reads learns of it, and who goes on sending: nobody would read a new stream's words."""
    async with (
        running(recording.config(idle_s=0.3), recording.transcriber) as server,
        breakable(server.address) as wire,
        connect(wire.address) as stream,
    ):
        await stream.send_audio(recording.pcm()[: 3 * 16_000 * 2])
        events = []
        with pytest.raises(ConnectionLost, match="keepalive") as lost:
            await collect(stream, events)
        assert lost.value.close_code == 4000
        assert [event.text for event in events if isinstance(event, Final)] == [
            "one two three four"
        ]
        assert isinstance(events[-1], Ended)
        with pytest.raises(ConnectionLost, match="keepalive") as lost:
            await stream.send_audio(recording.pcm()[3 * 16_000 * 2 :])
        assert lost.value.close_code == 4000
    assert wire.passed == 1


async def test_a_source_that_pauses_for_too_long_does_not_just_end():
    async def paused():
        yield recording.pcm()
        await asyncio.Event().wait()

    async with running_server(recording.config(idle_s=0.3), recording.transcriber()) as address:
        events = []
        with pytest.raises(ConnectionLost, match="keepalive"):
            await collect(transcribe(address, paused()), events)
    assert isinstance(events[-1], Ended)


async def test_sending_to_a_closed_stream(server):
    async with connect(server) as stream:
        await stream.end()
        async for _ in stream:
            pass
        await stream.websocket.wait_closed()
        with pytest.raises(ConnectionLost, match="1000"):
            await stream.send_audio(b"\0\0")


async def test_audio_that_fails_is_raised_where_the_events_are_read(server):
    async def broken():
        yield recording.pcm()
        raise LookupError("the tape is torn")

    with pytest.raises(LookupError, match="torn"):
        async for _ in transcribe(server, broken()):
            pass


async def test_a_reader_may_stop_early(server):
    async with aclosing(transcribe(server, recording.frames(recording.pcm()))) as events:
        async for event in events:
            if isinstance(event, Final):
                break
    assert event.text == "one two three four"


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("ws://host:1", "ws://host:1/v1/stream"),
        ("http://host:1/", "ws://host:1/v1/stream"),
        ("https://host", "wss://host/v1/stream"),
        ("host:8765", "ws://host:8765/v1/stream"),
        ("ws://host/v1/stream?token=a", "ws://host/v1/stream?token=a"),
        ("wss://host/behind/a/proxy", "wss://host/behind/a/proxy"),
    ],
)
def test_addresses(given, address):
    assert stream_url(given) == address
