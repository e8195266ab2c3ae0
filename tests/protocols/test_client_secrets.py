"""Secrets for browsers that open a transcription session."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stream.errors import PeerError
from stream.protocols.declarations import HttpRequest
from stream.protocols.openai_realtime.client_secrets import create, create_beta, settings_in
from tests.protocols.vendors import SERVICE

SIGNING = replace(SERVICE, sign=lambda text: f"signed{len(text)}")


def asked(body: Any) -> HttpRequest:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpRequest("/", {}, (), content)


def test_a_secret_holds_its_settings() -> None:
    turns = {"type": "server_vad", "silence_duration_ms": 900}
    session = {
        "type": "transcription",
        "audio": {"input": {"turn_detection": turns, "transcription": {"language": "de"}}},
    }
    body = {"session": session, "expires_after": {"anchor": "created_at", "seconds": 60}}
    response = create(SIGNING, asked(body))
    created = json.loads(response.body)
    assert created["expires_at"] == 1_000_000_060
    assert created["session"]["audio"]["input"]["transcription"]["language"] == "de"
    assert created["value"].startswith("ek_")
    assert ".signed" in created["value"]
    found = settings_in(created["value"])
    assert (found.endpointing_ms, found.language) == (900, "de")


def test_a_secret_creates_no_other() -> None:
    with pytest.raises(PeerError, match="another"):
        create(SIGNING, replace(asked({}), headers=[("Authorization", "Bearer ek_x.y")]))


def test_the_betas_secret() -> None:
    body = {"input_audio_format": "g711_alaw", "turn_detection": None}
    created = json.loads(create_beta(SIGNING, asked(body)).body)
    assert created["input_audio_format"] == "g711_alaw"
    found = settings_in(created["client_secret"]["value"])
    assert found.format.type == "audio/pcma"
    assert found.turn_detection is None


@pytest.mark.parametrize("key", ["", "sk-123", "ek_", "ek_!.x", "ek_bm90IGpzb24.x", "ek_e30.x"])
def test_other_keys_hold_no_settings(key: str) -> None:
    assert settings_in(key) == settings_in("none")


@pytest.mark.parametrize(
    "body",
    [b"no JSON", [], {"session": {"type": "realtime"}}, {"expires_after": {"seconds": 1}},
     {"expires_after": {"seconds": "x"}}, {"session": {"type": "transcription", "audio": 7}}],
)  # fmt: skip
def test_what_is_refused(body: Any) -> None:
    with pytest.raises(PeerError):
        create(SIGNING, asked(body))
