"""What is kept of what is said: the rows of docs/privacy.md."""

import asyncio
import json
import logging
import os
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection

from stream.engine.scripted import ScriptedTranscriber, counting
from stream.server.app import Server
from stream.server.keys.key_file import Key, add_key
from tests.server.serving import client, get, pcm, receive, serving, until

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "privacy.md").read_text()
WORD = "Xylophonists"
"""What the model recognises in every window."""


def speaking() -> ScriptedTranscriber:
    return ScriptedTranscriber([replace(word, text=f" {WORD}") for word in counting()])


def speech(seconds: float = 2.0) -> bytes:
    """Something loud."""
    noise = np.random.default_rng(0).normal(0, 0.2, int(seconds * 16_000)).astype(np.float32)
    return pcm(np.concatenate([noise, np.zeros(24_000, np.float32)]))


async def say(websocket: ClientConnection, **start: object) -> str:
    """Speak and end the stream; return all texts."""
    await websocket.send(json.dumps({"type": "start", **start}))
    await websocket.send(speech())
    await websocket.send('{"type":"end"}')
    messages = await receive(websocket)
    return " ".join(message["text"] for message in messages if message["type"] == "final")


def test_each_row_names_a_test_that_there_is() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 9
    assert all("`tests/" in row for row in rows)
    for file, test in named:
        assert re.search(rf"^(async )?def {test}\(", (ROOT / file).read_text(), re.M), test


async def test_audio_and_words_stay_on_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    async with serving(speaking(), vad="webrtc") as server:
        async with client(server) as websocket:
            assert WORD in await say(websocket)
        await until(lambda: not len(server.state.streams))
        assert not len(server.state.streams.parked)
        assert server.state.rooms.listing() == []
    assert os.listdir(tmp_path) == []


async def test_an_upload_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    content = b"RIFF" + bytes(3_000_000)
    async with serving(speaking(), vad="webrtc") as server:
        for body in (content, content[:2_000_000]):  # the second client disconnects
            reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
            head = f"POST /v1/listen HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}"
            writer.write(f"{head}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
            if body is content:
                assert await reader.read()
            writer.close()
            await until(lambda: not len(server.state.uploads))
            assert os.listdir(tmp_path) == []


async def test_the_log_has_no_words_and_no_keys(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "keys.toml"
    key = add_key(file, Key(name="desk"))
    made = ""
    with caplog.at_level(logging.DEBUG, "stream"):
        async with serving(speaking(), vad="webrtc", keys=file) as server:
            made = await a_token(server, key)
            async with client(server, f"token={made}") as websocket:
                start = {"room": "standup", "prompt": "Quarrelled", "keyterms": ["Zanzibar"]}
                assert WORD in await say(websocket, **start)
            shown = f"Authorization: Bearer {key}"
            _, _, body = await get(server, "/v1/rooms/standup/transcript.txt", shown)
            assert WORD in body
            await get(server, "/v1/rooms", f"Authorization: Bearer wrong-{key[:8]}")
    assert "opened from" in caplog.text
    assert "a wrong key from 127.0.0.1" in caplog.text
    said = caplog.text + " ".join(str(vars(r)) for r in caplog.records if "stream" in r.name)
    for secret in (WORD, "Quarrelled", "Zanzibar", key, made, key[:8]):
        assert secret not in said


async def a_token(server: Server, key: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.door.port)
    body = b'{"purpose":"stream","room":"standup"}'
    writer.write(
        b"POST /v1/tokens HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        + f"Authorization: Bearer {key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    answer = (await reader.read()).decode()
    writer.close()
    token: str = json.loads(answer.partition("\r\n\r\n")[2])["token"]
    return token


async def test_metrics_have_no_names(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    key = add_key(file, Key(name="frontdesk"))
    async with serving(speaking(), vad="webrtc", keys=file) as server:
        async with client(
            server, additional_headers={"Authorization": f"Bearer {key}"}
        ) as websocket:
            await say(websocket, room="standup", speakers=["Ada"])
        _, _, text = await get(server, "/metrics")
    for name in ("frontdesk", "standup", "Ada", "127.0.0.1", WORD):
        assert name not in text
