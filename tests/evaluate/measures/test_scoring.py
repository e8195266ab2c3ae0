"""Errors are counted by kind, on normalised words."""

import pytest

from stream.evaluate.measures.record import TimedWord
from stream.evaluate.measures.scoring import (
    WordErrors,
    deletion_and_insertion_times,
    percentiles,
    word_errors,
)


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("PLEASE CALL STELLA", " Please call Stella.", WordErrors(3, 0, 0, 0)),
        ("one moment mister smith", "1 moment, Mr. Smith!", WordErrors(4, 0, 0, 0)),
        ("the Bible (the first one) was", "The Bible, the first one, was", WordErrors(6, 0, 0, 0)),
        ("a b c d", "a x d", WordErrors(4, 1, 1, 0)),
        ("a b", "a b c", WordErrors(2, 0, 0, 1)),
        ("a b", "", WordErrors(2, 0, 2, 0)),
        ("", "thank you", WordErrors(0, 0, 0, 2)),
    ],
)
def test_errors(said, heard, expected):
    assert word_errors(said, heard) == expected


def test_errors_add_up_before_they_become_a_rate():
    total = WordErrors(10, 1, 0, 0) + WordErrors(90, 2, 3, 4)
    assert total == WordErrors(100, 3, 3, 4)
    assert total.rate == 10.0
    assert WordErrors(0, insertions=2).rate == 0.0


def test_omitted_and_inserted_words_have_times():
    heard = [
        TimedWord(word, i, i + 0.5)
        for i, word in enumerate(["Mr.", "Smith,", "one", "one", "called"])
    ]
    missing, added = deletion_and_insertion_times("then mister smith 1 called back", heard)
    assert missing == [0.0, 4.5]
    assert added in ([2.5], [3.5])  # either of the two alike
    assert deletion_and_insertion_times("", heard[:1]) == ([], [0.5])
    assert deletion_and_insertion_times("a b", []) == ([0.0, 0.0], [])


def test_percentiles():
    assert percentiles(range(101)) == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "count": 101}
    assert percentiles([]) == {"count": 0}
