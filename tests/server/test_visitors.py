"""Keys, tokens and limits at a real server, over websockets and plain HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from stream.protocols.twilio_signature import sign
from stream.server.app import Server
from stream.server.keys.key_file import Key, add_key, revoke_key
from tests.server import serving as tools
from tests.server.serving import SECOND, client, get, metric, serving, until, url


async def receive(websocket: ClientConnection, *until: str) -> list[dict[str, Any]]:
    """Receive messages until one of these types, or until the connection is closed in any way."""
    messages = []
    with suppress(ConnectionClosedError):
        async with asyncio.timeout(tools.WAIT_S):
            async for frame in websocket:
                messages.append(json.loads(frame))
                if messages[-1]["type"] in until:
                    break
    return messages


async def ask(
    server: Server, method: str, path: str, key: str | None = None, body: object = None, **more: str
) -> tuple[int, dict[str, str], str]:
    """A request over plain HTTP: status, headers (lower case), body."""
    port = server.door.port
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": f"127.0.0.1:{port}", "Connection": "close", **more}
    fields["Content-Length"] = str(len(content))
    if key is not None:
        fields["Authorization"] = f"Bearer {key}"
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + content)
    answer = (await asyncio.wait_for(reader.read(), 20)).decode()
    writer.close()
    head, _, text = answer.partition("\r\n\r\n")
    status, *lines = head.split("\r\n")
    headers = {n.lower(): v for n, v in (line.split(": ", 1) for line in lines)}
    return int(status.split()[1]), headers, text


async def token(server: Server, key: str | None, **asked: Any) -> str:
    status, headers, body = await ask(server, "POST", "/v1/tokens", key, asked)
    assert status == 200, body
    assert headers["cache-control"] == "no-store"
    made: str = json.loads(body)["token"]
    return made


@asynccontextmanager
async def with_keys(
    tmp_path: Path, *keys: Key, **settings: Any
) -> AsyncIterator[tuple[Server, list[str], Path]]:
    """A server with a file of keys: the server, the keys, the file."""
    file = tmp_path / "keys.toml"
    file.touch()
    shown = [add_key(file, key) for key in keys]
    async with serving(keys=file, **settings) as server:
        yield server, shown, file


async def status_of(server: Server, query: str = "", **options: Any) -> tuple[int, dict[str, str]]:
    """The status and the headers with which a websocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with client(server, query, **options):
            pass
    response = refused.value.response
    return response.status_code, {n.lower(): v for n, v in response.headers.raw_items()}


def bearer(key: str) -> dict[str, Any]:
    return {"additional_headers": {"Authorization": f"Bearer {key}"}}


async def speak(server: Server, key: str, **start: Any) -> list[dict[str, Any]]:
    """Open a stream, say two seconds and end it; return the messages."""
    async with client(server, **bearer(key)) as websocket:
        await websocket.send(json.dumps({"type": "start", **start}))
        await websocket.send(bytes(2 * SECOND))
        await websocket.send('{"type":"end"}')
        return await receive(websocket)


async def test_a_wrong_key_is_refused_before_the_handshake(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk")) as (server, (key,), _):
        for options in ({}, bearer("wrong"), bearer(key + "x")):
            status, headers = await status_of(server, **options)
            assert status == 401
            assert headers["www-authenticate"].startswith("Bearer ")
        assert await metric(server, "distil_stream_keys_refused_total") == 2
        assert (await speak(server, key))[-1]["type"] == "ended"


async def test_rights_are_refused_with_403(tmp_path: Path) -> None:
    keys = Key(name="reader", may=()), Key(name="uploader", may=("upload",))
    async with with_keys(tmp_path, *keys) as (server, (reader, uploader), _):
        for key in (reader, uploader):
            assert (await status_of(server, **bearer(key)))[0] == 403
            assert (await ask(server, "GET", "/v1/stream", key))[0] == 403
        status, _, body = await ask(server, "POST", "/v1/audio/transcriptions", reader, {})
        assert (status, json.loads(body)["error"]["code"]) == (403, "insufficient_permissions")
        status, _, body = await ask(server, "POST", "/v1/listen", reader, {})
        assert (status, json.loads(body)["err_code"]) == (403, "INSUFFICIENT_PERMISSIONS")
        assert (await ask(server, "POST", "/v1/listen", uploader, {}))[0] == 400
        assert (await ask(server, "GET", "/v1/models", reader))[0] == 200


async def test_a_key_over_its_limit_of_streams_gets_429(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk", max_streams=1)) as (server, (key,), _):
        async with client(server, **bearer(key)) as first:
            await first.send('{"type":"start"}')
            await receive(first, "ready")
            status, headers = await status_of(server, **bearer(key))
            assert (status, headers["retry-after"].isdigit()) == (429, True)
            status, headers, _ = await ask(server, "GET", "/v1/stream", key)
            assert (status, headers["retry-after"].isdigit()) == (429, True)
            status, headers, body = await ask(server, "GET", "/v1/listen", key)
            assert (status, json.loads(body)["err_code"]) == (429, "TOO_MANY_REQUESTS")
            await first.send('{"type":"end"}')
            await receive(first)
        assert (await speak(server, key))[-1]["type"] == "ended"
        await until(lambda: server.state.visitors.usage.streams["desk"] == 0)


async def test_two_that_come_at_once_do_not_both_get_the_last_place(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk", max_streams=1)) as (server, (key,), _):  # noqa: SIM117
        async with client(server, **bearer(key)) as one, client(server, **bearer(key)) as other:
            await one.send('{"type":"start"}')
            await receive(one, "ready")
            await other.send('{"type":"start"}')
            (error,) = await receive(other)
            assert (error["code"], other.close_code) == ("over_limit", 4004)


async def test_a_stream_whose_socket_is_dead_can_be_resumed_at_the_limit(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk", max_streams=1)) as (server, (key,), _):  # noqa: SIM117
        async with client(server, **bearer(key)) as first:
            await first.send('{"type":"start"}')
            (ready,) = await receive(first, "ready")
            (stream,) = server.state.streams
            stream.protocol.now -= 60  # nothing has come for a minute
            async with client(server, **bearer(key)) as second:
                resume = {"session": ready["session"], "token": ready["resume_token"]}
                await second.send(json.dumps({"type": "start", "resume": resume}))
                assert (await receive(second, "ready"))[-1]["session"] == ready["session"]
                assert server.state.visitors.usage.streams["desk"] == 1
                await second.send('{"type":"end"}')
                await receive(second)


async def test_audio_of_an_hour_ends_a_stream_and_refuses_the_next(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk", audio_s_an_hour=1.5)) as (server, (key,), _):
        async with client(server, **bearer(key)) as websocket:
            await websocket.send('{"type":"start"}')
            await websocket.send(bytes(2 * SECOND))
            messages = await receive(websocket)
        assert (messages[-1]["type"], messages[-1]["code"]) == ("error", "over_limit")
        assert messages[-1]["fatal"]
        assert websocket.close_code == 4004
        status, headers = await status_of(server, **bearer(key))
        assert status == 429
        assert 3000 < int(headers["retry-after"]) <= 3661
        status, _, body = await ask(server, "POST", "/v1/audio/transcriptions", key, {})
        assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")


async def test_a_revoked_key_ends_what_it_opened(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk"), Key(name="other")) as (server, keys, file):  # noqa: SIM117
        async with (
            client(server, **bearer(keys[0])) as mine,
            client(server, **bearer(keys[1])) as theirs,
        ):
            for websocket in (mine, theirs):
                room = "r1" if websocket is mine else "r0"
                await websocket.send(json.dumps({"type": "start", "room": room}))
                await receive(websocket, "ready")
            path = "v1/rooms/r1/events"
            async with client(server, path=path, **bearer(keys[0])) as reader:
                await receive(reader, "room")
                revoke_key(file, "desk")
                messages = await receive(mine)  # within a second, by itself
                assert (messages[-1]["code"], mine.close_code) == ("not_allowed", 4003)
                await receive(reader)
                assert reader.close_code == 1001
            assert (await status_of(server, **bearer(keys[0])))[0] == 401
            await theirs.send('{"type":"end"}')
            assert (await receive(theirs))[-1]["type"] == "ended"


async def test_guessing_from_an_address_is_slowed(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk"), Key(name="new")) as (server, keys, _):
        assert (await ask(server, "GET", "/v1/rooms", keys[0]))[0] == 200
        statuses = [(await ask(server, "GET", "/v1/rooms", f"guess-{n}"))[0] for n in range(12)]
        assert statuses == [401] * 10 + [429] * 2
        status, headers = await status_of(server, **bearer("another"))
        assert (status, headers["retry-after"].isdigit()) == (429, True)
        assert (await ask(server, "GET", "/v1/rooms", keys[1]))[0] == 429
        assert (await ask(server, "GET", "/v1/rooms", keys[0]))[0] == 200
        assert (await ask(server, "GET", "/v1/rooms"))[0] == 401  # no key is no guess


async def test_a_token_carries_a_stream_into_one_room(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk")) as (server, (key,), _):
        made = await token(server, key, purpose="stream", room="standup", speakers=["Ada"])
        start = {"type": "start", "room": "standup"}
        for options, query in (
            ({}, f"token={made}"),
            ({"subprotocols": ["stream.v1", f"token.{made}"]}, ""),
            (bearer(made), ""),
        ):
            async with client(server, query, **options) as websocket:
                assert websocket.subprotocol in (None, "stream.v1")
                await websocket.send(json.dumps(start))
                await receive(websocket, "ready")
                assert server.state.rooms.live["standup"].speakers == ("Ada",)
                assert server.state.rooms.live["standup"].owner == "desk"
        for wrong in (
            {"room": "other"},
            {},
            {"room": "standup", "speakers": ["Grace"]},
        ):
            async with client(server, f"token={made}") as websocket:
                await websocket.send(json.dumps({"type": "start", **wrong}))
                (error,) = await receive(websocket)
                assert (error["code"], websocket.close_code) == ("not_allowed", 4003)
        assert (await ask(server, "GET", "/v1/rooms/standup/transcript.txt", made))[0] == 403
        assert json.loads((await ask(server, "GET", "/v1/rooms", made))[2]) == {"rooms": []}
        assert (await ask(server, "POST", "/v1/audio/transcriptions", made, {}))[0] == 403
        assert (await ask(server, "DELETE", "/v1/rooms/standup", made))[0] == 403
        asked = {"purpose": "stream"}
        assert (await ask(server, "POST", "/v1/tokens", made, asked))[0] == 403


async def test_a_token_reads_one_room(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk")) as (server, (key,), _):
        await speak(server, key, room="standup")
        await speak(server, key, room="other")
        made = await token(server, key, purpose="read", room="standup", seconds=1)
        text = "/v1/rooms/{}/transcript.txt?token={}"
        assert (await get(server, text.format("standup", made)))[0] == 200
        assert (await get(server, text.format("other", made)))[0] == 403
        assert (await status_of(server, f"token={made}"))[0] == 403
        async with client(
            server, path="v1/rooms/standup/events", subprotocols=["stream.v1", f"token.{made}"]
        ) as reader:
            assert reader.subprotocol == "stream.v1"
            await receive(reader, "room")
        listed = json.loads((await ask(server, "GET", "/v1/rooms", made))[2])["rooms"]
        assert [room["room"] for room in listed] == ["standup"]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"purpose": "stream", "seconds": 0}, 400),
        ({"purpose": "stream", "seconds": 3601}, 400),
        ({"purpose": "stream", "seconds": 3600}, 200),
        ({"purpose": "stream", "seconds": 1}, 200),
        ({"purpose": "stream", "seconds": 1.5}, 400),
        ({"purpose": "record"}, 400),
        ({"purpose": "read"}, 400),
        ({"purpose": "read", "room": "../x"}, 400),
        ({"purpose": "read", "room": "desk-1"}, 200),
        ({"purpose": "read", "room": "hall"}, 403),
        ({"purpose": "stream", "room": "hall"}, 403),
        ({"purpose": "stream", "room": "desk-1", "speakers": ["Ada"]}, 200),
        ({"purpose": "stream", "room": "desk-1", "speakers": ["Grace"]}, 403),
        ({"purpose": "stream", "room": "desk-1", "speakers": ["\u202e"]}, 400),
        ({"purpose": "stream", "speakers": ["Ada"]}, 400),
        ({"purpose": "stream", "extra": 1}, 400),
        ([], 400),
        (None, 400),
    ],
)
async def test_what_tokens_can_be_made(tmp_path: Path, asked: object, status: int) -> None:
    key = Key(name="desk", open_rooms=("desk-*",), labels=("Ada",))
    async with with_keys(tmp_path, key) as (server, (shown,), _):
        assert (await ask(server, "POST", "/v1/tokens", shown, asked))[0] == status
        if status == 200:
            assert (await ask(server, "POST", "/v1/tokens", None, asked))[0] == 401
            assert (await ask(server, "POST", "/v1/tokens", "wrong", asked))[0] == 401


async def test_tokens_of_a_server_without_keys() -> None:
    async with serving() as server:
        made = await token(server, None, purpose="stream")
        async with client(server, f"token={made}") as websocket:
            await websocket.send('{"type":"end"}')
            assert (await receive(websocket))[-1]["type"] == "ended"


async def test_rooms_belong_to_the_key_that_opened_them(tmp_path: Path) -> None:
    keys = (
        Key(name="desk"),
        Key(name="other"),
        Key(name="listener", may=(), read_rooms=("stand*",)),
        Key(name="guest", speak_in=("standup",), labels=("Guest *",)),
        Key(name="admin", may=("administer",)),
    )
    async with with_keys(tmp_path, *keys) as (server, shown, _):
        desk, other, listener, guest, admin = shown
        assert (await speak(server, desk, room="standup"))[-1]["type"] == "ended"
        assert (await speak(server, other, room="standup"))[-1]["code"] == "not_allowed"
        said = await speak(server, guest, room="standup", speakers=["Ada"])
        assert said[-1]["code"] == "not_allowed"
        said = await speak(server, guest, room="standup", speakers=["Guest 1"])
        assert said[-1]["type"] == "ended"
        path = "/v1/rooms/standup/transcript.json"
        statuses = [(await ask(server, "GET", path, key))[0] for key in shown]
        assert statuses == [200, 403, 200, 403, 200]
        for key, names in zip(shown, (["standup"], [], ["standup"], [], ["standup"]), strict=True):
            listed = json.loads((await ask(server, "GET", "/v1/rooms", key))[2])["rooms"]
            assert [room["room"] for room in listed] == names
        for key in (other, listener, guest):
            assert (await ask(server, "DELETE", "/v1/rooms/standup", key))[0] == 403
            changes = {"name": "mine"}
            assert (await ask(server, "PATCH", "/v1/rooms/standup", key, changes))[0] == 403
        assert (await ask(server, "DELETE", "/v1/rooms/standup"))[0] == 401
        assert (await ask(server, "DELETE", "/v1/rooms/nothing", desk))[0] == 404
        assert (await ask(server, "DELETE", "/v1/rooms/standup", desk))[0] == 204
        assert (await ask(server, "GET", path, admin))[0] == 404
        assert (await speak(server, other, room="standup"))[-1]["type"] == "ended"
        assert (await ask(server, "DELETE", "/v1/rooms/standup", admin))[0] == 204


async def test_who_waits_for_a_room_does_not_get_somebody_elses(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk"), Key(name="other")) as (server, keys, _):
        path = "v1/rooms/standup/events"
        async with client(server, path=path, **bearer(keys[1])) as waiting:
            assert (await receive(waiting, "room"))[0]["opened_at"] is None
            await speak(server, keys[0], room="standup")
            assert await receive(waiting) == []
            assert waiting.close_code == 1001


async def test_renaming(tmp_path: Path) -> None:
    key = Key(name="desk", open_rooms=("a", "b", "c"))
    async with with_keys(tmp_path, key) as (server, (shown,), _):
        await speak(server, shown, room="a")
        await speak(server, shown, room="b")
        for name, status in (("b", 409), ("../c", 400), ("d", 403), (3, 400), ("c", 204)):
            assert (await ask(server, "PATCH", "/v1/rooms/a", shown, {"name": name}))[0] == status
        assert (await ask(server, "GET", "/v1/rooms/a/transcript.txt", shown))[0] == 404
        assert (await ask(server, "GET", "/v1/rooms/c/transcript.txt", shown))[0] == 200
        async with client(server, "room=c", **bearer(shown)) as websocket:
            await websocket.send('{"type":"start"}')
            await receive(websocket, "ready")
            assert (await ask(server, "PATCH", "/v1/rooms/c", shown, {"name": "a"}))[0] == 409


async def test_a_live_room_is_deleted_and_its_stream_goes_on(tmp_path: Path) -> None:
    async with with_keys(tmp_path, Key(name="desk")) as (server, (key,), _):
        async with client(server, "room=standup", **bearer(key)) as websocket:
            await websocket.send(bytes(SECOND))
            await receive(websocket, "ready")
            path = "v1/rooms/standup/events"
            async with client(server, path=path, **bearer(key)) as reader:
                await receive(reader, "room")
                assert (await ask(server, "DELETE", "/v1/rooms/standup", key))[0] == 204
                await receive(reader)
            await websocket.send(bytes(SECOND))
            await websocket.send('{"type":"end"}')
            assert (await receive(websocket))[-1]["type"] == "ended"
        assert (await ask(server, "GET", "/v1/rooms/standup/transcript.txt", key))[0] == 404


async def test_a_signature_replaces_the_key() -> None:
    async with serving(api_key="k", twilio_auth_token="12345") as server:
        path = "v1/twilio"
        assert (await status_of(server, "token=k", path=path))[0] == 401
        signature = sign("12345", url(server, path=path).replace("ws:", "wss:"))
        signed = {"additional_headers": {"X-Twilio-Signature": signature}}
        async with client(server, path=path, **signed):
            pass
        assert (await status_of(server, "x=1", path=path, **signed))[0] == 401
    async with serving(api_key="k") as server, client(server, "token=k", path=path):
        pass


async def test_the_audit_log_says_who_did_what_and_never_what_was_said(tmp_path: Path) -> None:
    log = tmp_path / "audit.jsonl"
    async with with_keys(tmp_path, Key(name="desk"), audit_file=log) as (server, (key,), _):
        await speak(server, key, room="standup")
        await until(lambda: "end_stream" in log.read_text())
        for _ in range(3):
            await ask(server, "GET", "/v1/rooms/standup/transcript.txt", key)
        await ask(server, "GET", "/v1/rooms", key)
        await ask(server, "GET", "/v1/rooms", "wrong")
        made = await token(server, key, purpose="read", room="standup")
        log.rename(tmp_path / "audit.1")  # as logrotate does
        await ask(server, "PATCH", "/v1/rooms/standup", key, {"name": "other"})
        await ask(server, "DELETE", "/v1/rooms/other", key)
    entries = [json.loads(line) for line in (tmp_path / "audit.1").read_text().splitlines()]
    entries += [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["action"] for entry in entries] == [
        "join_room", "open_stream", "end_stream", "read_room", "list_rooms", "refuse",
        "make_token", "rename_room", "delete_room",
    ]  # fmt: skip
    assert {entry["client"] for entry in entries} == {"127.0.0.1"}
    assert {entry["key"] for entry in entries} == {"desk", ""}
    assert entries[0]["room"] == "standup"
    assert entries[0]["session"] == entries[1]["session"] == entries[2]["session"]
    assert entries[2]["audio_s"] == 2.0
    text = (tmp_path / "audit.1").read_text() + log.read_text()
    for secret in (key, made, "wrong", "one"):
        assert secret not in text
    assert (log.stat().st_mode & 0o777) in (0o600, 0o644)
