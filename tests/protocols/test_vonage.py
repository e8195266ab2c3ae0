"""Vonage's websocket endpoint without a socket."""

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from stream.core import events
from stream.protocols.vonage import VonageProtocol
from tests.protocols.calls import converse, said
from tests.protocols.conversations import CONVERSATIONS, SERVICE

CALL = CONVERSATIONS["vonage"]()


def connected(**headers: Any) -> str:
    return json.dumps(
        {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", **headers}
    )


def called(*frames: Any, query: str = "") -> tuple[VonageProtocol, list[Any]]:
    protocol = VonageProtocol(SERVICE, "id", parse_qs(query))
    return protocol, converse(protocol, *frames)


def test_a_call() -> None:
    key = json.dumps({"event": "websocket:dtmf", "digit": "5", "duration": 100})
    other = json.dumps({"event": "websocket:notify", "payload": {}})
    protocol, shared = called(*CALL.begin, *CALL.audio[:50], key, other, *CALL.audio[50:])
    assert said(shared)[0] == "w0 w1 w2 w3 w4 w5"
    assert protocol.membership
    assert (protocol.membership.room, protocol.membership.speakers) == ("u-1", ("Caller",))
    assert events.KeyPressed(0, "5", 16_000) in shared
    assert protocol.counts.skipped == 1


def test_headers_are_settings_or_facts() -> None:
    protocol, _ = called(connected(language="de", ticket=4711, room="repairs"), query="words=true")
    assert protocol.session
    assert protocol.session.settings.language == "de"
    assert protocol.membership
    assert protocol.membership.room == "repairs"
    assert protocol.membership.about["ticket"] == "4711"


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ((b"audio",), 1007),
        (("no JSON",), 1007),
        ((connected(), connected()), 1007),
        ((json.dumps({"event": "websocket:connected", "content-type": "audio/opus"}),), 1003),
        ((connected(language="xx"),), 4001),
    ],
)
def test_what_is_no_call(frames: tuple[Any, ...], code: int) -> None:
    protocol, _ = called(*frames)
    assert protocol.closing
    assert protocol.closing.code == code
