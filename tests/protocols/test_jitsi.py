"""Jitsi's bridge without a socket."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stream.errors import PeerError
from stream.protocols.interface import Closing
from stream.protocols.jitsi import JitsiProtocol
from tests.media.decoding import ContainerDecoder
from tests.media.files import opus_packets
from tests.protocols.conversations import CONVERSATIONS, SERVICE, TAGS, encoded
from tests.protocols.vendors import SCRIPT, answer, drain, opened, pieces, play

CALL = CONVERSATIONS["jitsi"]()
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]
ASKED = "sessionId=standup&sendBack=true&lang=en"
ONE = [frame for frame in CALL.audio if TAGS[0] in str(frame)]
"""The packets of the first participant."""
END = Closing(1001, "")


def conference(query: str = ASKED, service: Any = SERVICE) -> Any:
    return opened(JitsiProtocol, query, service)


def results(sent: list[Any], tag: str = TAGS[0], *, interim: bool = False) -> list[str]:
    return [
        m["transcript"][0]["text"]
        for m in sent
        if m.get("type") == "transcription-result"
        and m["participant"]["tag"] == tag
        and m["is_interim"] == interim
    ]


def finished(protocol: Any, *frames: Any) -> list[Any]:
    sent = play(protocol, *frames)
    protocol.finish(END)
    answer(protocol)
    return sent + drain(protocol)


def test_a_conference() -> None:
    protocol = conference(f"{ASKED}&sendBackInterim=true")
    sent = finished(protocol, *CALL.begin, *CALL.audio)
    assert sent[0]["event"] == "info"
    for tag in TAGS:
        assert results(sent, tag) == TEXTS
        assert results(sent, tag, interim=True)
    last = sent[-1]
    assert last["event"] == "transcription-result"
    assert last["participant"]["id"] in ("aaaaaaaa", "bbbbbbbb")
    assert last["timestamp"] == 1e12
    assert last["language"] == "en"
    ids = {m["message_id"] for m in sent if m.get("is_interim") is False}
    assert len(ids) == 4
    assert [one.membership.speakers for one in protocol.sessions] == [("aaaaaaaa",), ("bbbbbbbb",)]
    assert {one.membership.room for one in protocol.sessions} == {"standup"}


def test_words_are_sent_back_only_if_asked_for() -> None:
    assert not results(finished(conference("sessionId=s"), *ONE))


def test_a_participant_without_a_start() -> None:
    assert results(finished(conference(), *ONE)) == TEXTS


def test_a_ping() -> None:
    protocol = conference()
    assert play(protocol, '{"event":"ping","id":7}')[-1] == {"event": "pong", "id": 7}
    assert play(protocol, '{"event":"ping"}') == [{"event": "pong"}]


def moved(frame: Any, ticks: int) -> str:
    message = json.loads(frame)
    media = message["media"]
    media["timestamp"] = str((int(media["timestamp"]) + ticks) % 2**32)
    return json.dumps(message)


def test_a_muted_participant_keeps_the_time() -> None:
    protocol = conference()
    third = len(ONE) // 3
    later = [moved(frame, 48_000) for frame in ONE[third:]]
    play(protocol, *ONE[:third], *later)
    (only,) = protocol.sessions
    assert only.received_s == pytest.approx(len(ONE) * 0.02 + 1, abs=0.05)
    assert protocol.counts.filled_s == pytest.approx(1)


def test_packets_out_of_order_are_left_out_and_counted() -> None:
    protocol = conference()
    play(protocol, *ONE[:5], ONE[2], *ONE[5:10])
    (only,) = protocol.sessions
    assert only.received_s == pytest.approx(0.2, abs=0.03)
    assert protocol.counts.late_s > 0
    assert protocol.counts.filled_s == 0


def test_a_mad_timestamp_is_ignored() -> None:
    protocol = conference()
    play(protocol, *ONE[:5], *(moved(frame, 2**30) for frame in ONE[5:10]))
    (only,) = protocol.sessions
    assert only.received_s == pytest.approx(0.2, abs=0.03)


def test_ogg_pages() -> None:
    service = replace(SERVICE, container=ContainerDecoder)
    _, ogg = opus_packets(SCRIPT.samples * np.sin(np.arange(len(SCRIPT.samples)) / 3))
    frames = [
        json.dumps({"event": "media", "media": {"tag": "x", "payload": encoded(page)}})
        for page in pieces(ogg, 999)
    ]
    sent = finished(conference(f"{ASKED}&encoding=ogg-opus", service), *frames)
    assert " ".join(results(sent, "x")) == " ".join(TEXTS)


def test_audio_that_cannot_be_decoded_is_noted() -> None:
    protocol = conference()
    start = {"tag": TAGS[0], "mediaFormat": {"encoding": "l16", "sampleRate": 16000}}
    play(protocol, json.dumps({"event": "start", "start": start}), *ONE[:5])
    assert len(protocol.sessions) == 0
    assert protocol.counts.skipped == 5
    assert "l16" in protocol.notes_to_log()[0]


@pytest.mark.parametrize(
    "query", ["encoding=l16", "lang=xx", "endpointing_ms=soon"],
)  # fmt: skip
def test_what_is_refused(query: str) -> None:
    with pytest.raises(PeerError):
        conference(query)


def test_a_server_without_opus() -> None:
    with pytest.raises(PeerError, match="Opus"):
        conference(service=replace(SERVICE, opus=None))


@pytest.mark.parametrize(
    "frame", ["no JSON", '{"event":"media","media":{"tag":"x","payload":"!"}}'],
)  # fmt: skip
def test_what_is_no_message(frame: str) -> None:
    protocol = conference()
    play(protocol, frame)
    assert protocol.closing.code == 1007
