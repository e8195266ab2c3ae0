"""What a client costs at most: each row of the table in docs/serving.md has a test."""

import asyncio
import json
import re
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from stream.rooms.room import MAX_ABOUT_BYTES, Room
from stream.server.connection_shares import ConnectionShares
from stream.server.http.openai_requests import GRACE_S, MIN_BYTES_PER_S
from stream.server.websocket_connection import CONTROL_BURST
from tests.server.serving import WAIT_S, client, get, serving, until

ROOT = Path(__file__).parents[2]


async def send_raw(server, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
    writer.write(request)
    return reader, writer


async def test_a_body_that_never_comes_is_not_waited_for() -> None:
    async with serving() as server:
        server.door.rest_timeout_s = 0.1
        request = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nG"
        reader, writer = await send_raw(server, request)
        response = await asyncio.wait_for(reader.read(), WAIT_S)
        assert b" 405 " in response.split(b"\r\n")[0]
        writer.close()
        await until(lambda: not len(server.state.shares))


async def test_an_upload_of_a_byte_now_and_then_ends() -> None:
    assert MIN_BYTES_PER_S * GRACE_S < 100_000
    async with serving(idle_s=0.2) as server:
        head = (
            b"POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Length: 100000\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n"
        )
        reader, writer = await send_raw(server, head)
        answer = asyncio.create_task(reader.readuntil(b"\r\n"))
        while not answer.done():
            writer.write(b"-")
            await asyncio.sleep(0.02)
        assert b" 408 " in answer.result()
        assert len(server.state.uploads) == 0
        writer.close()


@pytest.mark.parametrize("kind", ["ping", "pong"])
async def test_too_many_control_frames_end_a_connection(kind: str) -> None:
    async with serving(resume_s=0) as server:
        async with client(server, ping_interval=None) as websocket:
            await websocket.send('{"type":"start"}')
            await websocket.recv()
            with suppress(ConnectionClosed):
                for number in range(2 * CONTROL_BURST):
                    await getattr(websocket, kind)(number.to_bytes(4))
                await asyncio.wait_for(websocket.wait_closed(), WAIT_S)
        assert websocket.close_code == 1006


async def test_usual_control_frames_are_answered() -> None:
    async with serving() as server, client(server, ping_interval=None) as websocket:
        for _ in range(20):
            await asyncio.wait_for(await websocket.ping(), WAIT_S)


async def test_connections_are_limited_in_all_and_per_address() -> None:
    async with serving(max_per_address=3) as server, AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(client(server))
        with pytest.raises((OSError, IndexError)):  # there is no response
            await get(server, "/healthz")
        await stack.aclose()
        await until(lambda: not len(server.state.shares))
        assert (await get(server, "/healthz"))[0] == 200


def test_shares() -> None:
    shares = ConnectionShares(8)
    assert [shares.enter("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert [shares.enter("::1") for _ in range(7)] == [True] * 6 + [False]
    shares.leave("192.0.2.1")
    assert shares.enter("192.0.2.1")
    assert len(shares) == 8


@pytest.mark.parametrize(
    "path",
    [
        "/v1/rooms/a/captions-" + "9" * 5000 + ".vtt",
        "/v1/rooms/%00/events",
        "/v1/rooms/[/transcript.srt",
        "/v1/rooms/%ff/transcript.txt",
        "/v1/models/%00",
        "//[",
        "/v1/stream?" + "&" * 30_000,
        "/v1/listen?%ff=%00",
        "/v1/rooms",
        "/v1/twilio",
    ],
)
@pytest.mark.parametrize("host", ["x", "[", "x:99999999", "x:y", "a,b", "http://x"])
async def test_no_path_and_no_host_is_a_fault_of_the_server(path: str, host: str) -> None:
    async with serving() as server:
        request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        reader, writer = await send_raw(server, request.encode())
        status = (await asyncio.wait_for(reader.read(), WAIT_S)).split(b" ", 2)[1]
        writer.close()
        assert status not in (b"500", b"")


async def test_a_form_of_ampersands_is_refused_unread() -> None:
    async with serving() as server:
        body = b"&" * 1_000_000
        head = (
            "POST /v1/audio/transcriptions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        reader, writer = await send_raw(server, head.encode() + body)
        assert b" 415 " in await asyncio.wait_for(reader.readuntil(b"\r\n"), WAIT_S)
        writer.close()


async def test_transcripts_are_not_kept_by_caches() -> None:
    async with serving() as server:
        async with client(server) as websocket:
            await websocket.send('{"type":"start","room":"kept"}')
            await websocket.recv()
            for name in ("transcript.txt", "transcript.json", "captions.m3u8"):
                _, fields, _ = await get(server, f"/v1/rooms/kept/{name}")
                assert fields["cache-control"] == "no-store"
        _, fields, _ = await get(server, "/v1/rooms")
        assert fields["cache-control"] == "no-store"


def test_facts_about_streams_are_limited() -> None:
    room = Room("r", 0.0)
    assert room.add_about({f"p{i}": "A" * 1000 for i in range(900)}) > 850
    assert sum(len(n) + len(v) for n, v in room.about.items()) <= MAX_ABOUT_BYTES
    assert room.add_about({"p0": "B"}) == 0
    assert room.about["p0"] == "B"


async def test_a_message_with_much_audio_is_processed_in_steps() -> None:
    async with serving(resume_s=0) as server, client(server) as websocket:
        await websocket.send(
            json.dumps({"type": "start", "encoding": "mulaw", "sample_rate": 8000})
        )
        await websocket.recv()
        (connection,) = server.state.streams
        await websocket.send(b"\xff" * 400_000)
        seen = []

        def whole() -> bool:
            seen.append(connection.protocol.sessions.audio_s)
            return seen[-1] == 50.0

        await until(whole)
        assert len(set(seen)) > 50
        await websocket.send('{"type":"end"}')
        async for _ in websocket:
            pass


def test_each_row_of_the_table_has_a_test() -> None:
    text = (ROOT / "docs" / "serving.md").read_text()
    table = text.partition("### A client costs at most")[2].partition("\n## ")[0]
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", table)
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 10
    assert len(named) >= len(rows)
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text(), test
