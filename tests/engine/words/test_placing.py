from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.engine.words.placing import attention_by_span, place
from tests.engine.words.test_reading import START, word

SPEECH_S = ((0.0, 2.0), (6.0, 8.0))
SPEECH = tuple(
    (START + round(a * SAMPLE_RATE), START + round(b * SAMPLE_RATE)) for a, b in SPEECH_S
)
BEFORE, AFTER = (0.6, 0.1), (0.1, 0.6)


def times(words):
    return [
        tuple((at - START) / SAMPLE_RATE for at in (w.start_sample, w.end_sample)) for w in words
    ]


def placed(words, attention):
    return times(place(words, attention, SPEECH))


@pytest.mark.parametrize(
    ("start_s", "end_s", "attention", "expected"),
    [
        (3.0, 4.0, AFTER, (6.0, 6.33)),  # in silence, spoken after it
        (3.0, 4.0, BEFORE, (2.0, 2.0)),  # in silence, spoken before it
        (2.0, 6.5, AFTER, (6.0, 6.5)),  # its sound begins after the pause
        (1.5, 5.0, BEFORE, (1.5, 2.0)),  # its sound ends with the speech
        (1.5, 5.0, AFTER, (6.0, 6.33)),  # it got the end of the word before
        (1.99, 2.0, AFTER, (6.0, 6.33)),  # it got next to nothing
        (1.99, 2.0, BEFORE, (1.99, 2.0)),
        (1.6, 2.1, BEFORE, (1.6, 2.1)),  # the detector's end is not exact
        (5.9, 6.4, AFTER, (5.9, 6.4)),
    ],
)
def test_a_word_beside_a_pause_is_where_its_tokens_attend(start_s, end_s, attention, expected):
    words = [word(" one", 0, 1), word(" ab", start_s, end_s), word(" cdef", 6, 7)]
    if end_s > 6:
        words[2] = word(" cdef", end_s, 7)
    found = placed(words, [BEFORE, attention, AFTER])
    assert found[1] == pytest.approx(expected, abs=0.01)
    assert found[2][1] == pytest.approx(7)
    assert found[2][0] >= found[1][1]


def test_a_word_that_is_alone_in_silence_has_no_time():
    assert placed([word(" ab", 3, 4)], [AFTER]) == [(6, 6)]


def test_the_attention_of_the_first_word_to_its_own_sound_is_not_known():
    found = placed([word(" ab", 1.5, 5), word(" cd", 6, 7)], [AFTER, AFTER])
    assert found == [(1.5, 2.0), (6, 7)]


def test_in_a_short_pause_no_word_is_moved():
    speech = ((START, START + SAMPLE_RATE), (START + SAMPLE_RATE + 3000, START + 9 * SAMPLE_RATE))
    words = (word(" ab", 0, 1.05), word(" cd", 1.05, 1.15), word(" ef", 1.2, 2))
    assert place(words, [BEFORE] * 3, speech) == words


@given(
    st.lists(st.floats(0, 8), min_size=2, max_size=12),
    st.lists(st.sampled_from([BEFORE, AFTER]), min_size=12, max_size=12),
)
def test_words_stay_in_order_and_none_is_lost(edges_s, attention):
    edges = sorted(edges_s)
    words = [word(f" w{i}", a, b) for i, (a, b) in enumerate(pairwise(edges))]
    found = place(words, attention, SPEECH)
    assert [w.text for w in found] == [w.text for w in words]
    samples = [at for w in found for at in (w.start_sample, w.end_sample)]
    assert samples == sorted(samples)


def test_attention_is_summed_over_each_span_of_speech():
    weights = np.zeros((2, 1, 500), np.float32)
    weights[:, 0, 50] = 0.25
    weights[:, 0, 350] = 0.5
    weights[:, 0, 200] = 0.25  # in the pause
    assert attention_by_span(weights, START, SPEECH) == [0.25, 0.5]
    assert attention_by_span(weights, START, SPEECH, skipped=60) == [0.0, 0.5]
