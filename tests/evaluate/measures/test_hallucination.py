"""Repetitions are counted as the Distil-Whisper paper counts them, recording by recording."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluate.measures.hallucination import (
    Repetitions,
    repeated_ngrams,
    repetitions,
    words_per_hour,
)

FIVE = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("words", "count"),
    [([], 0), (FIVE, 0), (FIVE * 2, 1), (FIVE * 3, 6), (["no"] * 10, 5), (FIVE[:4] * 1, 0)],
)
def test_repeated_ngrams(words, count):
    assert repeated_ngrams(words) == count


@pytest.mark.slow
@given(st.lists(st.integers(0, 3)))
def test_never_more_than_there_are_ngrams(words):
    assert 0 <= repeated_ngrams([str(word) for word in words]) <= max(0, len(words) - 5)


def test_true_repetitions_are_counted_separately():
    loop, said = "thank you " * 10, "row row row row row row your boat"
    assert repetitions(said, loop) == Repetitions(transcript=14, reference=1)
    assert Repetitions(1, 2) + Repetitions(3, 4) == Repetitions(4, 6)


def test_words_per_hour():
    assert words_per_hour(2, 1800) == 4
    assert words_per_hour(0, 0) == 0
