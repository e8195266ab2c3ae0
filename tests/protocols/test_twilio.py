"""Twilio Media Streams without a socket."""

import json
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core import events
from stream.protocols.audiosocket import AudioSocketProtocol
from stream.protocols.interface import Closing
from stream.protocols.media_streams import MAX_HELD
from stream.protocols.session_protocol import ENDED
from stream.protocols.twilio import TwilioProtocol
from tests.protocols.calls import (
    PACKET_MS,
    SCRIPT,
    SERVICE,
    TwilioCall,
    converse,
    mulaw,
    phone_samples,
    said,
)

AUDIO = mulaw(phone_samples())
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]


def a_protocol() -> TwilioProtocol:
    return TwilioProtocol(SERVICE, "id", {})


@pytest.mark.parametrize("protocol", [TwilioProtocol, AudioSocketProtocol])
def test_a_call_is_not_compressed(protocol: type[TwilioProtocol | AudioSocketProtocol]) -> None:
    call = protocol(SERVICE, "id", {})
    assert not call.sessions.compressed
    query = {"encoding": ["container"]}
    assert not protocol(SERVICE, "id", query).sessions.compressed


def call(call: TwilioCall) -> tuple[TwilioProtocol, list[events.Event]]:
    protocol = a_protocol()
    return protocol, converse(protocol, *call.messages(AUDIO))


def closing_of(*frames: str | bytes) -> Closing | None:
    protocol = a_protocol()
    converse(protocol, *frames)
    return protocol.closing


def test_a_call_from_start_to_stop() -> None:
    protocol, shared = call(TwilioCall())
    assert said(shared) == TEXTS
    assert protocol.closing == Closing(1000, "")
    assert protocol.membership
    assert (protocol.membership.room, protocol.membership.speakers) == ("CA123", ("Caller",))
    assert protocol.counts.finals == 2
    assert (protocol.counts.filled_s, protocol.counts.late_s) == (0, 0)
    ended = shared[-1]
    assert isinstance(ended, events.Ended)
    assert ended.received == ended.settled == len(AUDIO)
    assert protocol.messages_to_send() == []


def test_tracks_are_channels() -> None:
    protocol, shared = call(TwilioCall(("outbound", "inbound")))
    assert said(shared, 0) == said(shared, 1) == TEXTS
    assert protocol.membership
    assert protocol.membership.speakers == ("Caller", "Agent")


def test_parameters_are_settings_or_go_along() -> None:
    parameters = {
        "room": "room-7",
        "speakers": "Ada, Grace",
        "endpointing_ms": "300",
        "keyterms": "Twilio, mu-law",
        "FirstName": "Jane",
    }
    protocol, _ = call(TwilioCall(("inbound", "outbound"), **parameters))
    assert protocol.membership
    assert protocol.membership.room == "room-7"
    assert protocol.membership.speakers == ("Ada", "Grace")
    assert protocol.membership.about["FirstName"] == "Jane"
    assert protocol.membership.about["call"] == "CA123"
    assert protocol.session
    assert protocol.session.settings.endpointing_ms == 300
    assert protocol.session.settings.keyterms == ("Twilio", "mu-law")


def test_parameters_without_a_value_are_left_out() -> None:
    blank = dict.fromkeys(
        ("room", "speakers", "language", "endpointing_ms", "keyterms", "model", "words"), " "
    )
    protocol, shared = call(TwilioCall(("inbound", "outbound"), **blank, Company=""))
    assert said(shared, 0) == TEXTS
    assert protocol.membership
    assert (protocol.membership.room, protocol.membership.speakers) == (
        "CA123",
        ("Caller", "Agent"),
    )
    assert protocol.membership.about["Company"] == ""


@pytest.mark.parametrize(
    ("speakers", "labels"),
    [
        (", Grace", ("Caller", "Grace")),
        ("Ada,", ("Ada", "Agent")),
        ("می\u200cنا", ("می\u200cنا", "Agent")),
    ],
)
def test_a_track_without_a_label_has_the_default_one(
    speakers: str, labels: tuple[str, ...]
) -> None:
    protocol, _ = call(TwilioCall(("inbound", "outbound"), speakers=speakers))
    assert protocol.membership
    assert protocol.membership.speakers == labels


def test_numbers_and_languages_as_telephone_systems_write_them() -> None:
    protocol, _ = call(TwilioCall(language="en-US", endpointing_ms="400.0"))
    assert protocol.session
    settings = protocol.session.settings
    assert (settings.language, settings.endpointing_ms) == ("en", 400)


@pytest.mark.parametrize(
    "parameters",
    [
        {"endpointing_ms": "soon"},
        {"endpointing_ms": "1"},
        {"language": "xx"},
        {"room": "no room"},
        {"model": "another"},
        {"speakers": "one, two, three"},
    ],
)
def test_settings_that_do_not_fit(parameters: dict[str, str]) -> None:
    protocol, shared = call(TwilioCall(**parameters))
    assert shared == []
    assert protocol.closing
    assert protocol.closing.code == 4001
    assert next(iter(parameters)) in protocol.closing.reason
    assert len(protocol.closing.reason.encode()) <= 123


@pytest.mark.slow
@given(st.randoms(use_true_random=False))
@settings(max_examples=10, deadline=None)
def test_messages_out_of_order_are_put_in_order(chance: random.Random) -> None:
    twilio = TwilioCall(("inbound", "outbound"))
    connected, start, *media, stop = twilio.messages(AUDIO)
    for at in range(0, len(media), MAX_HELD):
        block = media[at : at + MAX_HELD]
        chance.shuffle(block)
        media[at : at + MAX_HELD] = block
    protocol = a_protocol()
    shared = converse(protocol, connected, start, *media, *media[:5], stop)
    assert said(shared, 0) == said(shared, 1) == TEXTS
    assert (protocol.lost, protocol.counts.filled_s, protocol.counts.late_s) == (0, 0, 0)


@pytest.mark.parametrize("tracks", [("inbound",), ("inbound", "outbound")])
def test_messages_that_are_lost_leave_silence_of_their_length(tracks: tuple[str, ...]) -> None:
    connected, start, *media, stop = TwilioCall(tracks).messages(AUDIO)
    gone = len(media) // 2
    kept = [*media[:gone], *media[gone + 3 * len(tracks) :]]
    protocol = a_protocol()
    shared = converse(protocol, connected, start, *kept, stop)
    assert protocol.lost == 3 * len(tracks)
    assert protocol.counts.filled_s == pytest.approx(3 * PACKET_MS / 1000 * len(tracks))
    ended = shared[-1]
    assert isinstance(ended, events.Ended)
    assert ended.received == len(AUDIO)


def test_a_stop_ends_the_wait_for_what_is_missing() -> None:
    connected, start, *media, stop = TwilioCall().messages(AUDIO)
    protocol = a_protocol()
    converse(protocol, connected, start, *media[:-2], media[-1], stop)
    assert protocol.closing == Closing(1000, "")
    assert protocol.lost == 1


def test_a_call_without_a_stop_loses_no_received_audio() -> None:
    call = TwilioCall(("inbound", "outbound"))
    frames = [call.connected(), call.start()]
    frames += [call.media("inbound", at, AUDIO[at * 160 :][:160]) for at in range(50)]
    call.media("inbound", 50, AUDIO[8_000:8_160])  # which is lost
    frames += [call.media("inbound", at, AUDIO[at * 160 :][:160]) for at in range(51, 60)]
    protocol = a_protocol()
    converse(protocol, *frames)
    protocol.finish(Closing(1001, "going away"))
    assert protocol.lost == 1
    assert protocol.session
    assert protocol.session.received == 60 * 160


def test_keys_are_reported_and_marks_change_nothing() -> None:
    twilio = TwilioCall()
    frames = [
        twilio.connected(),
        twilio.start(),
        twilio.message("dtmf", dtmf={"track": "inbound_track", "digit": "1"}),
        twilio.message("dtmf", dtmf={"track": "outbound_track", "digit": "2"}),
        twilio.message("dtmf", dtmf={"track": "inbound_track", "digit": "one"}),
        twilio.message("mark", mark={"name": "my label"}),
        *twilio.all_media(AUDIO[:8_000]),
        twilio.message("dtmf", dtmf={"digit": "#"}),
        *(twilio.media("inbound", at, AUDIO[at * 160 :][:160]) for at in range(50, 375)),
        twilio.stop(),
    ]
    protocol = a_protocol()
    shared = converse(protocol, *frames)
    assert said(shared) == TEXTS
    keys = [event for event in shared if isinstance(event, events.KeyPressed)]
    assert keys == [events.KeyPressed(0, "1", 0), events.KeyPressed(0, "#", 16_000)]
    assert protocol.closing == Closing(1000, "")


def test_what_is_no_call() -> None:
    twilio = TwilioCall()
    start = twilio.start()
    media = {"track": "inbound", "timestamp": "0", "payload": "!"}
    cases = {
        1007: [
            ["hello"],
            ["[]"],
            ['{"event":"dance"}'],
            ['{"event":"start"}'],
            [TwilioCall().media("inbound", 0, b"")],
            [start, twilio.message("media", media=media)],
            [start, json.dumps({**json.loads(start), "sequenceNumber": "2"})],
        ],
        1003: [
            [b"audio"],
            [TwilioCall(()).start()],
            [TwilioCall().start(mediaFormat={"encoding": "audio/opus", "sampleRate": 48000})],
        ],
    }
    for code, sequences in cases.items():
        for frames in sequences:
            closing = closing_of(*frames)
            assert closing is not None
            assert closing.code == code, (frames, closing)
            assert closing.reason


@pytest.mark.parametrize("payload", ["!", "é"])
def test_audio_that_is_not_base64(payload: str) -> None:
    twilio = TwilioCall()
    start = twilio.start()
    media = twilio.message("media", media={"track": "inbound", "payload": payload})
    closing = closing_of(start, media)
    assert closing
    assert (closing.code, closing.reason) == (1007, "A payload is not base64.")


def test_the_server_ends_a_call_with_its_finals() -> None:
    connected, start, *media, _ = TwilioCall().messages(AUDIO)
    protocol = a_protocol()
    shared = converse(protocol, connected, start, *media[:125])
    protocol.finish(Closing(1001, "going away"))
    shared += converse(protocol, media[125])
    assert said(shared) == TEXTS[:1]
    assert protocol.closing == Closing(1001, "going away")


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.binary(max_size=20),
            st.sampled_from(TwilioCall().messages(AUDIO[:3200])),
        ),
        max_size=12,
    )
)
def test_no_peer_can_make_it_raise(frames: list[str | bytes]) -> None:
    protocol = a_protocol()
    converse(protocol, *frames)
    assert protocol.closing in (None, ENDED) or protocol.closing.reason


def test_the_script_has_the_words() -> None:
    assert " ".join(TEXTS) == SCRIPT.text


REFUSED: dict[str, Callable[[TwilioCall], str | bytes]] = {
    "text that is no JSON": lambda twilio: "hello",
    "a message that does not fit": lambda twilio: twilio.message("media", media=7),
    "a payload that is no base64": lambda twilio: twilio.message("media", media={"payload": "!"}),
    "a second start": lambda twilio: twilio.start(),
    "a binary frame": lambda twilio: b"audio",
}
"""What is refused in the middle of a call."""


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_refusal_during_a_call_comes_after_the_finals(wrong: str) -> None:
    twilio = TwilioCall()
    connected, start, *media = twilio.messages(AUDIO)[:-1]
    protocol = a_protocol()
    shared = converse(protocol, connected, start, *media[:150])
    twilio.sequence = 151
    shared += converse(protocol, REFUSED[wrong](twilio), *media[150:])
    assert said(shared)[0] == TEXTS[0]
    assert isinstance(shared[-1], events.Ended)
    assert shared[-1].settled == shared[-1].received == 150 * 160
    assert protocol.closing
    assert protocol.closing.code in (1003, 1007)
    assert protocol.counts.errors == 1


def test_a_refusal_first_processes_messages_that_wait_for_a_missing_one() -> None:
    connected, start, *media, _ = TwilioCall().messages(AUDIO)
    protocol = a_protocol()
    shared = converse(protocol, connected, start, *media[:100], *media[101:110], "hello")
    assert isinstance(shared[-1], events.Ended)
    assert shared[-1].received == 110 * 160


def test_a_message_of_an_unknown_kind_is_left_out_and_the_call_goes_on() -> None:
    twilio = TwilioCall()
    frames = [twilio.connected(), twilio.start()]
    for at in range(len(AUDIO) // 160):
        if at % 50 == 7:
            frames.append(twilio.message("transcription", transcription={"text": "new"}))
        frames.append(twilio.media("inbound", at, AUDIO[at * 160 :][:160]))
    protocol = a_protocol()
    shared = converse(protocol, *frames, '{"event":"heartbeat"}', twilio.stop())
    assert said(shared) == TEXTS
    assert protocol.counts.skipped == len(AUDIO) // 160 // 50 + 1
    assert (protocol.lost, protocol.closing) == (0, Closing(1000, ""))


@pytest.mark.parametrize("tracks", [("inbound",), ("inbound", "outbound")])
def test_a_jump_in_the_timestamps_is_a_gap(tracks: tuple[str, ...]) -> None:
    twilio = TwilioCall(tracks)
    frames = [twilio.connected(), twilio.start()]
    for at in range(len(AUDIO) // 160):
        later = 1_500 if at >= 160 else 0  # packets: half a minute, in the pause after 3.2 s
        packet = AUDIO[at * 160 :][:160]
        frames += [twilio.media(track, at + later, packet) for track in tracks]
    protocol = a_protocol()
    script = [
        replace(w, start_sample=w.start_sample + 480_000, end_sample=w.end_sample + 480_000)
        if w.start_sample >= 51_200
        else w
        for w in SCRIPT.words
    ]
    shared = converse(protocol, *frames, twilio.stop(), words=script)
    assert said(shared) == TEXTS
    finals = [event for event in shared if isinstance(event, events.Final)]
    assert finals[-1].words[0] in script
    assert isinstance(shared[-1], events.Ended)
    assert shared[-1].received == shared[-1].settled == len(AUDIO) + 1_500 * 160
    assert protocol.counts.audio_s == pytest.approx(len(AUDIO) / 8_000, abs=0.3)
    assert protocol.counts.filled_s == pytest.approx(30 * len(tracks))


def test_a_timestamp_beyond_the_limit_is_reported_and_ignored() -> None:
    twilio = TwilioCall()
    frames = [twilio.connected(), twilio.start()]
    frames += [twilio.media("inbound", 10**7 * (at > 50) + at, bytes(160)) for at in range(100)]
    protocol = a_protocol()
    converse(protocol, *frames, twilio.stop())
    assert protocol.counts.errors == 1
    assert protocol.session
    assert protocol.session.received == 100 * 160
