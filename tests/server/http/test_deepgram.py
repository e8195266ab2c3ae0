"""Recordings in Deepgram's format, over HTTP."""

import hashlib
import io
import json
from typing import Any

import httpx2 as httpx
import numpy as np
import pytest
import soundfile

from stream.core.audio import SAMPLE_RATE
from stream.server.app import Server
from tests.clients import recording
from tests.protocols.calls import mulaw
from tests.server.serving import WAIT_S, serving

SAID = " ".join(recording.BURSTS)


def wav() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, recording.samples(), SAMPLE_RATE, format="WAV")
    return file.getvalue()


async def post(server: Server, query: str, body: bytes, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=WAIT_S) as client:
        return await client.post(
            f"{server.address}v1/listen?{query}", content=body, headers=headers
        )


def alternative(response: httpx.Response) -> Any:
    assert response.status_code == 200, response.text
    return response.json()["results"]["channels"][0]["alternatives"][0]


async def test_a_recording() -> None:
    async with serving(recording.transcriber(), vad="webrtc") as server:
        query = "model=nova-3&smart_format=true&utterances=true&diarize=true"
        response = await post(server, query, wav())
        found = alternative(response)
        assert found["transcript"] == SAID
        assert found["words"][0]["punctuated_word"] == "one"
        assert found["words"][0]["start"] == pytest.approx(0.5, abs=0.01)
        body = response.json()
        assert [u["transcript"] for u in body["results"]["utterances"]] == [SAID] or " ".join(
            u["transcript"] for u in body["results"]["utterances"]
        ) == SAID
        metadata = body["metadata"]
        assert metadata["duration"] == pytest.approx(7.0)
        assert metadata["sha256"] == hashlib.sha256(wav()).hexdigest()
        assert [w["parameter"] for w in metadata["warnings"]] == ["diarize"]
        assert len(server.state.uploads) == 0


@pytest.mark.parametrize("encoding", ["linear16", "linear32", "mulaw"])
async def test_samples_without_a_container(encoding: str) -> None:
    samples = recording.samples(8_000)[:, 0]
    body = {
        "linear16": (samples * 32_767).astype("<i2").tobytes(),
        "linear32": samples.astype("<f4").tobytes(),
        "mulaw": mulaw(samples.astype(np.float32)),
    }[encoding]
    async with serving(recording.transcriber(), vad="webrtc") as server:
        response = await post(server, f"encoding={encoding}&sample_rate=8000", body)
        assert alternative(response)["transcript"] == SAID


@pytest.mark.parametrize(
    ("query", "body", "content_type", "status", "words"),
    [
        ("", b'{"url": "https://example.com/a.wav"}', "application/json", 400, "URL"),
        ("", b"", "audio/wav", 400, "empty"),
        ("", b"not audio" * 100, "audio/wav", 400, "recording"),
        ("redact=pci", b"x", "audio/wav", 400, "redact"),
        ("callback=https://example.com", b"x", "audio/wav", 400, "callback"),
        ("language=xx", b"x", "audio/wav", 400, "language"),
        ("", b"x" * 2_000_000, "audio/wav", 413, "larger"),
    ],
)
async def test_a_refusal(
    query: str, body: bytes, content_type: str, status: int, words: str
) -> None:
    async with serving(recording.transcriber(), max_upload_mb=1) as server:
        response = await post(server, query, body, **{"Content-Type": content_type})
        assert response.status_code == status
        assert words in response.json()["err_msg"]
        assert len(server.state.uploads) == 0


async def test_the_key_and_the_slots() -> None:
    async with serving(recording.transcriber(), vad="webrtc", api_key="right") as server:
        assert (await post(server, "", wav())).status_code == 401
        response = await post(server, "", wav(), Authorization="Token right")
        assert alternative(response)["transcript"] == SAID
    async with serving(recording.transcriber(), max_uploads=0) as server:
        refused = await post(server, "", wav())
        assert (refused.status_code, json.loads(refused.text)["err_code"]) == (
            429,
            "TOO_MANY_REQUESTS",
        )
