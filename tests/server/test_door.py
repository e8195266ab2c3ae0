"""One port for both: what goes where, and who is cut off."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection

from stream.server.connection_shares import ConnectionShares
from stream.server.door import MAX_HEAD_BYTES, FrontDoor
from tests.server.serving import WAIT_S

Application = Callable[[dict[str, Any], Callable[..., Any], Callable[..., Any]], Awaitable[None]]

PLAIN = b"GET /%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /live HTTP/1.1\r\nHost: localhost\r\n"
    b"Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def answer(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Say what was asked for, and how many bytes came with it."""
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message["body"]), message["more_body"]
    said = f"{scope['path']} {size}".encode()
    headers = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": said})


async def echo(websocket: ServerConnection) -> None:
    async for message in websocket:
        await websocket.send(message)


@asynccontextmanager
async def open_door(application: Application = answer, **limits: float) -> AsyncIterator[FrontDoor]:
    door = FrontDoor(
        application,
        {"X-House": "ours"},
        lambda *_: None,
        echo,
        lambda _: ("x",),
        1 << 20,
        ConnectionShares(100),
    )
    for name, value in limits.items():
        setattr(door, name, value)
    await door.open("127.0.0.1", 0)
    async with asyncio.timeout(WAIT_S):
        yield door
        await door.close()


@asynccontextmanager
async def client(
    door: FrontDoor,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    yield reader, writer
    writer.close()


async def head_and_body(reader: asyncio.StreamReader) -> tuple[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    (size,) = (line.split()[1] for line in head.splitlines() if line.startswith("content-length"))
    return head, (await reader.readexactly(int(size))).decode()


async def test_both_on_one_port() -> None:
    async with open_door() as door, client(door) as (reader, writer):
        async with connect(f"ws://127.0.0.1:{door.port}/live") as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "hello"
        for number in range(2):
            writer.write(PLAIN % number)
            head, body = await head_and_body(reader)
            assert body == f"/{number} 0"
            assert "x-house: ours" in head


@pytest.mark.parametrize("step", [1, 7, 10_000])
async def test_a_head_in_pieces_after_a_plain_request(step: int) -> None:
    async with open_door() as door, client(door) as (reader, writer):
        sent = PLAIN % 0 + UPGRADE
        for start in range(0, len(sent), step):
            writer.write(sent[start : start + step])
            await writer.drain()
        assert (await head_and_body(reader))[1] == "/0 0"
        assert (await reader.readline()).startswith(b"HTTP/1.1 101 ")


async def test_a_body_of_any_size_comes_in_pieces() -> None:
    async with open_door() as door, client(door) as (reader, writer):
        size = 5_000_000
        writer.write(b"POST /up HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(bytes(size))
        assert (await head_and_body(reader))[1] == f"/up {size}"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * (MAX_HEAD_BYTES + 1),
    ],
    ids=["TLS", "no host", "a head too large"],
)
async def test_a_malformed_request_gets_an_error(sent: bytes) -> None:
    async with open_door() as door, client(door) as (reader, writer):
        writer.write(sent)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [b"", b"GET /live HT", PLAIN % 0 + UPGRADE[:-1]])
async def test_an_incomplete_request_head_times_out(sent: bytes) -> None:
    async with open_door(head_timeout_s=0.1) as door, client(door) as (reader, writer):
        writer.write(sent)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1000)


async def test_a_client_that_does_not_read_is_disconnected() -> None:
    gone = asyncio.Event()

    async def endless(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        watching = asyncio.create_task(see_the_client_go(receive))
        while not watching.done():
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})
            await asyncio.sleep(0)
        gone.set()

    async with open_door(endless, write_timeout_s=0.1) as door, client(door) as (_, writer):
        writer.write(PLAIN % 0)
        assert await gone.wait()


async def test_a_close_is_visible_to_the_response() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def patient(scope: dict[str, Any], receive: Any, send: Any) -> None:
        asked.set()
        await see_the_client_go(receive)
        gone.set()

    async with open_door(patient) as door, client(door) as (_, writer):
        writer.write(PLAIN % 0)
        await asked.wait()
        assert not gone.is_set()
        await door.close()
        assert gone.is_set()


async def see_the_client_go(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@pytest.mark.parametrize(
    "field",
    [
        b"Cookie: " + b"session=" + b"x" * 9_000,
        b"Cookie: " + b"; ".join(b"c%d=%s" % (i, b"y" * 60) for i in range(700)),
        b"Authorization: Bearer " + b"z" * 20_000,
        b"\r\n".join(b"X-Forwarded-%d: 10.0.0.1" % i for i in range(400)),
    ],
)
async def test_a_head_of_a_websocket_may_be_as_large_as_any(field: bytes) -> None:
    async with open_door() as door:
        for head in (PLAIN % 0, UPGRADE):
            async with client(door) as (reader, writer):
                writer.write(head.removesuffix(b"\r\n") + field + b"\r\n\r\n")
                expected = b"HTTP/1.1 101" if head is UPGRADE else b"HTTP/1.1 200"
                assert (await reader.readline()).startswith(expected)


async def test_a_long_query_of_a_websocket() -> None:
    async with open_door() as door:
        url = f"ws://127.0.0.1:{door.port}/live?prompt={'%D1%8F' * 4_000}"
        async with connect(url) as websocket:
            await websocket.send("hello")
            assert await websocket.recv() == "hello"


@pytest.mark.parametrize(("path", "chosen"), [("one", "x"), ("two", "y"), ("three", None)])
async def test_each_path_has_its_subprotocols(path: str, chosen: str | None) -> None:
    available = {"/one": ("x",), "/two": ("y", "x")}
    door = FrontDoor(
        answer,
        {},
        lambda *_: None,
        echo,
        lambda at: available.get(at, ()),
        max_frame_bytes=1 << 20,
        shares=ConnectionShares(100),
    )
    await door.open("127.0.0.1", 0)
    address = f"ws://127.0.0.1:{door.port}/{path}?query"
    async with connect(address, subprotocols=["y", "x"]) as websocket:  # type: ignore[list-item]
        assert websocket.subprotocol == chosen
    await door.close()
