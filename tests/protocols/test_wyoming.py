"""Wyoming without a socket."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.protocols.wyoming import WyomingProtocol
from tests.protocols.vendors import ALL, SCRIPT, answer, opened, pieces

FORMAT = {"rate": 16_000, "width": 2, "channels": 1}


def event(kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> bytes:
    """An event as the library writes it."""
    content = json.dumps(data).encode() if data else b""
    head: dict[str, Any] = {"type": kind, "version": "1.10.2"}
    if content:
        head["data_length"] = len(content)
    if payload:
        head["payload_length"] = len(payload)
    return json.dumps(head).encode() + b"\n" + content + payload


def read(stream: bytes) -> Iterator[tuple[str, Any]]:
    """The events in a stream, as the library reads them."""
    while stream:
        line, _, stream = stream.partition(b"\n")
        head = json.loads(line)
        size = head.get("data_length", 0)
        yield head["type"], json.loads(stream[:size]) if size else {}
        stream = stream[size:]


def utterance(audio: bytes = SCRIPT.pcm, form: dict[str, int] = FORMAT) -> list[bytes]:
    chunks = [event("audio-chunk", form, piece) for piece in pieces(audio)]
    return [event("audio-start", form), *chunks, event("audio-stop")]


def converse(protocol: WyomingProtocol, *frames: bytes) -> list[tuple[str, Any]]:
    sent = b""
    for frame in frames:
        protocol.receive_binary(frame, 0.0)
        answer(protocol)
        protocol.forget_ended()
        for message in protocol.messages_to_send():
            sent += protocol.encode(message, 0.0)
    return list(read(sent))


def test_what_the_server_is() -> None:
    (kind, info), pong = converse(
        opened(WyomingProtocol), event("describe"), event("ping", {"text": "hi"})
    )
    assert kind == "info"
    (program,) = info["asr"]
    assert program["supports_transcript_streaming"]
    assert program["models"][0]["languages"] == ["en", "de"]
    assert pong == ("pong", {"text": "hi"})


def test_two_utterances_through_one_connection() -> None:
    protocol = opened(WyomingProtocol)
    transcribe = event("transcribe", {"language": "en", "transcript_terms": ["Ada"]})
    for _ in range(2):
        sent = converse(protocol, transcribe, *utterance())
        kinds = [kind for kind, _ in sent]
        assert kinds[0] == "transcript-start"
        assert kinds[-2:] == ["transcript", "transcript-stop"]
        assert set(kinds[1:-2]) == {"transcript-chunk"}
        chunks = "".join(data["text"] for kind, data in sent if kind == "transcript-chunk")
        assert chunks == ALL
        assert sent[-2][1] == {"text": ALL, "language": "en"}
    assert protocol.closing is None


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(1, 200_000), max_size=10))
def test_tcp_may_cut_anywhere(cuts: list[int]) -> None:
    stream = b"".join(utterance())
    ends = [*sorted({cut for cut in cuts if cut < len(stream)}), len(stream)]
    parts = [stream[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    sent = converse(opened(WyomingProtocol), *parts)
    assert [data["text"] for kind, data in sent if kind == "transcript"] == [ALL]


def test_two_channels_and_silence() -> None:
    both = np.repeat(SCRIPT.samples[:, None], 2, 1)
    audio = (both * 32_767).astype("<i2").tobytes()
    sent = converse(opened(WyomingProtocol), *utterance(audio, FORMAT | {"channels": 2}))
    assert sent[-2][1]["text"] == ALL
    sent = converse(opened(WyomingProtocol), *utterance(bytes(32_000)))
    assert [kind for kind, _ in sent] == ["transcript-start", "transcript", "transcript-stop"]
    assert sent[1][1]["text"] == ""


def test_unknown_events_are_dropped() -> None:
    sent = converse(
        opened(WyomingProtocol), event("synthesize", {"text": "x"}), event("audio-stop")
    )
    assert sent == []


@pytest.mark.parametrize(
    "data",
    [
        b"no JSON\n", b"[]\n", b"{}\n", b"x" * 70_000, b'{"type": "a", "data_length": -1}\n',
        b'{"type": "a", "payload_length": 99999999}\n', b'{"type": "a", "data_length": 1}\nx',
        event("audio-start", FORMAT | {"width": 3}), event("audio-start", {}),
        event("audio-start", FORMAT | {"channels": 9}),
        event("audio-start", FORMAT | {"rate": 1}),
        event("transcribe", {"language": "xx"}) + event("audio-start", FORMAT),
    ],
)  # fmt: skip
def test_what_cannot_be_served(data: bytes) -> None:
    protocol = opened(WyomingProtocol)
    sent = converse(protocol, data)
    assert sent[-1][0] == "error"
    assert protocol.closing
