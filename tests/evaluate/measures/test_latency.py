"""Latencies are differences of two readings of one clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluate.measures.latency import Latencies, appearances, latencies, matched
from stream.evaluate.measures.record import TimedWord, captions
from tests.evaluate.shown import began, finished, over, shown

CAT = [
    began(0.5, 0.2),
    shown(1.0, "", "the"),
    shown(1.5, "The", "cat"),
    over(2.0, 1.4),
    finished(2.2, "The cat sat.", [0.4, 0.8, 1.3]),
]


def ms(*values):
    return pytest.approx(list(values))


def test_every_latency_of_an_utterance():
    found = latencies(CAT)
    assert found.word_to_shown == ms(600, 700, 900)
    assert found.word_to_commit == ms(1100, 1400, 900)
    assert found.word_to_final == ms(1800, 1400, 900)
    assert found.speech_end_to_final == ms(800)
    assert found.speech_start_to_partial == ms(800)
    assert found.word_start_error == found.word_end_error == []


def test_the_manifests_times_win_over_the_systems_own():
    truth = [TimedWord("the", 0.25, 0.5), TimedWord("cat", 0.6, 0.8), TimedWord("SAT", 1.0, 1.5)]
    found = latencies(CAT, truth)
    assert found.word_to_shown == ms(500, 700, 700)
    assert found.speech_start_to_partial == ms(750)
    assert found.speech_end_to_final == ms(700)
    assert found.word_start_error == ms(50, 100, 200)
    assert found.word_end_error == ms(100, 0, 200)


def test_a_word_that_was_not_spoken_has_no_time():
    found = latencies(CAT, [TimedWord("the", 0.25, 0.5), TimedWord("sat", 1.0, 1.5)])
    assert found.word_to_final == ms(1700, 700)


def test_an_ended_stream_has_no_latency_of_its_final():
    found = latencies(
        [shown(1.0, "The", "cat"), finished(1.1, "The cat", [0.4, 0.8], by_silence=False)]
    )
    assert found.word_to_shown == ms(600, 200)
    assert found.word_to_commit == ms(600)
    assert found.word_to_final == found.speech_end_to_final == []


def test_a_cut_inside_the_stream_counts_for_its_words_and_not_as_an_end_of_speech():
    events = [
        finished(1.0, "one", [0.5], by_silence=False),
        finished(3.0, "two", [2.0], utterance=(0, 1)),
    ]
    found = latencies(events)
    assert found.word_to_final == ms(500, 1000)
    assert found.speech_end_to_final == ms(1000)


def test_a_word_counts_as_shown_at_its_first_appearance():
    events = [shown(1, "", "cat"), shown(2, "", "dog"), shown(3, "cat"), finished(4, "cat", [0.5])]
    (caption,) = captions(events)
    assert appearances(caption) == ({0: 1}, {0: 3})


def test_without_captions_no_word_is_found():
    assert latencies([]) == latencies([finished(1, "")]) == Latencies()


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_matches_are_equal_and_in_order(words, others):
    found = matched(words, others)
    assert all(words[i] == others[j] for i, j in found.items())
    assert list(found) == sorted(found)
    assert list(found.values()) == sorted(set(found.values()))


@given(st.lists(st.floats(0, 5), min_size=3, max_size=3).map(sorted))
def test_words_are_shown_before_they_are_committed_before_they_are_final(times):
    first, second, last = times
    found = latencies(
        [shown(first, "", "a b"), shown(second, "a", "b"), finished(last, "a b", [0.1, 0.2])]
    )
    rows = zip(found.word_to_shown, found.word_to_commit, found.word_to_final, strict=True)
    assert all(seen <= promised <= final for seen, promised, final in rows)
