"""Protocols that are added to a server by a row: their paths, ports, keys, wording and routes."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing
from stream.server.app import Server
from stream.server.endpoints import Endpoints
from stream.server.running import running
from stream.server.streams.tcp_connection import TcpConnection
from tests.clients import recording
from tests.protocols.toys import REGISTRY, LineProtocol, MeetingProtocol, TickerProtocol, ToyConfig
from tests.server.serving import WAIT_S, get, metric, until, url
from tests.server.test_load_watch import at_the_top

SAID = list(recording.BURSTS)


@asynccontextmanager
async def serving_toys(**settings: Any) -> AsyncIterator[Server]:
    """Run a server that has the toys in its registry; in the end nothing of them may be left."""
    config = ToyConfig(port=0, vad="webrtc", **settings)
    async with running(config, recording.transcriber, REGISTRY) as server:
        yield server
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert server.state.engine
        assert not server.state.engine._jobs
        assert not server.state.engine._owed
        assert server.state.rooms.live == {}


def ticker(server: Server, query: str = "", **options: Any) -> connect:
    return connect(url(server, query, "ticker/stage"), compression=None, **options)


async def all_frames(websocket: ClientConnection) -> list[str | bytes]:
    async with asyncio.timeout(WAIT_S):
        return [frame async for frame in websocket]


async def post(
    server: Server, path: str, body: str, *headers: str, length: int | None = None
) -> tuple[int, str, str]:
    """POST a body, with a length that may be wrong: status, content type, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    lines += [f"Content-Length: {len(body) if length is None else length}", "", body]
    writer.write("\r\n".join(lines).encode())
    content = (await asyncio.wait_for(reader.read(), WAIT_S)).decode()
    writer.close()
    head, _, body = content.partition("\r\n\r\n")
    fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:])
    return int(head.split()[1]), fields["content-type"], body


def test_what_is_at_a_path() -> None:
    endpoints = Endpoints(REGISTRY, ToyConfig())
    found = endpoints.find("/ticker/stage")
    assert found
    assert (found.protocol, found.path_fields) == (TickerProtocol, {"room": "stage"})
    assert endpoints.find("/meeting")
    for path in ("/ticker", "/ticker/stage/left", "/meeting/", "/"):
        assert endpoints.find(path) is None
    assert endpoints.ports == []


def test_a_port_of_its_own() -> None:
    config = ToyConfig(ticker_port=4000, line_port=5000, line_settings="keyterms=Ada")
    one, two = Endpoints(REGISTRY, config).ports
    assert (one.protocol, one.number, one.option) == (TickerProtocol, 4000, "--ticker-port")
    assert (two.protocol, two.number, two.query) == (LineProtocol, 5000, {"keyterms": ["Ada"]})
    assert one.find("/") == (TickerProtocol, {})
    assert one.find("/ticker/stage") is None


def test_settings_of_a_port_are_checked_when_the_server_is_made() -> None:
    with pytest.raises(UsageError, match=r"line_settings.*colour"):
        Server(ToyConfig(line_settings="colour=red"), REGISTRY)


async def test_a_protocol_is_a_row() -> None:
    async with serving_toys() as server, ticker(server) as websocket:
        await websocket.send(b"A" + recording.pcm())
        await websocket.send("stop")
        frames = await all_frames(websocket)
        assert frames[0] == "hello"
        finals = [frame for frame in frames if isinstance(frame, bytes)]
        assert [frame[4:].decode().strip() for frame in finals] == SAID
        assert all(struct.unpack(">I", frame[:4])[0] > 0 for frame in finals)
        assert websocket.close_code == 1000
        found = server.state.rooms.find("stage")
        assert found
        assert [line.text for line in found.finals] == SAID
        assert await metric(server, "distil_stream_final_latency_seconds_count") == len(SAID)


async def test_its_errors_and_close_codes_are_its_own() -> None:
    async with serving_toys() as server:
        async with ticker(server) as websocket:
            await websocket.send("go")
            frames = await all_frames_closed(websocket)
            assert frames == ["oops malformed: 'go' is not a word of the ticker."]
            assert (websocket.close_code, websocket.close_reason) == (3007, "oops-malformed")
        name = 'distil_stream_sessions_closed_total{close_code="3007"}'
        assert await metric(server, name) == 1


async def all_frames_closed(websocket: ClientConnection) -> list[str | bytes]:
    """Receive until the connection is closed with an error."""
    frames: list[str | bytes] = []
    with suppress(ConnectionClosed):
        async with asyncio.timeout(WAIT_S):
            while True:
                frames.append(await websocket.recv())
    return frames


async def test_the_close_codes_of_the_server_are_translated() -> None:
    async with serving_toys(idle_s=0.2) as server, ticker(server) as websocket:
        await asyncio.wait_for(websocket.wait_closed(), WAIT_S)
        assert websocket.close_code == 3008
    async with serving_toys() as server, ticker(server) as websocket:
        await until(lambda: len(server.state.streams) == 1)
        (stream,) = server.state.streams
        stream.cut(Closing(CloseCode.GOING_AWAY, "away"))
        await asyncio.wait_for(websocket.wait_closed(), WAIT_S)
        assert (websocket.close_code, websocket.close_reason) == (3001, "away")


@pytest.mark.parametrize(
    ("query", "options", "accepted"),
    [
        ("", {}, False),
        ("ticker_key=secret", {}, True),
        ("ticker_key=Secret", {}, False),
        ("token=secret", {}, False),
        ("", {"additional_headers": {"X-Ticker-Key": "secret"}}, True),
        ("", {"additional_headers": {"Authorization": "Ticker secret"}}, True),
        ("", {"additional_headers": {"Authorization": "Bearer secret"}}, False),
        ("", {"subprotocols": ["ticker-key", "secret"]}, True),
        ("", {"subprotocols": ["ticker", "ticker.secret"]}, True),
        ("", {"subprotocols": ["ticker", "secret"]}, False),
    ],
)
async def test_the_key_is_shown_as_the_protocol_declares(
    query: str, options: dict[str, Any], accepted: bool
) -> None:
    async with serving_toys(api_key="secret") as server:
        if accepted:
            async with ticker(server, query, **options) as websocket:
                offered = options.get("subprotocols", [None])
                assert websocket.subprotocol == offered[0]
                await websocket.send("stop")
                await websocket.wait_closed()
                assert websocket.close_code == 1000
            return
        with pytest.raises(InvalidStatus) as refused:
            await ticker(server, query, **options)
        response = refused.value.response
        assert response.status_code == 401
        assert response.headers["Content-Type"] == "application/json"
        assert response.headers["X-Oops"] == "Unauthorized"
        assert response.body
        assert json.loads(response.body)["oops"] == "not_authorised"


async def test_every_refusal_has_the_form_of_the_protocol() -> None:
    async with serving_toys() as server:
        with pytest.raises(InvalidStatus) as foreign:
            await ticker(server, origin="http://evil.example")
        at_the_top(server)
        with pytest.raises(InvalidStatus) as busy:
            await ticker(server)
    codes = [json.loads(each.value.response.body or b"")["oops"] for each in (foreign, busy)]
    assert codes == ["origin_not_allowed", "too_busy"]
    assert busy.value.response.headers["Retry-After"]


async def test_a_port_on_which_a_websocket_is_alone() -> None:
    async with serving_toys(ticker_port=0) as server:
        address = f"127.0.0.1:{server.own_port('--ticker-port')}"
        async with connect(f"ws://{address}/?room=stage", compression=None) as websocket:
            await websocket.send(b"A" + recording.pcm())
            await websocket.send("stop")
            frames = await all_frames(websocket)
        assert [f[4:].decode().strip() for f in frames if isinstance(f, bytes)] == SAID
        for path in ("v1/stream", "ticker/stage"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{address}/{path}")
            assert refused.value.response.status_code == 404


async def test_a_transport_without_a_websocket() -> None:
    async with serving_toys(line_port=0) as server:
        port = server.own_port("--line-port")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(recording.pcm())
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), WAIT_S)
        writer.close()
        assert answer.decode().splitlines() == SAID


async def test_a_client_without_a_websocket_that_reads_too_slowly_is_closed() -> None:
    async with serving_toys(line_port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.own_port("--line-port"))
        await until(lambda: len(server.state.streams) == 1)
        (stream,) = server.state.streams
        assert isinstance(stream, TcpConnection)
        stream.outbox.limit = 0
        writer.write(recording.pcm())
        with suppress(ConnectionResetError):  # the server has not read all of the audio
            assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        await server.state.streams.closed()
        writer.close()
        name = 'distil_stream_sessions_closed_total{close_code="1013"}'
        assert await metric(server, name) == 1


async def test_a_client_without_a_websocket_is_cut_off_when_the_server_closes() -> None:
    async with serving_toys(line_port=0) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.own_port("--line-port"))
        writer.write(recording.pcm()[:32_000])
        await until(lambda: len(server.state.streams) == 1)
        await server.close()
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()


async def test_a_busy_server_accepts_only_what_may_resume_a_parked_stream() -> None:
    async with serving_toys() as server:
        async with connect(url(server), compression=None) as lost:
            await lost.send('{"type":"start"}')
            await lost.recv()
            lost.transport.abort()
        await until(lambda: len(server.state.streams.parked) == 1)
        at_the_top(server)
        with pytest.raises(InvalidStatus):
            await ticker(server)
        async with connect(url(server), compression=None) as websocket:
            await websocket.send('{"type":"end"}')
            await all_frames(websocket)


async def test_a_refusal_without_a_websocket() -> None:
    async with serving_toys(line_port=0) as server:
        at_the_top(server)
        port = server.own_port("--line-port")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        assert (await asyncio.wait_for(reader.read(), WAIT_S)).startswith(
            b"The server is too busy;"
        )
        writer.close()


@pytest.mark.parametrize("key", [None, "secret"])
async def test_several_sessions_in_a_socket(key: str | None) -> None:
    async with serving_toys(api_key=key) as server:
        async with connect(url(server, path="meeting"), compression=None) as websocket:
            if key:
                await websocket.send(json.dumps({"key": key}))
            for name in ("Ada", "Bob"):
                await websocket.send(json.dumps({"join": name}))
                await websocket.send(name.encode() + b"\0" + recording.pcm())
            await websocket.send('{"leave":"Ada"}')
            messages: list[dict[str, Any]] = []
            while {"name": "Ada", "left": True} not in messages:
                messages.append(json.loads(await asyncio.wait_for(websocket.recv(), WAIT_S)))
            room = server.state.rooms.live["meeting"]
            await until(lambda: room.speakers == ("Bob",))
            await websocket.send('{"over":true}')
            messages += [json.loads(frame) for frame in await all_frames(websocket)]
        for name in ("Ada", "Bob"):
            lines = [m["text"].strip() for m in messages if m["name"] == name and "text" in m]
            assert lines == SAID
            assert [line.text for line in room.finals if line.speaker == name] == SAID


async def test_a_wrong_key_in_the_first_message() -> None:
    async with (
        serving_toys(api_key="secret") as server,
        connect(url(server, path="meeting"), compression=None) as websocket,
    ):
        await websocket.send('{"join":"Ada"}')
        frames = await all_frames_closed(websocket)
        assert frames == ['{"error": "not_authorised", "fatal": true}']
        assert websocket.close_code == 1008


async def test_routes_beside_a_protocol() -> None:
    async with serving_toys(api_key="secret") as server:
        path, shown = "/ticker/stage/describe", "X-Ticker-Key: secret"
        status, kind, body = await post(server, path, '{"a":1}', shown)
        assert (status, kind) == (200, "application/json")
        assert json.loads(body) == {"model": "scripted", "room": "stage", "asked": {"a": 1}}
        status, kind, body = await post(server, path, "{", shown)
        assert (status, json.loads(body)["oops"]) == (400, "malformed")
        status, kind, body = await post(server, path, "{}")
        assert (status, json.loads(body)["oops"]) == (401, "not_authorised")
        origin = "Origin: http://evil.example"
        status, kind, body = await post(server, path, "{}", shown, origin)
        assert (status, json.loads(body)["oops"]) == (403, "origin_not_allowed")
        status, _, _ = await post(server, path, "", shown, length=2 << 20)
        assert status == 413
        # A plain request at the path of a stream gets what its handshake would.
        assert (await get(server, "/ticker/stage", shown))[0] == 426
        assert (await get(server, "/ticker/stage"))[0] == 401


async def test_the_other_protocols_are_not_changed() -> None:
    async with serving_toys() as server:
        async with connect(url(server), compression=None) as websocket:
            await websocket.send('{"type":"end"}')
            frames = await all_frames(websocket)
        assert [json.loads(frame)["type"] for frame in frames] == ["ready", "progress", "ended"]


def test_a_server_without_the_rows_has_no_toys() -> None:
    endpoints = Endpoints({"native": REGISTRY["native"]}, ServerConfig())
    assert endpoints.find("/ticker/stage") is None
    assert MeetingProtocol not in endpoints.protocols


PATHS = ("v1/stream", "v1/twilio", "ticker/stage", "v1/rooms/stage/events")


@pytest.mark.parametrize("path", PATHS)
async def test_clients_without_a_key_use_no_slot(path: str) -> None:
    async with serving_toys(api_key="secret", max_sessions=1) as server:
        for _ in range(3):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url(server, path=path), compression=None)
            assert refused.value.response.status_code == 401
            assert "realm=" in refused.value.response.headers["WWW-Authenticate"]
        assert len(server.state.streams) == 0
        query = "ticker_key=secret" if path.startswith("ticker") else "token=secret"
        async with connect(url(server, query, path), compression=None):
            pass
