"""Rooms over HTTP: who may read them, what they read, and what becomes of readers."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import av
import pytest
from websockets.exceptions import InvalidStatus

from stream.protocols.interface import RoomMembership
from stream.server.app import Server
from tests.clients import recording
from tests.rooms.test_room import final, partial, progress
from tests.server.serving import (
    SECOND,
    WAIT_S,
    GatedTranscriber,
    client,
    get,
    metric,
    receive,
    serving,
    until,
)

MEMBER = RoomMembership("standup", 1, 8_000, ("Ada",))


@asynccontextmanager
async def reading(
    server: Server, room: str = "standup", *headers: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    """Read a room's events as a page does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
    lines = [f"GET /v1/rooms/{room}/events HTTP/1.1", "Host: localhost", *headers, "", ""]
    writer.write("\r\n".join(lines).encode())

    async def messages() -> AsyncIterator[dict[str, Any]]:
        while line := await asyncio.wait_for(reader.readline(), WAIT_S):
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
    assert head.startswith(b"HTTP/1.1 200"), head
    assert b"text/event-stream" in head
    try:
        yield messages()
    finally:
        writer.close()


async def test_a_reader_follows_a_stream() -> None:
    async with serving(recording.transcriber()) as server, reading(server) as messages:
        first = await anext(messages)
        assert (first["type"], first["opened_at"], first["live"]) == ("room", None, False)
        async with client(server, "room=standup&speakers=Ada") as websocket:
            await websocket.send(recording.pcm())
            await websocket.send('{"type":"end"}')
            await receive(websocket)
        heard = []
        async for message in messages:
            heard.append(message)
            if message["type"] == "live" and not message["live"]:
                break
        finals = [m["text"] for m in heard if m["type"] == "final"]
        assert finals == list(recording.BURSTS)
        assert heard[0] == {"type": "live", "live": True, "speakers": ["Ada"]}
        assert {m["speaker"] for m in heard if m["type"] == "partial"} == {"Ada"}


async def test_a_late_reader_gets_the_text_so_far() -> None:
    async with serving() as server:
        room, ada = server.state.rooms.join(MEMBER)
        server.state.rooms.receive(room, ada, final(0, "good morning", 1))
        server.state.rooms.receive(room, ada, partial(2, "shall", "we", 2))
        async with reading(server) as messages:
            snapshot = await anext(messages)
            assert [line["text"] for line in snapshot["finals"]] == ["good morning"]
            assert [line["tentative"] for line in snapshot["partials"]] == [" we"]
            server.state.rooms.leave(room, ada)
            assert (await anext(messages))["text"] == "shall we"


async def test_readers_come_and_go_and_are_counted() -> None:
    async with serving(max_readers=2) as server:
        async with reading(server) as one, reading(server) as two:
            await anext(one)
            await anext(two)
            assert await metric(server, "distil_stream_room_readers") == 2
            status, _, body = await get(server, "/v1/rooms/standup/events")
            assert (status, "readers" in body) == (503, True)
        await until(lambda: server.state.rooms.n_readers == 0)


@pytest.mark.slow
async def test_draining_disconnects_readers() -> None:
    async with serving(drain_s=WAIT_S) as server, reading(server) as messages:
        await anext(messages)
        await asyncio.wait_for(server.drain(), WAIT_S / 2)
        with pytest.raises(StopAsyncIteration):
            await anext(messages)


async def test_while_draining_no_reader_begins() -> None:
    gated = GatedTranscriber()
    async with serving(gated, vad="webrtc") as server, client(server) as websocket:
        await websocket.send(recording.pcm()[: 2 * SECOND])
        (connection,) = server.state.streams
        await until(lambda: connection.protocol.pending_s > 0)
        draining = asyncio.create_task(server.drain())
        await until(lambda: server.state.draining)
        status, _, _ = await get(server, "/v1/rooms/standup/events")
        assert status == 503
        with pytest.raises(InvalidStatus, match="503"):
            await client(server, path="v1/rooms/standup/events")
        gated.gate.set()
        await draining


async def test_transcripts_and_the_feed() -> None:
    async with serving() as server:
        room, ada = server.state.rooms.join(MEMBER)
        server.state.rooms.receive(room, ada, final(0, "good morning", 1))
        types = {
            "txt": "text/plain",
            "srt": "application/x-subrip",
            "vtt": "text/vtt",
            "json": "application/json",
        }
        for extension, content_type in types.items():
            path = f"/v1/rooms/standup/transcript.{extension}"
            status, headers, body = await get(server, path)
            assert status == 200
            assert headers["content-type"].startswith(content_type)
            assert "good morning" in body
        assert (await get(server, "/v1/rooms/standup/captions-0.vtt"))[0] == 404
        server.state.rooms.receive(room, ada, progress(13.0, 13.0))
        _, headers, body = await get(server, "/v1/rooms/standup/captions.m3u8?token=x")
        assert headers["content-type"] == "application/vnd.apple.mpegurl"
        assert "captions-1.vtt?token=x" in body
        assert "captions-2.vtt" not in body
        status, _, body = await get(server, "/v1/rooms/standup/captions-0.vtt")
        assert (status, "good morning" in body) == (200, True)
        _, _, body = await get(server, "/v1/rooms/standup/captions-0.vtt?mpegts=126000")
        assert "MPEGTS:126000" in body
        for wrong in ("x", "-1", str(2**33)):
            path = f"/v1/rooms/standup/captions.m3u8?mpegts={wrong}"
            assert (await get(server, path))[0] == 400
        server.state.rooms.leave(room, ada)


async def test_a_video_player_reads_the_feed() -> None:
    """FFmpeg's, which knows the list and the segments as any player of HLS does."""
    said = {0.5: "before the first cut", 5.5: "across the cut", 13.0: "after a segment of silence"}

    def cues(url: str) -> set[tuple[float, str]]:
        with av.open(url) as feed:
            assert feed.format.name == "hls"
            packets = [packet for packet in feed.demux(subtitles=0) if packet.size]
            return {(packet.pts * packet.time_base, bytes(packet).decode()) for packet in packets}

    async with serving() as server:
        rooms = server.state.rooms
        room, ada = rooms.join(MEMBER)
        for utterance, (start, text) in enumerate(said.items(), 1):
            rooms.receive(room, ada, final(start, text, utterance))
        rooms.receive(room, ada, progress(16.0, 16.0))
        rooms.leave(room, ada)
        seen = await asyncio.to_thread(cues, f"{server.address}v1/rooms/standup/captions.m3u8")
        assert sorted((float(at), " ".join(text.split())) for at, text in seen) == [
            (start, f"<v Ada>{text}") for start, text in said.items()
        ]


@pytest.mark.parametrize("path", ["transcript.vtt", "captions.m3u8"])
async def test_a_page_of_another_site_may_show_captions_if_it_is_allowed(path: str) -> None:
    async with serving(allow_origin=("https://video.example",)) as server:
        room, ada = server.state.rooms.join(MEMBER)
        for origin, allowed in (("https://video.example", True), ("https://other.example", False)):
            _, headers, _ = await get(server, f"/v1/rooms/standup/{path}", f"Origin: {origin}")
            assert headers.get("access-control-allow-origin") == (origin if allowed else None)
        server.state.rooms.leave(room, ada)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/rooms/standup/transcript.txt",
        "/v1/rooms/standup/transcript.exe",
        "/v1/rooms/standup/captions.m3u8",
        "/v1/rooms/standup/captions-0.vtt",
        "/v1/rooms/standup/captions-x.vtt",
        "/rooms/no%20room",
        "/v1/rooms/no%20room/events",
        "/v1/rooms/a/b/events",
    ],
)
async def test_there_is_no_such_room(path: str) -> None:
    async with serving() as server:
        assert (await get(server, path))[0] == 404


async def test_the_list_of_rooms_and_the_pages() -> None:
    async with serving() as server:
        _, _, body = await get(server, "/v1/rooms")
        assert json.loads(body) == {"rooms": []}
        room, ada = server.state.rooms.join(MEMBER)
        _, _, body = await get(server, "/v1/rooms")
        (listed,) = json.loads(body)["rooms"]
        assert (listed["room"], listed["ended_at"]) == ("standup", None)
        server.state.rooms.leave(room, ada)
        for path in ("/rooms", "/rooms/standup", "/rooms/standup?view=screen"):
            status, headers, body = await get(server, path)
            assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
            assert "<script" in body


@pytest.mark.parametrize("room_access", ["key", "public"])
async def test_who_may_read(room_access: str) -> None:
    async with serving(api_key="secret", room_access=room_access) as server:
        room, ada = server.state.rooms.join(MEMBER)
        for path in (
            "/v1/rooms/standup/events",
            "/v1/rooms/standup/transcript.txt",
            "/v1/rooms/standup/captions.m3u8",
        ):
            if room_access == "key":
                assert (await get(server, path))[0] == 401
            elif not path.endswith("events"):
                assert (await get(server, path))[0] == 200
                assert (await get(server, f"{path}?token=secret"))[0] == 200
        assert (await get(server, "/v1/rooms"))[0] == 401
        assert (await get(server, "/v1/rooms?token=secret"))[0] == 200
        async with reading(server, "standup", "Authorization: Bearer secret") as messages:
            assert (await anext(messages))["type"] == "room"
        server.state.rooms.leave(room, ada)


async def test_rooms_that_cannot_be_read(tmp_path: Path) -> None:
    file = tmp_path / "rooms.db"
    async with serving(rooms_file=file) as server:
        with closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.executescript("drop table lines; drop table rooms;")
        for path in ("/v1/rooms", "/v1/rooms/standup/transcript.txt"):
            status, _, body = await get(server, path)
            assert (status, body[:30]) == (503, "Rooms that are over cannot be ")


async def test_transcripts_are_written_once_for_all_who_ask() -> None:
    """Readers who ask at the same time share one result; others get what was said since."""
    async with serving() as server:
        room, number = server.state.rooms.join(RoomMembership("long", 1, 16_000))
        for i in range(300):
            server.state.rooms.receive(room, number, final(2 * i, f"line {i} of many", i))
        asked = [get(server, "/v1/rooms/long/transcript.srt") for _ in range(8)]
        bodies = {body for _, _, body in await asyncio.gather(*asked)}
        assert len(bodies) == 1
        server.state.rooms.receive(room, number, final(700, "the last word", 300))
        _, _, after = await get(server, "/v1/rooms/long/transcript.srt")
        assert "the last word" in after
        server.state.rooms.leave(room, number)
        _, _, over = await get(server, "/v1/rooms/long/transcript.srt")
        assert over == after
