"""The log of what is not settled: nothing is missing from it, and nothing twice."""

import pytest
from distil_stream_client.unsettled import Unsettled
from hypothesis import given
from hypothesis import strategies as st

MARK = {"type": "mark", "id": 1}
FINALIZE = {"type": "finalize"}


def joined(items) -> bytes:
    return b"".join(item for item in items if isinstance(item, bytes))


@given(st.lists(st.binary(max_size=9), max_size=20), st.integers(0, 60), st.integers(0, 60))
def test_what_comes_after_a_sample(pieces: list[bytes], settled: int, sample: int) -> None:
    log, whole = Unsettled(), b"".join(pieces)
    settled = min(settled, len(whole) // 2)
    sample = min(max(settled, sample), len(whole) // 2)
    for piece in pieces:
        log.add_audio(piece)
    log.settle(settled)
    assert joined(log.after(sample)) == whole[2 * sample :]
    assert joined(log.anew({})) == whole[2 * settled :]
    assert log.end == len(whole) // 2


def test_requests_keep_their_place() -> None:
    log = Unsettled()
    log.add_audio(bytes(8))
    log.add_request(FINALIZE)
    log.add_audio(bytes(2))
    log.add_request({"type": "end"})
    assert list(log.after(2)) == [bytes(4), FINALIZE, bytes(2), {"type": "end"}]
    assert list(log.after(5)) == [{"type": "end"}]


def test_a_mark_is_kept_until_it_comes_back() -> None:
    log = Unsettled()
    log.add_request(MARK)
    log.add_request({"type": "finalize", "mark": 2})
    log.add_request(FINALIZE)
    log.add_audio(bytes(8))
    log.settle(4)
    assert list(log.anew({})) == [MARK, {"type": "finalize", "mark": 2}]
    assert list(log.after(4)) == [], "the server that took the audio took the marks before it"
    assert log.answer(1)
    assert log.answer(2)
    assert list(log.anew({})) == []
    assert not log.answer(1), "it was answered before"


@pytest.mark.parametrize(("encoding", "silent"), [("pcm_s16le", "0000"), ("mulaw", "ff")])
def test_a_channel_whose_words_are_known_is_silenced(encoding: str, silent: str) -> None:
    log = Unsettled(encoding, channels=2)
    width = len(silent) // 2
    log.add_audio(b"".join(bytes([n]) * width for n in (1, 2, 3, 4, 5, 6)) + b"x" * (width - 1))
    log.settle(1)
    expected = bytes([3] * width) + bytes.fromhex(silent) + bytes([5] * width)
    assert joined(log.anew({1: 2})).startswith(expected)
    for known in ({}, {0: 0, 1: 1}):
        assert joined(log.anew(known)).startswith(bytes([3] * width + [4] * width + [5] * width))
    assert joined(log.anew({1: 99}))[width : 2 * width] == bytes.fromhex(silent)
