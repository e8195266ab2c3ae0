"""The Python client reads rooms of a real server."""

import asyncio
from contextlib import aclosing

import pytest
from distil_stream_client import (
    ConnectionLost,
    Line,
    Presence,
    ServerError,
    Snapshot,
    read_room,
    rooms,
)
from distil_stream_client.rooms import parse, room_url
from websockets.exceptions import InvalidStatus

from stream.config import ServerConfig
from stream.core.events import KeyPressed
from stream.protocols.interface import RoomMembership
from stream.server.rooms.rooms import READER_LIMIT
from stream.server.running import running
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.clients.test_reconnect import proxy
from tests.rooms.test_room import final, partial
from tests.server.serving import WAIT_S, client, serving, until

MEMBER = RoomMembership("standup", 1, 8_000, ("Ada",))


async def test_a_room_is_read_from_the_snapshot_on():
    async with serving() as server:
        room, ada = server.state.rooms.join(MEMBER)
        server.state.rooms.receive(room, ada, final(0, "good morning", 1))
        async with aclosing(read_room(server.address, "standup")) as events:
            snapshot = await anext(events)
            assert isinstance(snapshot, Snapshot)
            assert (snapshot.room, snapshot.live, snapshot.speakers) == ("standup", True, ("Ada",))
            assert [line.text for line in snapshot.lines] == ["good morning"]
            server.state.rooms.receive(room, ada, partial(2, "shall", "we", 2))
            line = await anext(events)
            assert isinstance(line, Line)
            assert (line.committed, line.tentative, line.final) == ("shall", " we", False)
            server.state.rooms.receive(room, ada, final(2, "shall we", 2))
            last = await anext(events)
            assert (last.line, last.text, last.final) == (line.line, "shall we", True)
            server.state.rooms.receive(room, ada, KeyPressed(0, "5", 0))
            key = await anext(events)
            assert (key.speaker, key.key) == ("Ada", "5")
            server.state.rooms.leave(room, ada)
            assert await anext(events) == Presence(live=False, speakers=())
        await until(lambda: server.state.rooms.n_readers == 0)


def test_messages_of_a_newer_server_are_skipped():
    assert parse('{"type":"applause","speaker":"Ada"}') is None


async def test_a_reader_comes_back_to_a_server_that_comes_back():
    config = ServerConfig(port=0)
    async with running(config, recording.transcriber) as server:
        port = server.door.port
        events = read_room(server.address, "standup")
        assert isinstance(await anext(events), Snapshot)
    following = asyncio.create_task(anext(events))
    async with running(ServerConfig(port=port), recording.transcriber):
        assert isinstance(await asyncio.wait_for(following, WAIT_S), Snapshot)
        await events.aclose()


@pytest.mark.parametrize("status", [502, 504])
async def test_a_proxy_before_a_server_that_restarts(monkeypatch, status):
    monkeypatch.setattr(rooms, "FIRST_WAIT_S", 0.01)
    async with (
        serving() as server,
        breakable(server.address) as wire,
        proxy(status) as (port, asked),
        aclosing(read_room(wire.address, "standup")) as events,
    ):
        await anext(events)
        wire.port = port
        wire.cut()
        following = asyncio.create_task(anext(events))
        await asyncio.wait_for(asked.wait(), WAIT_S)
        wire.port = server.door.port
        assert isinstance(await asyncio.wait_for(following, WAIT_S), Snapshot)
        wire.port = port
        with pytest.raises(ServerError) as refusal:  # who was not let in before
            await anext(read_room(wire.address, "standup"))
        assert refusal.value.code == f"http_{status}"


async def test_without_reconnecting_a_loss_is_raised():
    async with running(ServerConfig(port=0), recording.transcriber) as server:
        events = read_room(server.address, "standup", reconnect=False)
        await anext(events)
    with pytest.raises(ConnectionLost):
        await anext(events)


async def test_refusals_of_the_server():
    async with serving(api_key="secret", max_readers=1) as server:
        with pytest.raises(ServerError, match="key") as refusal:
            await anext(read_room(server.address, "standup"))
        assert refusal.value.code == "not_authorised"
        async with aclosing(read_room(server.address, "standup", api_key="secret")) as events:
            await anext(events)
            with pytest.raises(ServerError, match="readers"):
                await anext(read_room(server.address, "standup", api_key="secret"))
        with pytest.raises(ServerError, match="nothing at this address"):
            await anext(read_room(server.address, "no room"))
    with pytest.raises(ConnectionLost, match="No server answers"):
        await anext(read_room("ws://127.0.0.1:9", "standup"))


@pytest.mark.slow
async def test_a_client_that_takes_no_message_is_disconnected():
    async with serving(idle_s=0.2) as server:
        room, ada = server.state.rooms.join(MEMBER)
        async with client(server, path="v1/rooms/standup/events", max_queue=1) as websocket:
            await until(lambda: server.state.rooms.n_readers == 1)
            for n in range(READER_LIMIT + 1):
                server.state.rooms.receive(room, ada, final(n, "said", n))
            await websocket.wait_closed()
        assert websocket.close_code == 1013
        server.state.rooms.leave(room, ada)


async def test_pages_of_other_origins_may_not_read():
    async with serving() as server:
        with pytest.raises(InvalidStatus) as refused:
            await client(server, path="v1/rooms/standup/events", origin="https://evil.example")
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://host:1/", "ws://host:1/v1/rooms/a/events"),
        ("wss://host/behind/v1/stream", "wss://host/behind/v1/rooms/a/events"),
        ("host:8765", "ws://host:8765/v1/rooms/a/events"),
        ("https://host?token=k", "wss://host/v1/rooms/a/events?token=k"),
    ],
)
def test_addresses(given, address):
    assert room_url(given, "a") == address
