"""Signatures of requests, checked with Twilio's own library."""

import pytest
from twilio.request_validator import RequestValidator

from stream.protocols.declarations import SignedRequest
from stream.protocols.twilio_signature import sign, verify

TOKEN = "12345"
VALIDATOR = RequestValidator(TOKEN)
TARGET = "/v1/twilio"


def signed(token: str, shown: str, host: str, target: str, public_url: str | None) -> bool:
    headers = [("Host", host), ("X-Twilio-Signature", shown)]
    return verify(token, SignedRequest(headers, target, public_url or f"wss://{host}"))


@pytest.mark.parametrize(
    "url", ["wss://calls.example/v1/twilio", "wss://calls.example:8443/v1/twilio?language=de"]
)
def test_signatures_equal_those_of_twilio(url: str) -> None:
    assert sign(TOKEN, url) == VALIDATOR.compute_signature(url, {})
    assert VALIDATOR.validate(url, {}, sign(TOKEN, url))


@pytest.mark.parametrize(
    ("called", "host", "public_url"),
    [
        ("wss://calls.example/v1/twilio", "calls.example", None),
        ("wss://calls.example:443/v1/twilio", "calls.example", None),
        ("wss://calls.example/v1/twilio", "calls.example:443", None),
        ("wss://calls.example:8443/v1/twilio", "calls.example:8443", None),
        ("wss://calls.example/v1/twilio", "127.0.0.1:8765", "wss://calls.example"),
        ("wss://calls.example/v1/twilio", "127.0.0.1:8765", "wss://calls.example/"),
        ("wss://calls.example/v1/twilio", "127.0.0.1:8765", "https://calls.example"),
        ("wss://calls.example/v1/twilio", "127.0.0.1:8765", "https://Calls.Example:443/"),
        ("wss://calls.example/behind/v1/twilio", "10.0.0.7", "wss://calls.example/behind"),
    ],
)
def test_what_twilio_called(called: str, host: str, public_url: str | None) -> None:
    shown = VALIDATOR.compute_signature(called, {})
    assert signed(TOKEN, shown, host, TARGET, public_url)


@pytest.mark.parametrize(
    ("called", "token"),
    [
        ("wss://calls.example/v1/twilio", "another"),
        ("wss://another.example/v1/twilio", TOKEN),
        ("wss://calls.example/v1/twilio?room=x", TOKEN),
    ],
)
def test_requests_that_twilio_did_not_sign(called: str, token: str) -> None:
    shown = RequestValidator(token).compute_signature(called, {})
    assert not signed(TOKEN, shown, "calls.example", TARGET, None)


def test_a_host_that_is_none() -> None:
    assert not signed(TOKEN, "shown", "x:abc", TARGET, None)


@pytest.mark.parametrize("shown", ["", "é", "x" * 1000])
def test_no_signature(shown: str) -> None:
    assert not signed(TOKEN, shown, "calls.example", TARGET, None)
