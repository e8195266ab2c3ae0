"""Deepgram's `/v1/listen` without a socket."""

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.errors import PeerError
from stream.media.opus_packets import OpusPackets
from stream.protocols.deepgram.listen import DeepgramProtocol
from stream.protocols.interface import Closing
from tests.media.decoding import ContainerDecoder
from tests.media.files import opus_packets
from tests.protocols.calls import mulaw
from tests.protocols.vendors import (
    ALL,
    SCRIPT,
    SERVICE,
    answer,
    drain,
    of_type,
    opened,
    pieces,
    play,
)

RAW = "model=nova-3&encoding=linear16&sample_rate=16000"
PCM = pieces(SCRIPT.pcm)
FINALIZE, CLOSE, KEEP = ({"type": kind} for kind in ("Finalize", "CloseStream", "KeepAlive"))


def listen(query: str = RAW) -> DeepgramProtocol:
    protocol: DeepgramProtocol = opened(DeepgramProtocol, query)
    return protocol


def results(messages: list[Any], channel: int = 0) -> list[Any]:
    return [m for m in of_type(messages, "Results") if m["channel_index"][0] == channel]


def text(messages: list[Any], channel: int = 0) -> str:
    """The words of all final results."""
    finals = [m for m in results(messages, channel) if m["is_final"]]
    words = [m["channel"]["alternatives"][0]["transcript"] for m in finals]
    return " ".join(filter(None, words))


def check_ranges(messages: list[Any], seconds: float, channel: int = 0) -> None:
    """Final ranges follow each other from 0 to the end, and hold their words."""
    end = 0.0
    for message in results(messages, channel):
        assert message["start"] == pytest.approx(end)
        if message["is_final"]:
            end = round(message["start"] + message["duration"], 3)
            for word in message["channel"]["alternatives"][0]["words"]:
                assert message["start"] - 0.001 <= word["start"] <= word["end"] <= end + 0.001
    assert end == pytest.approx(seconds, abs=0.001)


SECONDS = len(SCRIPT.samples) / 16_000


def test_a_stream_from_its_first_byte_to_the_metadata() -> None:
    protocol = listen()
    sent = play(protocol, *PCM, CLOSE)
    assert text(sent) == ALL
    check_ranges(sent, SECONDS)
    assert [m["speech_final"] for m in results(sent)] == [True, True, False]
    metadata = sent[-1]
    assert metadata["type"] == "Metadata"
    assert metadata["duration"] == pytest.approx(SECONDS)
    assert metadata["sha256"] == hashlib.sha256(SCRIPT.pcm).hexdigest()
    assert metadata["created"] == "2001-09-09T01:46:40.000Z"
    assert "warnings" not in metadata
    assert protocol.closing == Closing(1000, "")


def test_interim_results_replace_each_other() -> None:
    protocol = listen(f"{RAW}&interim_results=true")
    for piece in PCM[:20]:
        protocol.receive_binary(piece, 0.0)
        answer(protocol)
    messages = protocol.messages_to_send()
    assert messages
    assert all(message.replaceable for message in messages)
    assert len({message.subject for message in messages}) == 1
    assert not any(m["is_final"] for m in results(drain(protocol)))


def test_there_are_no_interim_results_unless_they_are_asked_for() -> None:
    assert all(message["is_final"] for message in results(play(listen(), *PCM, CLOSE)))


@pytest.mark.parametrize("at", [3, 12, 22, 30, 40, 60])
def test_finalize_is_answered_once(at: int) -> None:
    sent = play(listen(), *PCM[:at], FINALIZE, *PCM[at:], CLOSE)
    finalized = [m for m in results(sent) if m["from_finalize"]]
    assert len(finalized) == 1
    assert finalized[0]["is_final"]
    assert finalized[0]["speech_final"]
    assert finalized[0]["start"] + finalized[0]["duration"] == pytest.approx(at * 0.1, abs=0.021)
    check_ranges(sent, SECONDS)


def test_finalize_carries_the_words_that_were_not_final() -> None:
    (answered,) = [m for m in results(play(listen(), *PCM[:25], FINALIZE)) if m["from_finalize"]]
    assert answered["channel"]["alternatives"][0]["transcript"] == "w0 w1 w2 w3 w4 w5"


def test_finalize_before_the_engine_answers() -> None:
    protocol = listen()
    sent = play(protocol, *PCM[:45], FINALIZE, *PCM[45:], FINALIZE, CLOSE, answered=False)
    assert sent == []
    answer(protocol)
    sent = drain(protocol)
    check_ranges(sent, SECONDS)
    assert [m["from_finalize"] for m in results(sent) if m["from_finalize"]] == [True, True]
    assert sent[-1]["type"] == "Metadata"


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, len(SCRIPT.pcm) - 1), max_size=12))
def test_any_division_of_the_audio_gives_the_same_results(cuts: list[int]) -> None:
    ends = [*sorted(set(cuts)), len(SCRIPT.pcm)]
    parts = [SCRIPT.pcm[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    expected = results(play(listen(), *PCM, CLOSE))
    assert results(play(listen(), *parts, CLOSE)) == expected


def test_a_stream_without_endpoints_still_has_finals() -> None:
    sent = play(listen(f"{RAW}&endpointing=false"), *PCM, CLOSE)
    assert text(sent) == ALL
    assert not any(m["speech_final"] for m in results(sent))


@pytest.mark.parametrize(
    ("asked", "waits"),
    [("10", 300), ("25", 300), ("700", 700), ("true", 500), ("", 500), ("false", 500), ("0", 500)],
)
def test_endpointing(asked: str, waits: int) -> None:
    session = listen(f"{RAW}&endpointing={asked}").session
    assert session
    assert session.settings.endpointing_ms == waits


def test_speech_and_the_end_of_an_utterance_are_sent() -> None:
    sent = play(listen(f"{RAW}&vad_events=true&utterance_end_ms=1000"), *PCM, CLOSE)
    order = [m["type"] for m in sent]
    assert order == [
        "SpeechStarted", "Results", "SpeechStarted", "Results", "UtteranceEnd", "Results",
        "Metadata",
    ] or order.count("UtteranceEnd") == 2  # fmt: skip
    started = of_type(sent, "SpeechStarted")
    assert [m["timestamp"] for m in started] == pytest.approx([0.5, 3.5], abs=0.1)
    last = of_type(sent, "UtteranceEnd")[-1]
    assert last["last_word_end"] == SCRIPT.words[-1].end_sample / 16_000
    assert last["channel"] == [0, 1]


def test_an_utterance_ends_before_the_next_begins_however_late_the_words_come() -> None:
    protocol = listen(f"{RAW}&utterance_end_ms=500&vad_events=true")
    play(protocol, *PCM, CLOSE, answered=False)
    answer(protocol)
    sent = drain(protocol)
    assert len(of_type(sent, "UtteranceEnd")) >= 1
    check_ranges(sent, SECONDS)


def test_words_with_and_without_punctuation() -> None:
    plain = results(play(listen(), *PCM, CLOSE))[0]["channel"]["alternatives"][0]
    pretty = results(play(listen(f"{RAW}&smart_format=true"), *PCM, CLOSE))[0]
    word = pretty["channel"]["alternatives"][0]["words"][0]
    assert word == {
        "word": "w0", "punctuated_word": "w0", "confidence": 0.9,
        "start": SCRIPT.words[0].start_sample / 16_000,
        "end": SCRIPT.words[0].end_sample / 16_000,
    }  # fmt: skip
    assert "punctuated_word" not in plain["words"][0]
    assert plain["confidence"] == 0.9


def test_several_languages_are_named() -> None:
    sent = play(listen(f"{RAW}&language=multi&punctuate=true"), *PCM, CLOSE)
    found = results(sent)[0]["channel"]["alternatives"][0]
    assert found["languages"] == ["en"]
    assert found["words"][0]["language"] == "en"


def test_channels_apart_and_mixed() -> None:
    silent = np.zeros_like(SCRIPT.samples)
    both = np.stack([silent, SCRIPT.samples], 1)
    audio = (both * 32_767).astype("<i2").tobytes()
    apart = play(listen(f"{RAW}&channels=2&multichannel=true"), *pieces(audio), FINALIZE, CLOSE)
    assert text(apart, 0) == ""
    assert text(apart, 1) == ALL
    assert {tuple(m["channel_index"]) for m in results(apart, 1)} == {(1, 2)}
    for channel in (0, 1):
        check_ranges(apart, SECONDS, channel)
        assert len([m for m in results(apart, channel) if m["from_finalize"]]) == 1
    mixed = play(listen(f"{RAW}&channels=2"), *pieces(audio, 1_001), CLOSE)
    assert text(mixed) == ALL
    assert mixed[-1]["channels"] == 1


def test_other_encodings() -> None:
    eight = SCRIPT.samples[::2]
    sent = play(listen("encoding=mulaw"), *pieces(mulaw(eight), 160), CLOSE)
    assert text(sent) == ALL
    floats = SCRIPT.samples.astype("<f4").tobytes()
    assert text(play(listen("encoding=linear32&sample_rate=16000"), floats, CLOSE)) == ALL


def test_opus_with_and_without_a_container() -> None:
    service = replace(SERVICE, opus=OpusPackets, container=ContainerDecoder)
    # A constant is no sound, and Opus removes it.
    packets, ogg = opus_packets(SCRIPT.samples * np.sin(np.arange(len(SCRIPT.samples))))
    for query in ("encoding=opus", "encoding=ogg-opus", ""):
        protocol = opened(DeepgramProtocol, query, service)
        assert text(play(protocol, *pieces(ogg, 999), CLOSE)) == ALL
    protocol = opened(DeepgramProtocol, "encoding=opus&sample_rate=48000", service)
    assert text(play(protocol, *packets, CLOSE)) == ALL
    protocol = opened(DeepgramProtocol, "encoding=opus", service)
    sent = play(protocol, packets[0], b"\xff" * 7)
    assert protocol.close_frame(protocol.closing).code == 1008
    assert protocol.closing.reason.startswith("DATA-0000")
    assert sent[-1]["type"] == "Error"


def test_bytes_that_are_no_container() -> None:
    service = replace(SERVICE, container=ContainerDecoder)
    protocol = opened(DeepgramProtocol, "model=nova-3", service)
    sent = play(protocol, b"no audio " * 3_000, CLOSE)
    assert sent[-1]["type"] == "Error"
    assert protocol.close_frame(protocol.closing).code == 1008


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (f"{RAW}&redact=pci&redact=ssn", "redact"),
        (f"{RAW}&callback=https://example.com", "callback"),
        ("encoding=amr-wb&sample_rate=16000", "linear16, linear32, mulaw, alaw"),
        ("encoding=speex&sample_rate=16000", "opus"),
        ("encoding=g729", "encoding"),
        ("encoding=linear16", "sample_rate"),
        ("encoding=linear16&sample_rate=many", "whole number"),
        ("encoding=linear16&sample_rate=inf", "whole number"),
        (f"{RAW}&language=xx", "language"),
        (f"{RAW}&channels=9", "channels"),
        (f"{RAW}{'&keyterm=word' * 1}{''.join(f'&keyterm=w{i}' for i in range(501))}", "key terms"),
    ],
)
def test_refusals_before_the_handshake(query: str, words: str) -> None:
    with pytest.raises(PeerError, match=words):
        listen(query)


def test_settings_without_effect_are_reported() -> None:
    protocol = listen(f"{RAW}&diarize=true&numerals=true&replace=a:b&dictation=false&no_delay=true")
    warned = [one["parameter"] for one in play(protocol, CLOSE)[-1]["warnings"]]
    assert warned == ["diarize", "numerals", "replace"]
    assert protocol.notes_to_log() == ["ignored unknown parameters of a Deepgram request: no_delay"]


def test_key_terms() -> None:
    protocol = listen(f"{RAW}&keyterm=Ada+Lovelace&keywords=Babbage:2&keywords=a:b&keyterm=")
    assert protocol.session
    assert protocol.session.settings.keyterms == ("Ada Lovelace", "Babbage", "a:b")
    sent = play(protocol, {"type": "Configure", "keyterms": ["Turing"]})
    assert sent[0]["keyterms"] == ["Turing"]
    assert protocol.session.settings.keyterms == ("Turing",)
    assert play(protocol, {"type": "Configure"})[0]["type"] == "ConfigureSuccess"
    many = {"type": "Configure", "keyterms": ["x"] * 501}
    assert play(protocol, many)[0]["code"] == "CONFIGURE_KEYTERM_LIMIT_EXCEEDED"
    refused = play(protocol, {"type": "Configure", "features": {"numerals": True}})
    assert refused[0]["type"] == "ConfigureFailure"
    assert play(protocol, {"type": "Configure", "keyterms": 7})[0]["type"] == "Error"


@pytest.mark.parametrize("junk", ["no JSON", "[]", "7", '{"type": "Dance"}', "[" * 100_000, "{}"])
def test_a_malformed_message(junk: str) -> None:
    protocol = listen()
    (error,) = play(protocol, junk)
    assert (error["type"], error["variant"]) == ("Error", "SchemaError")
    assert text(play(protocol, KEEP, *PCM, CLOSE)) == ALL


def test_the_older_form_of_the_end_message() -> None:
    protocol = listen()
    sent = play(protocol, *PCM, b"", *PCM, CLOSE)
    assert text(sent) == ALL
    assert protocol.closing == Closing(1000, "")


def test_a_stream_without_audio() -> None:
    (metadata,) = play(listen(), FINALIZE, CLOSE)[-1:]
    assert metadata["duration"] == 0


def test_a_client_that_is_silent() -> None:
    protocol = listen()
    play(protocol, *PCM)
    protocol.finish(Closing(4000, "no message for 10 s"))
    answer(protocol)
    assert drain(protocol)[-1]["type"] == "Metadata"
    frame = protocol.close_frame(protocol.closing)
    assert (frame.code, frame.reason[:8]) == (1011, "NET-0001")


def test_a_refusal_has_the_form_of_deepgram() -> None:
    refusal = DeepgramProtocol.refusal(401, "not_authorised", "The key is wrong.")
    assert '"err_code":"INVALID_AUTH"' in refusal.body
    assert refusal.headers["dg-error"] == "The key is wrong."
