"""AudioCodes VoiceAI Connect without a socket."""

import json
from typing import Any

import pytest

from stream.core import events
from stream.protocols.audiocodes import AudioCodesProtocol
from stream.protocols.interface import Closing
from tests.protocols.conversations import CONVERSATIONS, SERVICE, ZERO_UUID, encoded, linear
from tests.protocols.vendors import of_type, opened, pieces, play

CALL = CONVERSATIONS["audiocodes"]()
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]
SPEECH = "userStream.speech"


def message(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, "conversationId": ZERO_UUID, **fields})


def call(query: str = "") -> Any:
    return opened(AudioCodesProtocol, query, SERVICE)


def texts(sent: list[Any], **named: str) -> list[str]:
    return [
        m["alternatives"][0]["text"]
        for m in of_type(sent, f"{SPEECH}.recognition")
        if named.items() <= m.items()
    ]


def test_a_call() -> None:
    protocol = call()
    sent = play(protocol, message("connection.validate"), *CALL.begin, *CALL.audio, *CALL.end)
    assert sent[0] == {
        "type": "connection.validated", "conversationId": ZERO_UUID, "success": True,
    }  # fmt: skip
    assert sent[1]["mediaFormat"] == "raw/lpcm16"
    assert sent[2]["type"] == "userStream.started"
    assert texts(sent) == TEXTS
    kinds = [m["type"] for m in sent]
    assert kinds.count(f"{SPEECH}.started") == kinds.count(f"{SPEECH}.stopped") == 2
    assert f"{SPEECH}.hypothesis" in kinds
    assert "userStream.stopped" in kinds
    assert protocol.closing == Closing(1000, "")


def test_each_participant_is_a_speaker_of_the_room() -> None:
    protocol = call("room=desk")
    play(protocol, CALL.begin[0])
    sent = []
    for piece in pieces(linear()):
        for who in ("caller", "agent"):
            chunk = message("userStream.chunk", participant=who, audioChunk=encoded(piece))
            sent += play(protocol, chunk)
    speakers = [one.membership.speakers for one in protocol.sessions]
    assert speakers == [("caller",), ("agent",)]
    assert {one.membership.room for one in protocol.sessions} == {"desk"}
    sent += play(protocol, message("session.end"))
    assert texts(sent, participant="agent") == TEXTS
    assert len(texts(sent)) == 4


def test_speech_is_final_when_its_stream_stops() -> None:
    protocol = call()
    chunks = [message("userStream.chunk", audioChunk=encoded(p)) for p in pieces(linear())[:24]]
    sent = play(protocol, *CALL.begin, *chunks, message("userStream.stop"))
    assert texts(sent)
    assert protocol.closing is None


def test_keys() -> None:
    protocol = call()
    pressed = {"type": "event", "name": "dtmf", "value": "5"}
    play(protocol, *CALL.begin, *CALL.audio[:10], message("activities", activities=[pressed, 7]))
    shared = [event for _, event in protocol.captions_to_share()]
    assert events.KeyPressed(0, "5", 16_000) in shared


def test_what_cannot_be_served() -> None:
    protocol = call()
    (error,) = play(protocol, message("session.initiate", supportedMediaFormats=["wav/mulaw"]))
    assert error["type"] == "session.error"
    assert protocol.closing == Closing(1000, "")
    (error,) = play(call(), message("session.resume"))
    assert error["type"] == "session.error"


@pytest.mark.parametrize(
    "frames",
    [
        ("no JSON",), ("[]",), (message("userStream.chunk", audioChunk=""),),
        (*CALL.begin, message("userStream.chunk", audioChunk="!")),
    ],
)  # fmt: skip
def test_what_is_no_call(frames: tuple[Any, ...]) -> None:
    protocol = call()
    assert play(protocol, *frames)[-1]["type"] == "session.error"
    assert protocol.closing.code == 1007
