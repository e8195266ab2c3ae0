"""The log of what is not settled: nothing is missing from it, and nothing is in it twice."""

import pytest
from distil_stream_client.unsettled import Unsettled
from hypothesis import given
from hypothesis import strategies as st

MARK = {"type": "mark", "id": 1}
FINALIZE = {"type": "finalize"}
END = {"type": "end"}


def taken(log: Unsettled, most: int = 1_000) -> list:
    """All that the log has to send now; audio that comes in several pieces is joined."""
    items: list = []
    while (item := log.take(most)) is not None:
        if isinstance(item, bytes):
            assert 0 < len(item) <= most
            if items and isinstance(items[-1], bytes):
                item = items.pop() + item
        items.append(item)
    return items


@given(
    st.lists(st.binary(max_size=9), max_size=20),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(1, 12),
)
def test_audio_is_sent_from_any_sample(
    pieces: list[bytes], settled: int, sample: int, most: int
) -> None:
    log, whole = Unsettled(), b"".join(pieces)
    settled = min(settled, len(whole) // 2)
    sample = min(max(settled, sample), len(whole) // 2)
    for piece in pieces:
        log.add_audio(piece)
    assert taken(log, most) == [whole][: bool(whole)]
    assert log.all_sent
    log.settle(settled)
    log.resume_at(sample)
    assert b"".join(taken(log, most)) == whole[2 * sample :]
    log.begin_anew({})
    assert b"".join(taken(log, most)) == whole[2 * settled :]
    assert log.end == log.sent == len(whole) // 2


def test_requests_keep_their_place() -> None:
    log = Unsettled()
    log.add_audio(bytes(8))
    log.add_message(FINALIZE)
    log.add_audio(bytes(2))
    log.add_message(END)
    whole = [bytes(8), FINALIZE, bytes(2), END]
    assert taken(log, most=8) == whole
    log.resume_at(2)
    assert taken(log) == [bytes(4), *whole[1:]]
    log.resume_at(5)
    assert taken(log) == [END]
    assert log.end_asked_at == 5


def test_other_messages_are_sent_once() -> None:
    log = Unsettled()
    log.add_message({"type": "keepalive"})
    log.add_audio(bytes(2))
    assert taken(log) == [{"type": "keepalive"}, bytes(2)]
    log.begin_anew({})
    assert taken(log) == [bytes(2)]


def test_a_mark_is_kept_until_it_comes_back() -> None:
    log = Unsettled()
    finalize = {**FINALIZE, "mark": 2}
    for message in (MARK, finalize, FINALIZE):
        log.add_message(message)
    log.add_audio(bytes(8))
    assert taken(log) == [MARK, finalize, FINALIZE, bytes(8)]
    assert log.awaits_answer
    log.settle(4)
    log.begin_anew({})
    assert taken(log) == [MARK, finalize]
    log.resume_at(4)
    assert taken(log) == [], "the server that received the audio received the marks before it"
    assert log.answer(1)
    assert log.answer(2)
    assert not log.awaits_answer
    log.begin_anew({})
    assert taken(log) == []
    assert not log.answer(1), "it was answered before"


def test_a_log_that_keeps_nothing() -> None:
    log = Unsettled("container", keeps=False)
    log.add_audio(b"abc")
    log.add_message(MARK)
    assert taken(log, most=2) == [b"abc", MARK]
    assert log.all_sent
    assert log._pieces == log._requests == []


@pytest.mark.parametrize(("encoding", "silent"), [("pcm_s16le", "0000"), ("mulaw", "ff")])
def test_a_channel_whose_words_are_known_is_silenced(encoding: str, silent: str) -> None:
    log = Unsettled(encoding, channels=2)
    width = len(silent) // 2

    def samples(*numbers: int) -> bytes:
        return b"".join(bytes([n]) * width for n in numbers)

    def anew(known: dict[int, int], most: int = 1_000) -> bytes:
        log.begin_anew(known)
        return b"".join(taken(log, most))

    log.add_audio(samples(1, 2, 3, 4, 5, 6) + b"x" * (width - 1))
    log.settle(1)
    expected = samples(3) + bytes.fromhex(silent) + samples(5, 6) + b"x" * (width - 1)
    for most in range(1, 9):
        assert anew({1: 2}, most) == expected
    log.resume_at(1)
    assert b"".join(taken(log)) == expected, "also if the connection breaks again"
    for known in ({}, {0: 0, 1: 1}):
        assert anew(known).startswith(samples(3, 4, 5, 6))
    assert anew({1: 99})[width : 2 * width] == bytes.fromhex(silent)
