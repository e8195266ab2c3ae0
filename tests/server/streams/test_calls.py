"""Calls through real sockets, and streams whose captions others read."""

import asyncio
import json
from urllib.parse import urlsplit

import pytest
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator
from websockets.exceptions import InvalidStatus

from stream.errors import UsageError
from stream.server.app import Server
from tests.clients import recording
from tests.protocols.calls import UUID, TwilioCall, mulaw
from tests.protocols.test_audiosocket import HANG_UP, HELLO, frame
from tests.server.serving import WAIT_S, client, metric, receive, serving, until, url
from tests.server.test_load_watch import at_the_top

SAID = list(recording.BURSTS)


def texts(server: Server, room: str, speaker: str = "Caller") -> list[str]:
    found = server.state.rooms.find(room)
    assert found
    return [line.text for line in found.finals if line.speaker == speaker]


def heard_s(server: Server) -> float:
    """Seconds of audio that have come in all calls."""
    return sum(call.protocol.counts.audio_s for call in server.state.streams)


def phone_audio() -> bytes:
    return mulaw(recording.samples(8_000)[:, 0])


async def dial(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.own_port("--audiosocket-port"))


def slin_frames() -> list[bytes]:
    pcm = recording.pcm(8_000)
    return [frame(0x10, pcm[at : at + 320]) for at in range(0, len(pcm), 320)]


async def test_a_call_from_twilio() -> None:
    async with serving(recording.transcriber()) as server:
        async with client(server, path="v1/twilio") as websocket:
            for message in TwilioCall(("inbound", "outbound")).messages(phone_audio()):
                await websocket.send(message)
            await websocket.wait_closed()
        assert websocket.close_code == 1000
        assert texts(server, "CA123") == texts(server, "CA123", "Agent") == SAID


async def test_a_call_that_twilio_ends_abruptly_gets_its_finals() -> None:
    async with serving(recording.transcriber()) as server:
        websocket = await client(server, path="v1/twilio")
        *messages, _ = TwilioCall().messages(phone_audio())
        for message in messages:
            await websocket.send(message)
        await websocket.close()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert texts(server, "CA123") == SAID


async def test_silence_in_place_of_what_was_lost_is_counted() -> None:
    async with serving(recording.transcriber()) as server:
        async with client(server, path="v1/twilio") as websocket:
            messages = TwilioCall().messages(phone_audio())
            for message in messages[:40] + messages[42:]:
                await websocket.send(message)
            await websocket.wait_closed()
        name = 'distil_stream_call_audio_seconds_total{kind="filled"}'
        assert await metric(server, name) == pytest.approx(0.04)


@pytest.mark.parametrize("token", ["12345", "another"])
async def test_with_a_token_only_twilio_can_call(token: str) -> None:
    async with serving(recording.transcriber(), twilio_auth_token="12345", api_key="k") as server:
        shown = RequestValidator(token).compute_signature(
            f"wss://{urlsplit(url(server)).netloc}/v1/twilio", {}
        )
        headers = {"X-Twilio-Signature": shown}
        attempt = client(server, path="v1/twilio", additional_headers=headers)
        if token == "another":
            with pytest.raises(InvalidStatus) as refused:
                await attempt
            assert refused.value.response.status_code == 401
            assert b"--public-url" in refused.value.response.body
            return
        async with attempt as websocket:
            for message in TwilioCall().messages(phone_audio()):
                await websocket.send(message)
            await websocket.wait_closed()
        assert websocket.close_code == 1000


@pytest.mark.slow
async def test_an_invalid_setting_is_the_close_reason() -> None:
    async with serving() as server:
        async with client(server, path="v1/twilio") as websocket:
            call = TwilioCall(language="xx")
            await websocket.send(call.start())
            await websocket.wait_closed()
        assert websocket.close_code == 4001
        assert "language" in websocket.close_reason


async def test_a_call_from_asterisk() -> None:
    async with serving(recording.transcriber(), audiosocket_port=0) as server:
        reader, writer = await dial(server)
        writer.write(HELLO + b"".join(slin_frames()) + HANG_UP)
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert texts(server, UUID) == SAID


async def test_a_busy_server_refuses_calls() -> None:
    async with serving(recording.transcriber(), audiosocket_port=0) as server:
        at_the_top(server)
        reader, writer = await dial(server)
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()


async def test_a_call_that_asterisk_ends_abruptly_gets_its_finals() -> None:
    async with serving(recording.transcriber(), audiosocket_port=0) as server:
        _, writer = await dial(server)
        writer.write(HELLO + b"".join(slin_frames()))
        await writer.drain()
        writer.close()
        await until(lambda: UUID in server.state.rooms.live)
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert texts(server, UUID) == SAID


async def test_draining_ends_a_call_that_is_silent() -> None:
    async with serving(recording.transcriber(), audiosocket_port=0) as server:
        reader, writer = await dial(server)
        writer.write(HELLO + b"".join(slin_frames()[:150]))
        await until(lambda: heard_s(server) >= 3.0)
        await server.drain()
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()
        assert texts(server, UUID) == SAID[:1]


async def test_a_client_of_another_protocol_is_disconnected() -> None:
    async with serving(audiosocket_port=0) as server:
        reader, writer = await dial(server)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + bytes(70_000))
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()


async def test_a_full_server_refuses_calls() -> None:
    async with serving(audiosocket_port=0, max_sessions=1) as server, client(server) as first:
        await first.send('{"type":"start"}')
        await receive(first, "ready")
        reader, writer = await dial(server)
        assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
        writer.close()


async def test_settings_of_calls_are_checked_when_the_server_starts() -> None:
    with pytest.raises(UsageError, match="audiosocket_settings"):
        async with serving(audiosocket_port=0, audiosocket_settings="langage=de"):
            pass


async def test_a_port_for_calls_that_is_taken() -> None:
    async with serving(audiosocket_port=0) as server:
        port = server.own_port("--audiosocket-port")
        with pytest.raises(UsageError, match="--audiosocket-port"):
            async with serving(audiosocket_port=port):
                pass


async def test_speakers_of_native_streams_share_a_room() -> None:
    async with serving(recording.transcriber()) as server:
        for speaker in ("Ada", "Grace"):
            async with client(server) as websocket:
                start = {"type": "start", "room": "standup", "speakers": [speaker]}
                await websocket.send(json.dumps(start))
                await websocket.send(recording.pcm())
                await websocket.send('{"type":"end"}')
                await receive(websocket)
        assert texts(server, "standup", "Ada") == texts(server, "standup", "Grace") == SAID
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert server.state.rooms.live == {}


async def test_a_vanished_stream_leaves_its_words_in_the_room() -> None:
    async with serving(recording.transcriber(), resume_s=0) as server:
        async with client(server, "room=standup") as websocket:
            await websocket.send(recording.pcm())
            await receive(websocket, "partial")
            websocket.transport.abort()
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert texts(server, "standup", "Speaker 1") == SAID


async def test_a_resumed_stream_continues_in_the_room() -> None:
    async with serving(recording.transcriber()) as server:
        pcm = recording.pcm()
        async with client(server, "room=standup&speakers=Ada") as websocket:
            await websocket.send(pcm[: len(pcm) // 2])
            (ready,) = await receive(websocket, "ready")
            await receive(websocket, "final")
            websocket.transport.abort()
        await until(lambda: len(server.state.streams.parked) == 1)
        assert server.state.rooms.live["standup"].speakers == ("Ada",)
        async with client(server) as websocket:
            resume = {"session": ready["session"], "token": ready["resume_token"], "seq": 1}
            await websocket.send(json.dumps({"type": "start", "resume": resume}))
            again = (await receive(websocket, "ready"))[-1]
            await websocket.send(pcm[again["received"] * 2 :])
            await websocket.send('{"type":"end"}')
            await receive(websocket)
        await asyncio.wait_for(server.state.streams.closed(), WAIT_S)
        assert texts(server, "standup", "Ada") == SAID
        assert server.state.rooms.live == {}


async def test_a_stream_that_does_not_resume_leaves_the_room() -> None:
    async with serving(recording.transcriber(), resume_s=0.1) as server:
        async with client(server, "room=standup") as websocket:
            await websocket.send(recording.pcm()[: 7 * 16_000])
            await receive(websocket, "final")
            websocket.transport.abort()
        await until(
            lambda: server.state.rooms.find("standup") is not None and not server.state.rooms.live
        )
        assert texts(server, "standup", "Speaker 1") == SAID[:1]


async def test_the_words_of_a_call_reach_the_webhook() -> None:
    received: list[tuple[dict[str, str], bytes]] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head)}
        received.append((headers, await reader.readexactly(int(headers["content-length"]))))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    secret = "whsec_" + "A" * 32
    receiver = await asyncio.start_server(take, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{receiver.sockets[0].getsockname()[1]}/said"
    async with (
        receiver,
        serving(recording.transcriber(), webhook_url=address, webhook_secret=secret) as server,
    ):
        async with client(server, path="v1/twilio") as websocket:
            for message in TwilioCall(ticket="4711").messages(phone_audio()):
                await websocket.send(message)
            await websocket.wait_closed()
        await until(lambda: len(received) == 4)
    messages = [Webhook(secret).verify(body, headers) for headers, body in received]
    assert [message["type"] for message in messages] == [
        "room.live",
        "room.line",
        "room.line",
        "room.ended",
    ]
    assert [message["data"]["text"] for message in messages[1:3]] == SAID
    assert messages[3]["data"]["about"]["ticket"] == "4711"
