"""How a server refuses the clients of each protocol before the handshake, and serves slow ones."""

import asyncio
import json
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from stream.protocols.declarations import Transport
from stream.protocols.protocol_table import PROTOCOLS
from stream.server.app import Server
from tests.clients import recording
from tests.protocols.conversations import CONVERSATIONS, kind_of
from tests.server.serving import WAIT_S, client, receive, serving, until

WEBSOCKETS = [name for name in PROTOCOLS if kind_of(name).transport is Transport.WEBSOCKET]
OWN_PORTS = {"whisperlive_port": 0, "vosk_port": 0}


def url(server: Server, name: str, query: str = "") -> str:
    kind = kind_of(name)
    query = "&".join(part for part in (CONVERSATIONS[name]().query, query) if part)
    if kind.own_port is None:
        return f"ws://127.0.0.1:{server.door.port}{kind.paths[0]}?{query}"
    option = f"--{kind.own_port.port_setting.replace('_', '-')}"
    return f"ws://127.0.0.1:{server.own_port(option)}/?{query}"


def dial(server: Server, name: str, query: str = "", **options: Any) -> connect:
    return connect(url(server, name, query), compression=None, **options)


@pytest.mark.parametrize("name", WEBSOCKETS)
async def test_a_full_server_says_when_to_come_back(name: str) -> None:
    async with serving(max_sessions=1, **OWN_PORTS) as server, client(server) as first:
        await first.send('{"type":"start"}')
        await receive(first, "ready")
        with pytest.raises(InvalidStatus) as refused:
            async with dial(server, name):
                pass
    response = refused.value.response
    assert response.status_code == (429 if name.startswith("deepgram") else 503)
    assert int(response.headers["Retry-After"]) > 0
    assert b"full" in response.body


BODIES = {
    "deepgram": ("err_code", "TOO_MANY_REQUESTS"),
    "deepgram-flux": ("err_code", "TOO_MANY_REQUESTS"),
    "openai-realtime": ("error", "full"),
    "assemblyai": ("error", "full"),
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_refusal_has_the_form_of_the_vendor(name: str) -> None:
    async with serving(max_sessions=1) as server, client(server) as first:
        await first.send('{"type":"start"}')
        await receive(first, "ready")
        with pytest.raises(InvalidStatus) as refused:
            async with dial(server, name):
                pass
    field, content = BODIES[name]
    assert content in str(json.loads(refused.value.response.body)[field])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deepgram", {"additional_headers": {"Authorization": "Token KEY"}}),
        ("deepgram", {"subprotocols": ["token", "KEY"]}),
        ("deepgram-flux", {"additional_headers": {"Authorization": "Bearer KEY"}}),
        ("openai-realtime", {"additional_headers": {"Authorization": "Bearer KEY"}}),
        ("openai-realtime", {"subprotocols": ["realtime", "openai-insecure-api-key.KEY"]}),
        ("assemblyai", {"additional_headers": {"Authorization": "KEY"}}),
        ("assemblyai", {"query": "token=KEY"}),
        ("whisperlive", {"subprotocols": ["bearer", "KEY"]}),
        ("whisperlive", {"query": "token=KEY"}),
        ("vosk", {"query": "token=KEY"}),
        ("genesys", {"additional_headers": {"X-API-KEY": "KEY"}}),
        ("audiocodes", {"additional_headers": {"Authorization": "Bearer KEY"}}),
        *((name, {"query": "token=KEY"}) for name in ("telnyx", "plivo", "exotel", "vonage")),
        ("jitsi", {"query": "token=KEY"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("right", [True, False])
async def test_the_key_is_where_the_vendor_puts_it(
    name: str, options: dict[str, Any], right: bool
) -> None:
    async with serving(api_key="KEY" if right else "OTHER", **OWN_PORTS) as server:
        if right:
            async with dial(server, name, **options):
                return
        with pytest.raises(InvalidStatus) as refused:
            async with dial(server, name, **options):
                pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("name", WEBSOCKETS)
async def test_a_client_that_reads_nothing_until_the_end_is_served(name: str) -> None:
    conversation = CONVERSATIONS[name]()
    async with serving(recording.transcriber(), vad="webrtc", **OWN_PORTS) as server:
        async with dial(server, name, max_queue=1) as websocket:
            for frame in (*conversation.begin, *conversation.audio, *conversation.end):
                await websocket.send(frame)
            await until(lambda: all(s.protocol.pending_s == 0 for s in server.state.streams))
            if conversation.closes:
                async with asyncio.timeout(WAIT_S):
                    async for _ in websocket:
                        pass
                assert websocket.close_code == 1000
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)


@pytest.mark.parametrize("name", WEBSOCKETS)
async def test_a_client_that_is_killed_leaves_nothing_behind(name: str) -> None:
    conversation = CONVERSATIONS[name]()
    settings: dict[str, Any] = {**OWN_PORTS, "resume_s": 0}
    async with serving(recording.transcriber(), vad="webrtc", **settings) as server:
        async with dial(server, name) as websocket:
            half = len(conversation.audio) // 2
            for frame in (*conversation.begin, *conversation.audio[:half]):
                await websocket.send(frame)
            await until(lambda: len(server.state.streams) > 0)
            websocket.transport.abort()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
