"""The protocol of vosk-server without a socket."""

from typing import Any

import pytest

from stream.protocols.interface import Closing
from stream.protocols.vosk import VoskProtocol
from tests.protocols import vendors
from tests.protocols.vendors import ALL, SCRIPT, drain, opened, pieces, play

CONFIG = {"config": {"sample_rate": 16_000}}
PCM = pieces(SCRIPT.pcm, 4_000)
EOF, RESET = '{"eof" : 1}', '{"reset" : 1}'


def texts(replies: list[Any]) -> list[str]:
    return [reply["text"] for reply in replies if reply.get("text")]


def test_every_message_has_one_reply() -> None:
    protocol = opened(VoskProtocol)
    assert play(protocol, CONFIG) == []
    replies = []
    for piece in PCM:
        (reply,) = play(protocol, piece)
        replies.append(reply)
    (last,) = play(protocol, EOF)
    assert protocol.closing == Closing(1000, "")
    assert " ".join(texts([*replies, last])) == ALL
    assert {frozenset(reply) for reply in replies} == {
        frozenset({"partial"}), frozenset({"text", "result"}),
    }  # fmt: skip
    assert any(reply.get("partial") for reply in replies)
    words = [word for reply in [*replies, last] for word in reply.get("result", ())]
    assert words[0] == {"conf": 0.9, "start": 0.5, "end": 0.75, "word": "w0"}
    assert [word["word"] for word in words] == ALL.split()


def test_a_late_engine_is_not_waited_for_but_at_the_end() -> None:
    protocol = opened(VoskProtocol)
    replies = play(protocol, CONFIG, *PCM, answered=False)
    assert replies == [{"partial": ""}] * len(PCM)
    assert play(protocol, EOF, answered=False) == []
    vendors.answer(protocol)
    assert texts(drain(protocol)) == [ALL]


def test_a_reset_is_answered_in_its_place() -> None:
    protocol = opened(VoskProtocol)
    replies = play(protocol, CONFIG, *PCM[:15], RESET, *PCM[15:18], answered=False)
    assert len(replies) == 15
    vendors.answer(protocol)
    replies = drain(protocol)
    assert len(replies) == 4
    assert replies[0]["text"].startswith("w0 w1")
    assert "partial" in replies[1]


def test_alternatives_partial_words_and_grammar() -> None:
    config = {"sample_rate": 16_000.0, "max_alternatives": 2, "partial_words": True}
    config |= {"phrase_list": ["Ada", "Grace"], "model": "/a/path"}
    protocol = opened(VoskProtocol)
    replies = play(protocol, {"config": config}, *PCM, EOF)
    assert protocol.session.settings.keyterms == ("Ada", "Grace")
    found = [reply["alternatives"][0] for reply in replies if "alternatives" in reply]
    assert " ".join(one["text"] for one in found if one["text"]) == ALL
    assert found[0]["confidence"] == 0.9
    assert any(reply.get("partial_result") for reply in replies)
    bare = play(
        opened(VoskProtocol), {"config": {"sample_rate": 16_000, "words": False}}, *PCM, EOF
    )
    assert not any("result" in reply for reply in bare)


def test_without_a_configuration_and_without_audio() -> None:
    protocol = opened(VoskProtocol)
    eight = pieces((SCRIPT.samples[::2] * 32_767).astype("<i2").tobytes(), 4_000)
    assert " ".join(texts(play(protocol, *eight, EOF))) == ALL
    assert play(opened(VoskProtocol), EOF) == [{"text": ""}]


@pytest.mark.parametrize("frame", ["x", "[]", '{"mood": 1}', '{"config": {"sample_rate": "x"}}'])
def test_what_is_no_message(frame: str) -> None:
    protocol = opened(VoskProtocol)
    assert play(protocol, frame) == []
    assert protocol.closing
    assert protocol.closing.code != 1000
