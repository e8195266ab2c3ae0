"""The dialects of Twilio's media streams: Telnyx, Plivo and Exotel."""

import json
import random
from typing import Any
from urllib.parse import parse_qs

import pytest

from stream.core import events
from stream.core.audio import ALAW
from stream.protocols.call_settings import room_name
from stream.protocols.interface import Closing
from tests.protocols.calls import converse, said
from tests.protocols.conversations import (
    CONVERSATIONS,
    EXOTEL_START,
    PLIVO_START,
    SERVICE,
    TELNYX_START,
    Numbered,
    encoded,
    kind_of,
    linear,
    media,
    samples,
)

TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]


def called(name: str, *frames: Any, query: str = "") -> tuple[Any, list[Any]]:
    protocol = kind_of(name)(SERVICE, "id", parse_qs(query))
    return protocol, converse(protocol, *frames)


@pytest.mark.parametrize(
    ("name", "room", "about"),
    [
        ("telnyx", "v2-T02llQxIyaRkhfRKxgAP8nY511EhFL", {"stream": "32DE0DEA", "to": "+1312"}),
        ("plivo", PLIVO_START["callId"], {"stream": "87654321"}),
        ("exotel", "call-abc", {"from": "+91", "sample-rate": "8000"}),
    ],
)
def test_what_is_told_about_a_call(name: str, room: str, about: dict[str, str]) -> None:
    conversation = CONVERSATIONS[name]()
    frames = (*conversation.begin, *conversation.audio)
    protocol, shared = called(name, *frames, query=conversation.query)
    assert said(shared)[0] == TEXTS[0]
    assert protocol.membership.room == room
    assert protocol.membership.about.items() >= {**about, "ticket": "4711"}.items()
    speakers = ("Caller", "Agent") if name == "telnyx" else ("Caller",)
    assert protocol.membership.speakers == speakers


def test_the_parameters_of_plivo_are_settings() -> None:
    protocol, _ = called("plivo", *CONVERSATIONS["plivo"]().begin)
    assert protocol.session.settings.language == "de"
    start = Numbered("sequenceNumber")(event="start", start=PLIVO_START, extra_headers="{a: b}")
    protocol, _ = called("plivo", start)
    assert protocol.membership.about["a"] == "b"


def test_settings_in_the_url_of_exotel() -> None:
    start = Numbered("sequence_number")(event="start", start=EXOTEL_START)
    protocol, _ = called("exotel", start, query="language=de&param1=x&token=secret")
    assert protocol.session.settings.language == "de"
    about = protocol.membership.about
    assert about["param1"] == "x"
    assert "token" not in about


def test_messages_of_telnyx_come_in_any_order() -> None:
    conversation = CONVERSATIONS["telnyx"]()
    audio = list(conversation.audio)
    shuffled = []
    for at in range(0, len(audio), 8):
        part = audio[at : at + 8]
        random.Random(at).shuffle(part)
        shuffled += part
    frames = (*conversation.begin, *shuffled, *conversation.end)
    protocol, shared = called("telnyx", *frames, query=conversation.query)
    assert said(shared, 0) == said(shared, 1) == TEXTS
    assert (protocol.lost, protocol.counts.late_s) == (0, 0)


def test_a_law() -> None:
    alaw = bytes(int(abs(ALAW - one).argmin()) for one in samples(8_000)[:8_000])
    message = Numbered("sequence_number")
    start = {**TELNYX_START, "media_format": {"encoding": "PCMA", "sample_rate": 8000}}
    frames = [message(event="start", start=start), *media(message, alaw, 160, 20)]
    protocol, _ = called("telnyx", *frames)
    assert protocol.session.settings.encoding == "alaw"
    assert protocol.session.received == 8_000


def test_a_track_that_was_not_named_is_noted_once() -> None:
    conversation = CONVERSATIONS["telnyx"]()
    protocol, shared = called("telnyx", *conversation.begin, *conversation.audio)
    assert said(shared)[0] == TEXTS[0]
    (note,) = protocol.notes_to_log()
    assert "outbound" in note
    assert protocol.counts.skipped == len(conversation.audio) // 2


def test_lost_packets_of_16_bits_are_a_gap_and_late_ones_are_counted() -> None:
    message = Numbered("sequence_number")
    start = message(event="start", start=EXOTEL_START)
    packets = list(media(message, linear(8_000)[: 12 * 1_600], 1_600, 100))
    late = json.loads(packets[4])
    late["sequence_number"] = str(message.first + 1)
    protocol, _ = called("exotel", start, *packets[:4], *packets[9:12], json.dumps(late))
    assert (protocol.counts.filled_s, protocol.lost) == (0, 0)  # they are waited for
    protocol.finish(Closing(1001, ""))
    assert protocol.counts.filled_s == pytest.approx(0.5)
    assert protocol.counts.late_s == pytest.approx(0.1)
    assert protocol.lost == 5


def test_packets_without_times_follow_each_other() -> None:
    message = Numbered("sequenceNumber")
    frames = [message(event="start", start=PLIVO_START)]
    for at in range(0, len(linear(8_000)), 641):  # an odd byte at the end of each is dropped
        one = {"track": "inbound", "payload": encoded(linear(8_000)[at : at + 640] + b"x")}
        frames.append(message(event="media", media=one))
    protocol, _ = called("plivo", *frames)
    assert protocol.counts.filled_s == protocol.counts.late_s == 0
    assert protocol.session.held == 320 * (len(frames) - 2) + len(linear(8_000)) % 641 // 2


@pytest.mark.parametrize(
    ("name", "media_format"),
    [
        ("telnyx", {"encoding": "G722", "sample_rate": 8000}),
        ("telnyx", {"encoding": "PCMU", "sample_rate": 16000}),
        ("plivo", {"encoding": "audio/x-l16", "sampleRate": 44100}),
        ("exotel", {"encoding": "base64", "sample_rate": "8000", "channels": 2}),
    ],
)
def test_formats_that_are_refused(name: str, media_format: dict[str, Any]) -> None:
    starts: dict[str, Any] = {"telnyx": TELNYX_START, "plivo": PLIVO_START, "exotel": EXOTEL_START}
    key = "mediaFormat" if name == "plivo" else "media_format"
    protocol, _ = called(
        name, json.dumps({"event": "start", "start": {**starts[name], key: media_format}})
    )
    assert protocol.closing.code == 1003
    assert "16-bit" in protocol.closing.reason


def test_keys() -> None:
    message = Numbered("sequence_number")
    frames = [
        message(event="start", start=EXOTEL_START),
        *media(message, linear(8_000)[:16_000], 1_600, 100),
        message(event="dtmf", dtmf={"digit": "5", "duration": "100"}),
    ]
    _, shared = called("exotel", *frames)
    assert events.KeyPressed(0, "5", 16_000) in shared


@pytest.mark.parametrize(
    ("call", "room"),
    [("v3:a/b", "v3-a-b"), ("..x", "x"), (":::", "id"), ("", "id"), ("x" * 99, "x" * 80)],
)
def test_names_of_rooms(call: str, room: str) -> None:
    assert room_name(call, "id") == room
