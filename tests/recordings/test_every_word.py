"""Both algorithms for long recordings return every word once and in order."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.recordings.rehearsal import SECOND, Rehearsal, speak


@pytest.mark.slow
@pytest.mark.parametrize("long_form", ["chunked", "sequential"])
@settings(deadline=None, max_examples=30)
@given(
    turns=st.lists(st.tuples(st.floats(0.3, 6.0), st.floats(0.5, 40.0)), min_size=1, max_size=6),
    chunk_s=st.sampled_from([5.0, 12.0, 28.0]),
    block=st.sampled_from([3_000, 16_000, 200_000]),
)
def test_every_word_comes_once_and_in_order(
    long_form: str, turns: list[tuple[float, float]], chunk_s: float, block: int
) -> None:
    at, spans = 0.0, []
    for pause, length in turns:
        spans.append((at + pause, at + pause + length))
        at += pause + length
    samples, words = speak(*spans)
    rehearsal = Rehearsal(words, long_form=long_form, chunk_length_s=chunk_s)
    rehearsal.play(samples, block)
    assert rehearsal.said == [w.text.strip() for w in words]
    if long_form == "chunked":
        times = [w.start_s for s in rehearsal.segments for w in s.words]
        assert times == sorted(times)
        for window in rehearsal.windows:
            assert 0 < len(window.samples) <= chunk_s * SECOND
