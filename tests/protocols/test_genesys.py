"""Genesys AudioHook without a socket."""

import json
from typing import Any

import pytest

from stream.core import events
from stream.protocols.genesys import GenesysProtocol
from stream.protocols.interface import Closing
from tests.protocols.conversations import CONVERSATIONS, SERVICE, ZERO_UUID
from tests.protocols.vendors import of_type, opened, play

CALL = CONVERSATIONS["genesys"]()
MONO = {"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]


def message(kind: str, seq: int = 2, **parameters: Any) -> str:
    head = {"version": "2", "id": ZERO_UUID, "type": kind, "seq": seq, "serverseq": 1}
    return json.dumps({**head, "position": "PT1S", "parameters": parameters})


def session() -> Any:
    return opened(GenesysProtocol, service=SERVICE)


def transcripts(sent: list[Any], channel: str, *, final: bool = True) -> list[str]:
    entities = [one for m in of_type(sent, "event") for one in m["parameters"]["entities"]]
    return [
        one["data"]["alternatives"][0]["interpretations"][0]["transcript"]
        for one in entities
        if one["data"]["channel"] == channel and one["data"]["isFinal"] == final
    ]


def test_a_call() -> None:
    protocol = session()
    sent = play(protocol, *CALL.begin, *CALL.audio, *CALL.end)
    assert sent[0]["type"] == "opened"
    both = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
    assert sent[0]["parameters"] == {"media": [both], "startPaused": False}
    assert transcripts(sent, "external") == transcripts(sent, "internal") == TEXTS
    assert transcripts(sent, "external", final=False)
    assert sent[-1]["type"] == "closed"
    assert [m["seq"] for m in sent] == list(range(1, len(sent) + 1))
    assert all(m["id"] == ZERO_UUID for m in sent)
    assert protocol.closing == Closing(1000, "")
    assert protocol.membership.speakers == ("Caller", "Agent")
    assert protocol.membership.about["from"] == "+1-555-555-1234"


def test_a_transcript_has_times_and_an_id_of_its_own() -> None:
    sent = play(session(), *CALL.begin, *CALL.audio, *CALL.end)
    finals = [
        m["parameters"]["entities"][0]["data"]
        for m in of_type(sent, "event")
        if m["parameters"]["entities"][0]["data"]["isFinal"]
    ]
    assert len({one["id"] for one in finals}) == len(finals) == 4
    token = finals[0]["alternatives"][0]["interpretations"][0]["tokens"][0]
    assert token == {
        "type": "word", "value": "w0", "confidence": 0.9, "offset": "PT0.500S",
        "duration": "PT0.250S",
    }  # fmt: skip


def test_a_ping_is_answered_with_its_number() -> None:
    protocol = session()
    play(protocol, *CALL.begin)
    (pong,) = play(protocol, message("ping", 7, rtt="PT0.1S"))
    assert (pong["type"], pong["clientseq"]) == ("pong", 7)


def test_time_without_audio_passes() -> None:
    protocol = session()
    half = len(CALL.audio) // 2
    play(protocol, *CALL.begin, *CALL.audio[:half], message("paused"))
    before = protocol.session.received
    play(protocol, message("resumed", 3, start="PT2S", discarded="PT1.5S"))
    assert protocol.session.received == before + 12_000
    play(protocol, message("discarded", 4, start="PT2S", discarded="PT0.5S"))
    assert protocol.session.received == before + 16_000
    play(protocol, message("discarded", 5, start="PT2S", discarded="PT99999S"))
    assert protocol.session.received == before + 16_000
    assert protocol.counts.errors == 1


def test_keys_and_messages_without_effect() -> None:
    protocol = session()
    play(protocol, *CALL.begin, message("update", language="de"), message("dance"))
    play(protocol, message("dtmf", digit="5"))
    shared = [event for _, event in protocol.captions_to_share()]
    assert events.KeyPressed(0, "5", 0) in shared
    assert protocol.counts.skipped == 1


def test_a_session_without_audio_is_closed() -> None:
    protocol = session()
    assert [m["type"] for m in play(protocol, *CALL.end)] == ["closed"]
    assert protocol.closing == Closing(1000, "")


@pytest.mark.parametrize(
    "frames",
    [
        ("no JSON",), ("{}",), (b"audio",), (message("open", media=[]),),
        (message("open", media=[{**MONO, "format": "L16"}]),), (message("open", media=[{}, 7]),),
        (*CALL.begin, *CALL.begin), (*CALL.begin, message("resumed", discarded="soon")),
        ('{"type":"ping","id":"x","seq":1,"parameters":[]}',),
    ],
)  # fmt: skip
def test_what_is_no_call(frames: tuple[Any, ...]) -> None:
    protocol = session()
    sent = play(protocol, *frames)
    assert sent[-1]["type"] == "disconnect"
    assert sent[-1]["parameters"]["reason"] == "error"
    assert protocol.closing
