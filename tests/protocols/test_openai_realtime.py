"""OpenAI's transcription sessions without a socket."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from stream.core.windows import Hypothesis, Word
from stream.errors import PeerError
from stream.protocols.openai_realtime.realtime import OpenAIRealtimeProtocol
from tests.core.rehearsal import Script
from tests.protocols import vendors
from tests.protocols.calls import mulaw
from tests.protocols.vendors import SCRIPT, SERVICE, drain, of_type, opened, pieces, play

COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"
COMMIT = {"type": "input_audio_buffer.commit"}
CLEAR = {"type": "input_audio_buffer.clear"}
RATE = {"format": {"type": "audio/pcm", "rate": 16_000}}


def append(audio: bytes) -> dict[str, str]:
    return {"type": "input_audio_buffer.append", "audio": base64.b64encode(audio).decode()}


def update(**audio_input: Any) -> dict[str, Any]:
    session = {"type": "transcription", "audio": {"input": audio_input}}
    return {"type": "session.update", "session": session}


def started(query: str = "intent=transcription", **audio_input: Any) -> Any:
    protocol = opened(OpenAIRealtimeProtocol, query)
    play(protocol, update(**RATE, **audio_input))
    return protocol


AUDIO = [append(piece) for piece in pieces(SCRIPT.pcm)]
TEXTS = ["w0 w1 w2 w3 w4 w5", "w6 w7 w8 w9 w10"]


def check_deltas(sent: list[Any]) -> None:
    """The deltas of each item are its transcript, and none comes after it."""
    texts: dict[str, str] = {}
    for event in sent:
        if event["type"] == DELTA:
            assert event["delta"]
            texts[event["item_id"]] = texts.get(event["item_id"], "") + event["delta"]
        elif event["type"] == COMPLETED:
            assert texts.pop(event["item_id"], "").strip() == event["transcript"]
    assert not texts


def test_a_session_is_announced_and_configured() -> None:
    protocol = opened(OpenAIRealtimeProtocol)
    (created,) = drain(protocol)
    assert created["type"] == "session.created"
    assert created["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert created["session"]["expires_at"] == 1_000_003_600
    asked = update(
        transcription={
            "language": "en-US",
            "prompt": "Hello.",
            "keywords": ["Ada"],
            "delay": "low",
        },
        turn_detection={"type": "server_vad", "silence_duration_ms": 700, "threshold": 0.6},
        noise_reduction={"type": "near_field"},
    )
    (updated,) = play(protocol, asked)
    assert updated["type"] == "session.updated"
    audio_input = updated["session"]["audio"]["input"]
    assert audio_input["turn_detection"]["silence_duration_ms"] == 700
    assert audio_input["noise_reduction"] is None
    play(protocol, append(bytes(4800)))
    assert protocol.session
    settings = protocol.session.settings
    assert (settings.language, settings.prompt, settings.keyterms) == ("en", "Hello.", ("Ada",))
    assert (settings.sample_rate, settings.endpointing_ms) == (24_000, 700)
    play(protocol, update(transcription={"keywords": ["Grace"]}, turn_detection=None))
    settings = protocol.session.settings
    assert (settings.keyterms, settings.prompt) == (("Grace",), "Hello.")
    assert settings.endpointing_ms == 10_000


def test_turns_of_the_server() -> None:
    sent = play(started(), *AUDIO)
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS
    check_deltas(sent)
    kinds = [
        m["type"].removeprefix("input_audio_buffer.") for m in sent if "delta" not in m["type"]
    ]
    once = [
        "speech_started", "speech_stopped", "committed", "conversation.item.added",
        "conversation.item.done", COMPLETED,
    ]  # fmt: skip
    assert kinds == once * 2
    items = [m["item_id"] for m in sent if m["type"] == "input_audio_buffer.committed"]
    before = [m["previous_item_id"] for m in of_type(sent, "input_audio_buffer.committed")]
    assert before == [None, items[0]]
    assert [m["item_id"] for m in of_type(sent, COMPLETED)] == items
    started_at = [m["audio_start_ms"] for m in of_type(sent, "input_audio_buffer.speech_started")]
    assert started_at == pytest.approx([500, 3500], abs=50)
    assert len({m["event_id"] for m in sent}) == len(sent)


def test_items_of_the_client() -> None:
    protocol = started(turn_detection=None)
    sent = play(protocol, *AUDIO[:30], COMMIT, *AUDIO[30:], COMMIT)
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS
    check_deltas(sent)
    assert not of_type(sent, "input_audio_buffer.speech_started")
    seconds = [m["usage"]["seconds"] for m in of_type(sent, COMPLETED)]
    assert sum(seconds) == pytest.approx(len(SCRIPT.samples) / 16_000, abs=0.05)
    (error,) = play(protocol, COMMIT)
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"


def test_a_commit_in_the_middle_of_words() -> None:
    sent = play(started(turn_detection=None), *AUDIO[:12], COMMIT, *AUDIO[12:], COMMIT)
    texts = [m["transcript"] for m in of_type(sent, COMPLETED)]
    assert len(texts) == 2
    assert all(texts)
    check_deltas(sent)


def test_a_late_engine_keeps_items_apart() -> None:
    protocol = started(turn_detection=None)
    frames = [*AUDIO[:30], COMMIT, *AUDIO[30:], COMMIT]
    play(protocol, *frames, answered=False)
    vendors.answer(protocol)
    sent = drain(protocol)
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS


def test_silence_is_an_item_without_words() -> None:
    sent = play(started(turn_detection=None), append(bytes(16_000)), COMMIT)
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == [""]
    assert of_type(sent, COMPLETED)[0]["usage"] == {"type": "duration", "seconds": 0.5}


def test_a_commit_beside_the_servers_turns() -> None:
    sent = play(started(), *AUDIO[:25], COMMIT, *AUDIO[25:])
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS
    check_deltas(sent)


def test_what_is_cleared_is_not_told() -> None:
    protocol = started(turn_detection=None)
    sent = play(protocol, CLEAR, *AUDIO[:30], CLEAR, *AUDIO[30:], COMMIT)
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS[1:]
    assert len(of_type(sent, "input_audio_buffer.cleared")) == 2
    sent = play(started(), *AUDIO[:22], CLEAR, *AUDIO[22:])
    assert "w6 w7 w8 w9 w10" in [m["transcript"] for m in of_type(sent, COMPLETED)]
    assert "w0" not in " ".join(m["transcript"] for m in of_type(sent, COMPLETED))


def test_the_shape_of_the_beta() -> None:
    protocol = opened(OpenAIRealtimeProtocol)
    session = {
        "input_audio_format": "g711_ulaw",
        "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
        "turn_detection": {"type": "semantic_vad", "eagerness": "high"},
        "input_audio_noise_reduction": {"type": "far_field"},
    }
    sent = play(protocol, {"type": "transcription_session.update", "session": session})
    assert sent[-1]["type"] == "transcription_session.updated"
    assert sent[-1]["session"]["input_audio_format"] == "g711_ulaw"
    sent = play(protocol, *(append(one) for one in pieces(mulaw(SCRIPT.samples[::2]), 160)))
    assert [m["transcript"] for m in of_type(sent, COMPLETED)] == TEXTS
    assert len(of_type(sent, "conversation.item.created")) == 2
    assert not of_type(sent, "conversation.item.added")
    wrong = {"type": "transcription_session.update", "session": {"input_audio_format": "mp3"}}
    assert play(protocol, wrong)[0]["error"]["code"] == "invalid_value"


def test_log_probabilities() -> None:
    service = replace(SERVICE, token_bytes=lambda token: f" t{token}".encode())
    protocol = opened(OpenAIRealtimeProtocol, "", service)
    asked = update(**RATE)
    asked["session"]["include"] = ["item.input_audio_transcription.logprobs"]
    script = Script([(2.0, 1.0)])

    def told(window: Any) -> Hypothesis:
        found = script.answer(window)
        words = [replace(word, log_probabilities=(-0.25,)) for word in found.words]
        return replace(found, words=tuple(words))

    sent = play(protocol, asked, *(append(one) for one in pieces(script.pcm)), engine=told)
    (completed,) = of_type(sent, COMPLETED)
    assert completed["logprobs"][0] == {"token": " t0", "bytes": list(b" t0"), "logprob": -0.25}
    assert len(completed["logprobs"]) == 6
    deltas = [one for m in of_type(sent, DELTA) for one in m["logprobs"]]
    assert deltas == completed["logprobs"]
    assert completed["languages"] == [{"code": "en"}]


def test_a_word_without_tokens_has_no_log_probabilities() -> None:
    assert Word(" a", 0, 1, 0.5, (7,)).log_probabilities == ()


@pytest.mark.parametrize(
    ("event", "code", "param"),
    [
        ("no JSON", "invalid_event", "type"),
        ("[]", "invalid_event", "type"),
        ({"no": "type"}, "invalid_event", "type"),
        ({"type": "response.create"}, "unknown_event", "type"),
        ({"type": "session.update", "session": {"type": "realtime"}}, "invalid_value", None),
        ({"type": "session.update"}, "invalid_value", "session"),
        ({"type": "session.update", "session": {"type": "transcription", "audio": 7}},
         "invalid_value", "session"),
        (update(format={"type": "audio/mp3"}), "invalid_value", "format.type"),
        (update(format={"type": "audio/pcm", "rate": 1}), "invalid_value", "sample_rate"),
        (update(transcription={"language": "xx"}), "invalid_value", "language"),
        (update(transcription={"delay": "never"}), "invalid_value", "delay"),
        (update(turn_detection={"type": "magic"}), "invalid_value", "turn_detection.type"),
        (update(turn_detection={"type": "semantic_vad", "eagerness": "x"}), "invalid_value", None),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": 7}, "invalid_value", "audio"),
        (COMMIT, "input_audio_buffer_commit_empty", None),
    ],
)  # fmt: skip
def test_a_mistake_is_told_and_the_session_goes_on(
    event: Any, code: str, param: str | None
) -> None:
    protocol = started()
    (error,) = play(protocol, event | {"event_id": "mine"} if isinstance(event, dict) else event)
    assert error["type"] == "error"
    assert error["error"]["code"] == code
    if param:
        assert error["error"]["param"] == param
    if isinstance(event, dict) and "type" in event:
        assert error["error"]["event_id"] == "mine"
    assert [m["transcript"] for m in of_type(play(protocol, *AUDIO), COMPLETED)] == TEXTS


def test_the_format_is_fixed_by_the_first_audio() -> None:
    protocol = started()
    (error,) = play(protocol, AUDIO[0], update(format={"type": "audio/pcmu"}))[-1:]
    assert error["error"]["param"] == "session.audio.input.format"


def test_only_transcription() -> None:
    with pytest.raises(PeerError, match="transcription"):
        opened(OpenAIRealtimeProtocol, "intent=conversation")
