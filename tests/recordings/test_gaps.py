"""Gaps in a recording: words after them have their true times, and no word is lost."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.windows import Word
from tests.recordings.rehearsal import SECOND, Rehearsal, speak

FORMS = ["chunked", "sequential"]


def with_gaps(parts: list[tuple[float, float]]) -> tuple[list[np.ndarray], list[int], list[Word]]:
    """Parts of (seconds of speech, seconds of gap after it): pieces, gaps, and all words."""
    pieces, gaps, words, begin = [], [], [], 0
    for speech_s, gap_s in parts:
        samples, said = speak((0.5, 0.5 + speech_s))
        for word in said:
            at = begin + word.start_sample
            number = len(words)
            length = word.end_sample - word.start_sample
            words.append(Word(f" w{number}", at, at + length, 0.9, (number,)))
        pieces.append(samples)
        gaps.append(round(gap_s * SECOND))
        begin += len(samples) + gaps[-1]
    return pieces, gaps, words


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@given(
    parts=st.lists(
        st.tuples(
            st.integers(1, 30).map(lambda n: 0.4 * n),
            st.one_of(st.floats(0.01, 1.0), st.floats(1.0, 10_000.0)),
        ),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=25, deadline=None)
def test_words_have_their_true_times(form: str, parts: list[tuple[float, float]]) -> None:
    pieces, gaps, words = with_gaps(parts)
    rehearsal = Rehearsal(words, long_form=form).play_with_gaps(pieces, gaps)
    found = [word for segment in rehearsal.segments for word in segment.words]
    assert [word.text for word in found] == [word.text for word in words]
    for one, other in zip(found, words, strict=True):
        assert one.start_s == pytest.approx(other.start_sample / SECOND, abs=0.001)
    assert all(len(window.samples) <= 30 * SECOND for window in rehearsal.windows)


@pytest.mark.parametrize("form", FORMS)
def test_a_day_of_silence_costs_nothing(form: str) -> None:
    pieces, gaps, words = with_gaps([(4.0, 86_400.0), (4.0, 0.0)])
    rehearsal = Rehearsal(words, long_form=form).play_with_gaps(pieces, gaps)
    assert rehearsal.said == [word.text.strip() for word in words]
    assert len(rehearsal.windows) == 2
    assert sum(len(window.samples) for window in rehearsal.windows) < 12 * SECOND


def test_a_gap_in_the_middle_of_a_word_keeps_the_words_around_it() -> None:
    samples, words = speak((0.5, 8.5))
    half, gap = round(4.5 * SECOND), 5 * SECOND
    shifted = [
        replace(w, start_sample=w.start_sample + gap, end_sample=w.end_sample + gap)
        if w.start_sample >= half
        else w
        for w in words
    ]
    rehearsal = Rehearsal(shifted).play_with_gaps([samples[:half], samples[half:]], [gap, 0])
    assert rehearsal.said == [word.text.strip() for word in words]
