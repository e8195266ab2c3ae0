"""The Python client against our server, over a wire that breaks: no word is lost or doubled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import UnionType

import pytest
from distil_stream_client import (
    Configured,
    ConnectionLost,
    Ended,
    Error,
    Final,
    Mark,
    Partial,
    Progress,
    Ready,
    ServerError,
    connect,
)
from distil_stream_client.client import MOST_UNREAD, Stream
from websockets.asyncio.server import ServerConnection, serve

from stream.server.app import Server
from stream.server.running import RESTARTING, running, running_server
from tests.clients import recording
from tests.clients.breakable import Wire, breakable
from tests.server.serving import GatedTranscriber, until

WAIT_S = 20
HEARD = Partial | Final
"""The first that is heard of an utterance: a busy engine may have no time for its partials."""


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with (
        running_server(recording.config(), recording.transcriber()) as address,
        breakable(address) as wire,
    ):
        yield wire


def successor(stream: Stream) -> recording.Successor:
    """The engine of a server that the stream goes on with."""
    return recording.Successor(lambda: stream.protocol.continuity.timeline.base)


async def said(stream: Stream, into: list, until: type | UnionType) -> None:
    """Read until an event of that type, or of one of those."""
    async with asyncio.timeout(WAIT_S):
        async for event in stream:
            into.append(event)
            if isinstance(event, until):
                return


def check(events: list) -> None:
    """All that was said, once, on one timeline."""
    finals = [event for event in events if isinstance(event, Final)]
    assert " ".join(f.text for f in finals if f.text) == " ".join(recording.BURSTS)
    assert [event.seq for event in events] == list(range(2, len(events) + 2))
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.received == ended.settled == len(recording.samples())
    assert ended.finals == len(finals)
    clock = 0.0
    for final in finals:
        assert clock <= final.start <= final.end
        clock = final.end
        for word in final.words:
            script = next(w for w in recording.words() if w.text.strip() == word.word)
            assert word.start == pytest.approx(script.start_sample / 16_000, abs=0.002)
    utterances = [final.utterance for final in finals]
    assert utterances == list(range(1, len(finals) + 1))


@pytest.mark.parametrize("cut_s", [0.2, 1.25, 1.6, 3.2, 5.1, 7.0])
async def test_a_connection_that_breaks_in_the_middle_of_a_word(wire: Wire, cut_s: float) -> None:
    audio, at = recording.pcm(), round(cut_s * 16_000) * 2 + 1
    events: list = []
    async with connect(wire.address, words=True) as stream:
        await stream.send_audio(audio[:at])
        wire.cut()
        await stream.send_audio(audio[at:])
        wire.cut()
        await stream.end()
        await said(stream, events, Ended)
    assert any(isinstance(event, Ready) for event in events)
    assert wire.passed >= 2
    check(events)


async def test_a_connection_that_breaks_repeatedly(wire: Wire) -> None:
    events: list = []
    frames = 0
    async with connect(wire.address, words=True) as stream:
        reading = asyncio.create_task(said(stream, events, Ended))
        async for frame in recording.frames(recording.pcm(), 3_201):
            await stream.send_audio(frame)
            frames += 1
            # At moments that depend on the server, and at some that do not.
            if len(events) % 7 == 3 or frames % 40 == 39:
                wire.cut()
            await asyncio.sleep(0.005)
        await stream.end()
        await reading
    assert wire.passed >= 2
    check(events)


async def test_a_connection_that_breaks_after_the_end(wire: Wire) -> None:
    events: list = []
    async with connect(wire.address, words=True) as stream:
        await stream.send_audio(recording.pcm())
        await stream.finalize(mark=5)
        await stream.end()
        await said(stream, events, HEARD)
        wire.cut()
        await said(stream, events, Ended)
    check(events)
    assert [event.id for event in events if isinstance(event, Mark)] == [5]


@pytest.mark.slow
async def test_a_client_that_stops_sending(wire: Wire) -> None:
    events: list = []
    async with connect(wire.address, words=True) as stream:
        stream.silent_s = 0.3
        await stream.send_audio(recording.pcm()[:70_000])
        await said(stream, events, Partial)
        wire.hold()
        await stream.send_audio(recording.pcm()[70_000:])
        await stream.end()
        reading = asyncio.create_task(said(stream, events, Ended))
        await said_nothing(wire)
        await reading
    check(events)


@pytest.mark.slow
async def test_a_silent_stream(wire: Wire) -> None:
    """A pause: all is answered, and the last samples may stay unsettled for as long as it lasts."""
    events: list = []
    async with connect(wire.address, words=True) as stream:
        await stream.send_audio(recording.pcm()[:106_000])
        await stream.finalize(mark=1)
        await said(stream, events, Mark)
        stream.silent_s = 0.1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await said(stream, events, Ended)
        stream.silent_s = 30
        await stream.send_audio(recording.pcm()[106_000:])
        await stream.end()
        await said(stream, events, Ended)
    assert wire.passed == 1
    check(events)


async def test_unread_events_do_not_count_as_silence() -> None:
    """The time in which the application reads nothing does not count."""
    ready = {"type": "ready", "protocol": 1, "session": "s", "resume_token": "t", "model": "m"}
    partial = {"type": "partial", "channel": 0, "utterance": 1, "start": 0, "end": 1}
    connections = 0

    async def answer(websocket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await websocket.recv()
        await websocket.send(json.dumps({**ready, "seq": 1, "received": 0}))
        await websocket.recv()
        for n in range(100):
            words = {"revision": n + 1, "committed": "", "tentative": "on"}
            await websocket.send(json.dumps({**partial, **words, "seq": n + 2}))
        await websocket.send(json.dumps({"type": "mark", "seq": 102, "id": 1}))
        await websocket.wait_closed()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", silent_s=0.2) as stream:
            await stream.mark(1)
            await until(lambda: len(stream._inbox) >= MOST_UNREAD)
            await asyncio.sleep(0.5)
            await stream.keepalive()
            assert len(stream._inbox) == MOST_UNREAD
            events: list = []
            await said(stream, events, Mark)
    assert len(events) == 101
    assert connections == 1


async def said_nothing(wire: Wire) -> None:
    """Let the next connection through."""
    before = wire.passed
    async with asyncio.timeout(WAIT_S):
        while wire.passed == before:  # noqa: ASYNC110
            await asyncio.sleep(0)
    wire.let_through()


@asynccontextmanager
async def replaced(first: Server, wire: Wire, stream: Stream) -> AsyncIterator[None]:
    """A server that restarts, and behind the same wire one that knows nothing of the stream."""
    wire.plugged = False
    await first.close(RESTARTING)
    async with running(recording.config(), lambda: successor(stream)) as second:
        wire.port = second.door.port
        wire.plugged = True
        yield


@pytest.mark.parametrize("how", ["killed", "restarting", "going away"])
@pytest.mark.parametrize("cut_s", [1.25, 3.2, 4.7, 7.0])
async def test_a_server_that_restarts_has_lost_all_streams(how: str, cut_s: float) -> None:
    audio, at = recording.pcm(), round(cut_s * 16_000) * 2
    events: list = []
    async with (
        running(recording.config(), recording.transcriber) as first,
        breakable(first.address) as wire,
        connect(wire.address, words=True) as stream,
    ):
        await stream.send_audio(audio[:at])
        await said(stream, events, HEARD)
        wire.plugged = False
        if how == "killed":
            wire.cut()
        elif how == "going away":
            await first.drain()
        reading = asyncio.create_task(said(stream, events, Ended))
        async with replaced(first, wire, stream):
            await stream.send_audio(audio[at:])
            await stream.end()
            await reading
    check(events)


@asynccontextmanager
async def proxy(status: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Its port, and whether anybody came: one whose server is not there answers with a status."""
    asked = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()
        asked.set()

    listener = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1], asked


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_proxy_before_a_server_that_restarts(wire: Wire, status: int) -> None:
    audio, server = recording.pcm(), wire.port
    events: list = []
    async with connect(wire.address, words=True) as stream, proxy(status) as (port, asked):
        await stream.send_audio(audio[:70_000])
        await said(stream, events, HEARD)
        wire.port = port
        wire.cut()
        reading = asyncio.create_task(said(stream, events, Ended))
        await asyncio.wait_for(asked.wait(), WAIT_S)
        wire.port = server
        await stream.send_audio(audio[70_000:])
        await stream.end()
        await reading
    check(events)


@pytest.mark.parametrize("known", [True, False])
async def test_a_server_that_refuses_to_resume(known: bool) -> None:
    """A final whose `progress` never came is told before the refusal."""
    ready = {"type": "ready", "protocol": 1, "session": "s", "resume_token": "t", "model": "m"}
    final = {"type": "final", "channel": 0, "utterance": 1, "start": 0, "end": 1, "text": "said"}
    connections = 0

    def fatal(code: str) -> str:
        return json.dumps({"type": "error", "code": code, "message": "No.", "fatal": True})

    async def answer(websocket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await websocket.recv()
        if connections == 1:
            await websocket.send(json.dumps({**ready, "seq": 1, "received": 0}))
            await websocket.send(json.dumps({**final, "seq": 2}))
            await websocket.ping()
            websocket.transport.close()
        elif connections == 2 and not known:
            await websocket.send(fatal("resume_refused"))
        else:
            await websocket.send(fatal("not_authorised"))

    async with serve(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as stream:
            told = await asyncio.wait_for(stream.receive(), WAIT_S)
            assert isinstance(told, Final)
            for _ in range(2):
                with pytest.raises(ServerError, match=r"No\.") as refusal:
                    await asyncio.wait_for(stream.receive(), WAIT_S)
                assert refusal.value.code == "not_authorised"
    assert connections == (2 if known else 3)


@pytest.mark.slow
async def test_a_link_that_dies_in_a_pause(wire: Wire) -> None:
    """It is found out as soon as the server has owed an answer for `silent_s`."""
    events: list = []
    async with connect(wire.address, words=True) as stream:
        stream.silent_s = 1
        reading = asyncio.create_task(said(stream, events, Ended))
        await asyncio.sleep(0.05)
        wire.hold()
        clock = asyncio.get_running_loop().time
        died = clock()
        await stream.send_audio(recording.pcm())
        await stream.end()
        await said_nothing(wire)
        found_out_s = clock() - died
        await reading
    assert 0.9 < found_out_s < 1.7
    check(events)


async def test_settings_that_the_server_refused_to_change() -> None:
    """A new one is told what the old one took, and is opened."""
    events: list = []
    async with (
        running(recording.config(), recording.transcriber) as first,
        breakable(first.address) as wire,
        connect(wire.address, words=True) as stream,
    ):
        await stream.configure(partials=False, endpointing_ms=700)
        await stream.configure(endpointing_ms=5)
        await stream.send_audio(recording.pcm()[:32_000])
        await said(stream, events, Progress)
        assert stream.protocol.continuity.timeline.endpointing_ms == 700
        reading = asyncio.create_task(said(stream, events, Ended))
        async with replaced(first, wire, stream):
            await stream.send_audio(recording.pcm()[32_000:])
            await stream.configure(endpointing_ms=600)
            await stream.end()
            await reading
    check(events)
    assert not any(isinstance(event, Partial) for event in events)
    errors = {event.code for event in events if isinstance(event, Error)}
    assert errors == {"bad_settings"}
    in_force = [event.settings for event in events if isinstance(event, Configured)]
    assert [settings["endpointing_ms"] for settings in in_force] == [700, 600]


async def test_a_request_that_the_server_gets_twice_is_answered_once() -> None:
    engine = GatedTranscriber()
    engine.words = tuple(recording.words())
    events: list = []
    async with (
        running(recording.config(), lambda: engine) as server,
        breakable(server.address) as wire,
        connect(wire.address, words=True) as stream,
    ):
        await stream.send_audio(recording.pcm()[:106_000])
        await stream.finalize(mark=1)
        (connection,) = server.state.streams
        await until(lambda: bool(connection.protocol.session._marks))
        wire.cut()
        await said(stream, events, Ready)
        await until(lambda: len(connection.protocol.session._marks) == 2)
        engine.gate.set()
        await stream.send_audio(recording.pcm()[106_000:])
        await stream.end()
        await said(stream, events, Ended)
    check(events)
    assert [event.id for event in events if isinstance(event, Mark)] == [1]


async def test_a_connection_that_breaks_after_the_server_was_replaced() -> None:
    """The new server counts samples from where it began; what it lacks is found all the same."""
    audio = recording.pcm()
    events: list = []
    async with (
        running(recording.config(), recording.transcriber) as first,
        breakable(first.address) as wire,
        connect(wire.address, words=True) as stream,
    ):
        await stream.send_audio(audio[:102_400])
        await said(stream, events, Final)
        reading = asyncio.create_task(said(stream, events, Ended))
        async with replaced(first, wire, stream):
            await stream.send_audio(audio[102_400:160_000])
            await until(lambda: any(isinstance(event, Ready) for event in events))
            wire.cut()
            await stream.send_audio(audio[160_000:])
            await stream.end()
            await reading
    assert stream.protocol.continuity.timeline.base > 0
    check(events)


async def test_a_server_that_stays_away(wire: Wire) -> None:
    async with connect(wire.address, reconnect_s=0.2) as stream:
        await stream.send_audio(recording.pcm()[:70_000])
        wire.plugged = False
        wire.cut()
        with pytest.raises(ConnectionLost, match="broke"):
            await said(stream, [], Ended)
        with pytest.raises(ConnectionLost):
            await stream.send_audio(bytes(2))


async def test_no_reconnecting_if_it_is_switched_off(wire: Wire) -> None:
    async with connect(wire.address, reconnect_s=0) as stream:
        wire.cut()
        with pytest.raises(ConnectionLost, match="broke"):
            await stream.receive()
    assert wire.passed == 1
