"""AssemblyAI's streaming API without a socket."""

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from stream.core.windows import Hypothesis
from stream.errors import PeerError
from stream.media.opus_packets import OpusPackets
from stream.protocols.assemblyai import AssemblyAIProtocol
from stream.protocols.interface import Closing
from tests.media.decoding import ContainerDecoder
from tests.media.files import opus_packets
from tests.protocols import vendors
from tests.protocols.calls import mulaw
from tests.protocols.vendors import ALL, SCRIPT, SERVICE, drain, of_type, opened, pieces, play

RAW = "sample_rate=16000"
PCM = pieces(SCRIPT.pcm)
TERMINATE, FORCE = {"type": "Terminate"}, {"type": "ForceEndpoint"}
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]


def streaming(query: str = RAW) -> AssemblyAIProtocol:
    protocol: AssemblyAIProtocol = opened(AssemblyAIProtocol, query)
    return protocol


def turns(sent: list[Any]) -> list[Any]:
    return [m for m in of_type(sent, "Turn") if m["end_of_turn"]]


def texts(sent: list[Any]) -> list[str]:
    return [m["transcript"] for m in turns(sent)]


def test_a_session() -> None:
    protocol = streaming(f"{RAW}&format_turns=true&speech_model=universal-streaming-english")
    sent = play(protocol, *PCM, TERMINATE)
    assert sent[0]["type"] == "Begin"
    assert sent[0]["expires_at"] == 1_000_010_800
    assert texts(sent) == TEXTS
    assert [m["turn_order"] for m in turns(sent)] == [0, 1]
    assert all(m["turn_is_formatted"] for m in turns(sent))
    assert [m["end_of_turn_confidence"] for m in turns(sent)] == [0.9, 0.9]
    word = turns(sent)[0]["words"][0]
    assert word == {
        "start": 500, "end": 750, "confidence": 0.9, "text": "w0", "word_is_final": True,
    }  # fmt: skip
    starts = [m["timestamp"] for m in of_type(sent, "SpeechStarted")]
    assert starts == pytest.approx([500, 3500], abs=50)
    ended = sent[-1]
    assert ended["type"] == "Termination"
    assert ended["audio_duration_seconds"] == round(len(SCRIPT.samples) / 16_000)
    assert protocol.closing == Closing(1000, "")


def test_the_transcript_of_a_turn_that_goes_on_only_grows() -> None:
    sent = play(streaming(), *PCM, TERMINATE)
    for order, whole in enumerate(TEXTS):
        parts = [m["transcript"] for m in of_type(sent, "Turn") if m["turn_order"] == order]
        assert all(whole.startswith(part) for part in parts)
        assert parts == sorted(parts, key=len)
    partials = [m for m in of_type(sent, "Turn") if not m["end_of_turn"]]
    assert any(not word["word_is_final"] for m in partials for word in m["words"])
    changing = play(streaming(f"{RAW}&speech_model=u3-rt-pro"), *PCM[:20])
    last = of_type(changing, "Turn")[-1]
    assert last["transcript"] == " ".join(word["text"] for word in last["words"])


def doubtful(window: Any) -> Hypothesis:
    words = SCRIPT.answer(window).words
    return Hypothesis(window, tuple(replace(word, confidence=0.65) for word in words))


def test_a_turn_of_little_confidence_waits_for_the_longest_silence() -> None:
    asked = f"{RAW}&end_of_turn_confidence_threshold=1.0&max_turn_silence=700"
    assert texts(play(streaming(asked), *PCM, TERMINATE, engine=doubtful)) == TEXTS
    asked = f"{RAW}&end_of_turn_confidence_threshold=1.0&max_turn_silence=5000"
    assert texts(play(streaming(asked), *PCM, TERMINATE, engine=doubtful)) == [ALL]


def test_the_client_ends_a_turn() -> None:
    protocol = streaming(f"{RAW}&end_of_turn_confidence_threshold=1.0&max_turn_silence=9000")
    sent = play(protocol, *PCM[:27], FORCE, FORCE, *PCM[27:], TERMINATE, engine=doubtful)
    assert texts(sent) == TEXTS


def test_a_late_engine_gives_the_same_turns() -> None:
    protocol = streaming()
    play(protocol, *PCM, TERMINATE, answered=False)
    vendors.answer(protocol)
    assert texts(drain(protocol)) == TEXTS


def test_settings_change() -> None:
    terms = urlencode({"keyterms_prompt": json.dumps(["Ada"])})
    protocol = streaming(f"{RAW}&{terms}&prompt=Hello")
    assert protocol.session
    assert protocol.session.settings.keyterms == ("Ada",)
    assert protocol.session.settings.prompt == "Hello"
    change = {
        "type": "UpdateConfiguration", "min_turn_silence": 800, "keyterms_prompt": ["Turing"],
        "format_turns": True,
    }  # fmt: skip
    play(protocol, change)
    assert protocol.session.settings.endpointing_ms == 800
    assert protocol.session.settings.keyterms == ("Turing",)
    assert all(m["turn_is_formatted"] for m in turns(play(protocol, *PCM, TERMINATE)))


@pytest.mark.parametrize(
    "message",
    [{"type": "UpdateConfiguration", "min_turn_silence": "soon"},
     {"type": "UpdateConfiguration", "keyterms_prompt": 7}, {"type": "Dance"}],
)  # fmt: skip
def test_a_message_that_changes_nothing(message: Any) -> None:
    protocol = streaming()
    play(protocol)
    (warning,) = play(protocol, message)
    assert warning["type"] == "Warning"
    assert texts(play(protocol, {"type": "KeepAlive"}, *PCM, TERMINATE)) == TEXTS


@pytest.mark.parametrize("junk", ["no JSON", "[]", "{}"])
def test_a_malformed_message(junk: str) -> None:
    protocol = streaming()
    assert play(protocol, junk)[-1]["type"] == "Error"
    assert protocol.closing
    assert protocol.close_frame(protocol.closing).code == 3006


def test_other_encodings() -> None:
    eight = mulaw(SCRIPT.samples[::2])
    query = "encoding=pcm_mulaw&sample_rate=8000"
    assert texts(play(streaming(query), *pieces(eight, 800), TERMINATE)) == TEXTS
    service = replace(SERVICE, opus=OpusPackets, container=ContainerDecoder)
    packets, ogg = opus_packets(SCRIPT.samples * np.sin(np.arange(len(SCRIPT.samples))))
    protocol = opened(AssemblyAIProtocol, "encoding=opus", service)
    assert texts(play(protocol, *packets, TERMINATE)) == TEXTS
    protocol = opened(AssemblyAIProtocol, "encoding=ogg_opus", service)
    assert texts(play(protocol, *pieces(ogg, 999), TERMINATE)) == TEXTS


def test_languages() -> None:
    def asked(query: str) -> Any:
        found = streaming(f"{RAW}&{query}").session
        assert found
        return found.settings.language

    assert asked("") == "en"
    assert asked("language_code=de") == "de"
    assert asked(urlencode({"language_codes": '["de", "en"]'})) == "auto"
    assert asked("speech_model=universal-streaming-multilingual") == "auto"
    detecting = streaming(f"{RAW}&language_detection=true")
    assert turns(play(detecting, *PCM, TERMINATE))[0]["language_code"] == "en"


def test_settings_without_effect_are_reported() -> None:
    sent = play(streaming(f"{RAW}&speaker_labels=true&filter_profanity=true&domain=medical-v1"))
    assert [m["type"] for m in sent] == ["Begin", "Warning", "Warning", "Warning"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "sample_rate"), ("encoding=mp3", "encoding"), (f"{RAW}&redact_pii=true", "redact"),
        (f"{RAW}&webhook_url=https://example.com", "webhook"), (f"{RAW}&keyterms_prompt=x", "list"),
        (f"{RAW}&min_turn_silence=soon", "number"), (f"{RAW}&language_code=xx", "language"),
        ("sample_rate=1", "sample_rate"), ("encoding=opus", "Opus"),
    ],
)  # fmt: skip
def test_what_is_refused(query: str, words: str) -> None:
    with pytest.raises(PeerError, match=words):
        streaming(query)


def test_a_limit_for_silent_clients() -> None:
    protocol = streaming(f"{RAW}&inactivity_timeout=30")
    assert protocol.idle_s == 30
    assert protocol.close_frame(Closing(4000, "")).code == 4031
