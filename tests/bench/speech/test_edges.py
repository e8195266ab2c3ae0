"""The distances of edges are counted as what they are."""

from math import isnan, nan

import pytest

from stream.bench.speech.edges import (
    EdgeErrors,
    bias_ms,
    close,
    out_of_order,
    percentile_ms,
    phrase,
)
from stream.evaluate.measures.record import TimedWord


def test_a_phrase_has_only_its_outer_edges_known():
    one, two, three = phrase("How are – you?", 1.0, 2.0)
    assert [word.text for word in (one, two, three)] == ["How", "are", "you?"]
    assert (one.start_s, three.end_s) == (1.0, 2.0)
    assert all(map(isnan, (one.end_s, two.start_s, two.end_s, three.start_s)))


def test_known_edges_of_recognised_words_are_compared():
    errors = EdgeErrors()
    said = [*phrase("good morning", 1.0, 2.0), TimedWord("Anne", 2.5, 3.0)]
    heard = [
        TimedWord("Good", 1.05, 1.4),
        TimedWord("morning,", 1.4, 1.8),
        TimedWord("Annie.", 2.5, 3.0),
    ]
    errors.add(said, heard)
    assert (errors.said, errors.found) == (3, 2)
    assert errors.starts == [pytest.approx(0.05)]
    assert errors.ends == [pytest.approx(-0.2)]
    assert close(errors.starts + errors.ends) == 0.5
    assert bias_ms(errors.ends) == pytest.approx(-200)
    assert percentile_ms(errors.ends) == pytest.approx(200)
    assert isnan(percentile_ms([]))


def test_words_that_overlap_or_run_backwards_are_counted():
    words = [TimedWord("a", 0, 1), TimedWord("b", 0.9, 1.5), TimedWord("c", 2.0, 1.6)]
    assert out_of_order(words) == 2
    assert out_of_order(words[:1]) == 0
    assert out_of_order([TimedWord("a", 0, nan)]) == 0
