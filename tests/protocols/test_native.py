"""The native protocol without sockets: its table of states, its numbering, its latencies."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.audio import Gap
from stream.core.windows import Hypothesis
from stream.protocols.interface import Closing, Service
from stream.protocols.messages import ERROR_CODES
from stream.protocols.native import NativeProtocol
from stream.protocols.protocol_table import PROTOCOLS, load_protocols
from tests.core.rehearsal import LoudIsSpeech, Script
from tests.media.decoding import ContainerDecoder
from tests.protocols.malformed import MALFORMED, Case

SERVICE = Service(model="scripted", detector=LoudIsSpeech)
SCRIPT = Script([(2.0, 1.0), (1.5, 1.0)])


class Stream:
    """A protocol with its clock, and an engine that knows the script."""

    def __init__(self, query: str = "", service: Service = SERVICE) -> None:
        self.now = 100.0
        self.protocol = NativeProtocol(service, "id", parse_qs(query))
        self.sent: list[dict[str, Any]] = []

    def receive(self, *frames: str | bytes) -> list[dict[str, Any]]:
        """Feed frames in, with every window answered; return what was sent because of them."""
        before = len(self.sent)
        for frame in frames:
            if isinstance(frame, str):
                self.protocol.receive_text(frame, self.now)
            else:
                self.protocol.receive_binary(frame, self.now)
            self.answer()
        self.flush()
        return self.sent[before:]

    def answer(self) -> None:
        while windows := self.protocol.windows_to_transcribe():
            for window in windows:
                self.protocol.receive_hypothesis(SCRIPT.answer(window))

    def flush(self) -> None:
        for draft in self.protocol.messages_to_send():
            self.sent.append(json.loads(self.protocol.encode(draft, self.now)))

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] in types]


def frames(data: bytes, size: int) -> Iterable[bytes]:
    return (data[i : i + size] for i in range(0, len(data), size))


@pytest.mark.parametrize("case", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_messages(case: Case) -> None:
    stream = Stream(case.query)
    stream.receive(*case.sent)
    errors = stream.of_type("error")
    assert errors[-1]["code"] == case.code
    assert errors[-1]["message"].endswith(".")
    assert errors[-1]["fatal"] == (case.close_code not in (None, 1000))
    closing = stream.protocol.closing
    assert (closing.code if closing else None) == case.close_code
    if errors[-1]["fatal"]:
        assert closing
        assert closing.reason == case.code
        assert ERROR_CODES[closing.reason] == closing.code


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=20),
            st.binary(max_size=2000),
            st.sampled_from([frame for case in MALFORMED.values() for frame in case.sent]),
            st.builds(
                lambda type, field, value: json.dumps({"type": type, field: value}),
                st.sampled_from(["start", "configure", "finalize", "mark", "keepalive", "end"]),
                st.sampled_from(
                    ["id", "mark", "channels", "language", "keyterms", "partials", "resume", "x"]
                ),
                st.one_of(st.integers(), st.text(max_size=3), st.none(), st.lists(st.text())),
            ),
        ),
        max_size=12,
    )
)
def test_no_client_can_make_it_raise(sent: list[str | bytes]) -> None:
    stream = Stream()
    stream.receive(*sent)
    assert [m["seq"] for m in stream.sent] == list(range(1, len(stream.sent) + 1))
    assert all(m["code"] in ERROR_CODES for m in stream.of_type("error"))


@pytest.mark.parametrize("size", [1, 333, 3200, 1_000_000])
def test_a_stream_from_start_to_end(size: int) -> None:
    stream = Stream()
    if size == 1:
        stream.receive(
            '{"type":"start","words":true}', *frames(SCRIPT.pcm[:2001], 1), SCRIPT.pcm[2001:]
        )
    else:
        stream.receive('{"type":"start","words":true}', *frames(SCRIPT.pcm, size))
    stream.receive('{"type":"end"}')
    finals = stream.of_type("final")
    assert " ".join(final["text"] for final in finals) == SCRIPT.text
    assert [w["word"] for f in finals for w in f["words"]] == SCRIPT.text.split()
    for partial in stream.of_type("partial"):
        (final,) = [f for f in finals if f["utterance"] == partial["utterance"]]
        assert final["text"].startswith(partial["committed"])
    ended = stream.sent[-1]
    n_samples = len(SCRIPT.pcm) // 2
    assert ended["type"] == "ended"
    assert (ended["received"], ended["settled"]) == (n_samples, n_samples)
    assert ended["finals"] == len(finals) == stream.protocol.counts.finals == 2
    assert stream.protocol.closing == Closing(1000, "")
    assert stream.protocol.counts.audio_s == n_samples / 16_000


def test_start_may_be_left_out() -> None:
    stream = Stream("encoding=mulaw&sample_rate=8000&partials=false&keyterms=Ada&keyterms=Grace")
    first = stream.receive(bytes(160), '{"type":"configure","prompt":"Dear"}')
    assert [message["type"] for message in first] == ["ready", "configured"]
    assert first[1]["encoding"] == "mulaw"
    assert first[1]["sample_rate"] == 8000
    assert first[1]["partials"] is False
    assert first[1]["keyterms"] == ["Ada", "Grace"]


def test_start_wins_over_the_query() -> None:
    stream = Stream("channels=2&language=auto&token=key")
    stream.receive('{"type":"start","channels":3}', '{"type":"configure"}')
    (configured,) = stream.of_type("configured")
    assert configured["channels"] == 3
    assert configured["language"] == "auto"


def test_keepalive_opens_nothing() -> None:
    stream = Stream()
    assert stream.receive('{"type":"keepalive"}') == []
    assert stream.protocol.session is None


def test_an_unreadable_cache_is_rewritten_at_the_next_start() -> None:
    stream = Stream()
    stream.receive('{"type":"start","chanels":2}', '{"type":"start","channels":2}', bytes(640))
    assert [m["type"] for m in stream.sent] == ["error", "ready"]


def test_marks_return_after_the_finals_of_earlier_audio() -> None:
    stream = Stream()
    third = len(SCRIPT.pcm) // 3 * 2
    stream.receive(SCRIPT.pcm[:third], '{"type":"finalize","mark":7}')
    kinds = [m["type"] for m in stream.of_type("final", "mark")]
    assert kinds[-1] == "mark"
    assert stream.of_type("mark")[0]["id"] == 7
    stream.receive(SCRIPT.pcm[third:], '{"type":"mark","id":8}', '{"type":"end"}')
    assert [m["id"] for m in stream.of_type("mark")] == [7, 8]


def test_messages_after_the_end_are_refused_and_ignored() -> None:
    stream = Stream()
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    stream.protocol.receive_text('{"type":"end"}', stream.now)
    for late in ("start", "mark", "configure", "finalize", "end", "keepalive"):
        stream.protocol.receive_text(json.dumps({"type": late, "id": 1}), stream.now)
        stream.protocol.receive_text(json.dumps({"type": late}), stream.now)
    stream.protocol.receive_binary(b"late", stream.now)
    stream.answer()
    stream.flush()
    errors = {m["code"] for m in stream.of_type("error")}
    assert errors == {"bad_message", "audio_after_end"}
    assert not any(m["fatal"] for m in stream.of_type("error"))
    assert stream.sent[-1]["received"] == len(SCRIPT.pcm) // 2
    assert stream.protocol.closing == Closing(1000, "")


def test_nothing_follows_the_last_message() -> None:
    stream = Stream()
    stream.receive('{"type":"end"}', '{"type":"dance"}', "hello", b"late")
    assert [m["type"] for m in stream.sent] == ["ready", "progress", "ended"]
    assert stream.protocol.closing == Closing(1000, "")


def test_the_server_ends_a_stream_with_its_finals() -> None:
    stream = Stream()
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    stream.protocol.finish(Closing(1001, "going away"))
    stream.protocol.receive_binary(b"too late", stream.now)
    stream.protocol.receive_text("what?", stream.now)
    assert stream.protocol.closing is None
    stream.answer()
    stream.flush()
    assert len(stream.of_type("final")) == 2
    assert stream.of_type("error") == []
    assert stream.sent[-1]["settled"] == len(SCRIPT.pcm) // 2
    assert stream.protocol.closing == Closing(1001, "going away")


def test_the_server_does_not_change_how_a_client_ends() -> None:
    stream = Stream()
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    stream.protocol.receive_text('{"type":"end"}', stream.now)
    stream.protocol.finish(Closing(1001, "going away"))
    stream.answer()
    assert stream.protocol.closing == Closing(1000, "")


def test_a_stream_that_never_began_ends_at_once() -> None:
    stream = Stream()
    stream.protocol.finish(Closing(4000, "idle"))
    assert stream.receive(bytes(10)) == []
    assert stream.protocol.closing == Closing(4000, "idle")


def test_latency_counts_from_the_arrival_of_the_last_speech() -> None:
    """Real time: a frame of 20 ms every 20 ms; the engine takes no time, sending 30 ms."""
    stream = Stream()
    for frame in frames(SCRIPT.pcm, 640):
        stream.now += 0.02
        stream.protocol.receive_binary(frame, stream.now)
        stream.answer()
        stream.now += 0.03
        stream.flush()
        stream.now -= 0.03
    first, _ = stream.of_type("final")
    assert first["latency"]["endpoint_ms"] == pytest.approx(500, abs=40)
    assert first["latency"]["total_ms"] == pytest.approx(530, abs=60)


@pytest.mark.slow
def test_the_memory_of_arrivals_stays_small() -> None:
    stream = Stream()
    for _ in range(20):
        stream.receive(*frames(SCRIPT.pcm, 320))
    assert len(stream.protocol.sessions.get("id").arrivals) < 1000


def test_a_window_that_fails_is_reported_and_the_stream_continues() -> None:
    stream = Stream("partials=false")
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    failed = 0
    while windows := stream.protocol.windows_to_transcribe():
        for window in windows:
            failed += 1
            hypothesis = Hypothesis(window, words=(), failure="out of memory.")
            stream.protocol.receive_hypothesis(hypothesis)
    stream.receive('{"type":"end"}')
    assert len(stream.of_type("error")) >= failed > 0
    assert {m["code"] for m in stream.of_type("error")} == {"transcription_failed"}
    assert stream.sent[-1]["settled"] == stream.sent[-1]["received"]


@pytest.mark.parametrize("encoding", ["container", "pcm_s16le", "mulaw"])
def test_only_audio_in_a_container_is_compressed(encoding: str) -> None:
    service = replace(SERVICE, container=ContainerDecoder)
    started = Stream(service=service)
    assert not started.protocol.sessions.compressed  # nothing is known yet
    started.receive(json.dumps({"type": "start", "encoding": encoding}))
    assert started.protocol.sessions.compressed == (encoding == "container")
    asked = Stream(f"encoding={encoding}", service)
    asked.receive(bytes(2))
    assert asked.protocol.sessions.compressed == (encoding == "container")


def test_a_container_that_is_refused_is_no_compressed_stream() -> None:
    stream = Stream()
    sent = stream.receive(json.dumps({"type": "start", "encoding": "container"}))
    assert [message["type"] for message in sent] == ["error"]
    assert not stream.protocol.sessions.compressed


def test_every_row_is_a_protocol_that_clients_can_reach() -> None:
    protocols = load_protocols(PROTOCOLS.values())
    assert len(protocols) == len(PROTOCOLS)
    assert all(protocol.paths or protocol.own_port for protocol in protocols)


@pytest.mark.parametrize(
    ("start", "setting", "value"),
    [
        ('{"sample_rate":48000.0}', "sample_rate", 48_000),
        ('{"channels":2.0}', "channels", 2),
        ('{"endpointing_ms":7e2}', "endpointing_ms", 700),
        ('{"sample_rate":"8000"}', "sample_rate", 8_000),
        ('{"language":"EN"}', "language", "en"),
        ('{"language":"en-GB"}', "language", "en"),
        ('{"language":"en_AU"}', "language", "en"),
        ('{"language":""}', "language", "en"),
        ('{"language":null}', "language", "en"),
        ('{"sample_rate":null}', "sample_rate", 16_000),
        ('{"encoding":"","model":"","task":""}', "encoding", "pcm_s16le"),
        ('{"keyterms":null,"prompt":null,"words":null}', "prompt", ""),
    ],
)
def test_values_as_other_tools_write_them(start: str, setting: str, value: object) -> None:
    stream = Stream()
    stream.receive(f'{{"type":"start",{start[1:]}', '{"type":"configure"}')
    (configured,) = stream.of_type("configured")
    assert configured[setting] == value
    assert not stream.of_type("error")


@pytest.mark.parametrize("start", ['{"sample_rate":44100.5}', '{"channels":1e30}'])
def test_numbers_that_are_not_whole(start: str) -> None:
    stream = Stream()
    (error,) = stream.receive(f'{{"type":"start",{start[1:]}')
    assert error["code"] == "bad_message"


def test_marks_and_finalize_take_numbers_of_any_notation() -> None:
    stream = Stream()
    stream.receive('{"type":"mark","id":3.0}', '{"type":"finalize","mark":4.0}')
    assert [mark["id"] for mark in stream.of_type("mark")] == [3, 4]


@pytest.mark.parametrize("query", ["sample_rate=&language=", "keyterms=&room=&speakers=", "model="])
def test_a_field_without_a_value_is_left_out_of_a_query(query: str) -> None:
    stream = Stream(query)
    stream.receive('{"type":"start"}')
    assert not stream.of_type("error")
    assert stream.protocol.membership is None


def test_a_blank_value_in_a_repeated_query_parameter() -> None:
    stream = Stream("keyterms=&keyterms=Ada&language=en&language=")
    stream.receive('{"type":"configure"}')
    (configured,) = stream.of_type("configured")
    assert (configured["keyterms"], configured["language"]) == (["Ada"], "en")


def test_a_language_in_configure_is_read_as_in_start() -> None:
    service = replace(SERVICE, languages=("en", "de"))
    stream = Stream(service=service)
    stream.receive('{"type":"start"}', '{"type":"configure","language":"de-CH","prompt":""}')
    assert stream.of_type("configured")[-1]["language"] == "de"


def test_labels_are_names_in_any_script() -> None:
    stream = Stream("room=r&channels=2")
    stream.receive('{"type":"start","speakers":["佐藤\u3000花子","می\u200cنا"]}')
    assert stream.protocol.membership is not None
    assert stream.protocol.membership.speakers == ("佐藤 花子", "می\u200cنا")
    refused = Stream("room=r")
    (error,) = refused.receive('{"type":"start","speakers":["Ada\u202e"]}')
    assert (error["code"], error["fatal"]) == ("bad_settings", True)
    assert "RIGHT-TO-LEFT OVERRIDE" in error["message"]


REFUSED = {
    "text that is no JSON": ("hello", "malformed", 1007),
    "a list": ("[1]", "malformed", 1007),
    "a bad start": ('{"type":"start","sample_rate":1}', "bad_settings", 4001),
}


@pytest.mark.parametrize("wrong", REFUSED)
@pytest.mark.parametrize("ended", [False, True])
def test_a_refusal_during_a_stream_comes_after_the_finals(wrong: str, ended: bool) -> None:
    text, code, close_code = REFUSED[wrong]
    if ended and code == "bad_settings":
        return  # after `end`, any `start` is a message too late
    stream = Stream()
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    if ended:
        stream.protocol.receive_text('{"type":"end"}', stream.now)
    stream.protocol.receive_text(text, stream.now)
    assert stream.protocol.closing is None, "the engine has not answered yet"
    stream.receive(SCRIPT.pcm, '{"type":"configure"}', "again")
    assert " ".join(final["text"] for final in stream.of_type("final")) == SCRIPT.text
    assert stream.of_type("ended", "configured") == []
    last = stream.sent[-1]
    assert (last["type"], last["code"], last["fatal"]) == ("error", code, True)
    assert stream.protocol.closing == Closing(close_code, code)
    assert stream.protocol.counts.errors == 1
    (progress, *_) = reversed(stream.of_type("progress"))
    assert progress["settled"] == progress["received"] == len(SCRIPT.pcm) // 2


def test_a_stream_that_is_refused_is_not_resumed() -> None:
    service = replace(SERVICE, resume_token=lambda _: "token")
    stream = Stream(service=service)
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    assert stream.protocol.resumable
    stream.protocol.receive_text("hello", stream.now)
    assert not stream.protocol.resumable
    stream.answer()
    assert not stream.protocol.resumable


def test_an_error_of_the_server_closes_at_once() -> None:
    stream = Stream()
    stream.protocol.receive_binary(SCRIPT.pcm, stream.now)
    stream.protocol.fail("internal", "The server made a mistake.")
    assert stream.protocol.closing == Closing(1011, "internal")


def test_gaps_in_a_container_are_reported_with_their_times() -> None:
    samples = SCRIPT.samples
    cut = round(3.2 * 16_000)

    class Recorder:
        """A container whose recorder was muted for ten seconds, 3.2 s from the beginning."""

        leftover = 0

        def __init__(self, channels: int) -> None:
            pass

        def decode(self, data: bytes) -> list[Any]:
            return [samples[None, :cut], Gap(160_000), samples[None, cut:]]

        def flush(self) -> list[Any]:
            return []

        owes_sounds = False

        def take_problems(self) -> list[str]:
            return []

        def forget_leftover(self) -> None:
            pass

    stream = Stream("encoding=container", replace(SERVICE, container=Recorder))
    stream.receive(b"bytes", '{"type":"end"}')
    (gap,) = stream.of_type("gap")
    assert (gap["channel"], gap["time"], gap["duration"]) == (0, 3.2, 10.0)
    started = [event["time"] for event in stream.of_type("speech_started")]
    assert started == [0.5, 13.5]
    ended = stream.sent[-1]
    assert ended["received"] == ended["settled"] == len(samples) + 160_000
