"""A confidence of 0.9 ought to be right nine times in ten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluate.measures.calibration import Judged, calibration, expected_calibration_error
from stream.evaluate.measures.record import TimedWord
from stream.evaluate.measures.scoring import judged


def test_words_of_similar_confidence_are_grouped():
    words = [Judged(0.92, True)] * 9 + [Judged(0.98, False)] + [Judged(0.1, False)] * 2
    low, high = calibration(words)
    assert (low.low, low.words, low.right) == (0.1, 2, 0.0)
    assert (high.low, high.high, high.words, high.right) == (0.9, 1.0, 10, 0.9)
    error = expected_calibration_error([low, high])
    assert error == pytest.approx((2 * 0.1 + 10 * 0.026) / 12)


def test_certainty_belongs_to_the_last_bin():
    (found,) = calibration([Judged(1.0, True)])
    assert found.high == 1.0
    assert expected_calibration_error([found]) == expected_calibration_error([]) == 0


@given(st.lists(st.builds(Judged, st.floats(0, 1), st.booleans())))
def test_no_word_is_lost(words):
    assert sum(b.words for b in calibration(words)) == len(words)


def heard(*words):
    return [TimedWord(text, 0, 1, confidence) for text, confidence in words]


@pytest.mark.parametrize(
    ("reference", "words", "expected"),
    [
        ("the cat sat", [("The", 0.9), ("cap", 0.4), ("sat.", 0.8)], [True, False, True]),
        ("mister smith", [("Mr.", 0.9), ("Smith", 0.7)], [True, True]),
        ("don't", [("Do", 0.9), ("not", 0.7)], [True, True]),
        ("the cat", [("the", 0.9), ("the", 0.2), ("cat", 0.9)], None),
        ("", [("boo", 0.5)], [False]),
        ("the cat", [], []),
    ],
)
def test_a_word_is_correct_at_its_time(reference, words, expected):
    found = judged(reference, heard(*words))
    if expected is None:
        assert sum(word.right for word in found) == 2
    else:
        assert [word.right for word in found] == expected


def test_words_without_confidence_are_not_scored():
    assert judged("a", [TimedWord("a", 0, 1)]) == []
