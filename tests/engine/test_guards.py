from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.guards import (
    LONGEST_LOOP,
    LOOP_REPEATS,
    LOOP_TOKENS,
    compression_ratio,
    crowded,
    diffuse_nats,
    loop_period,
    spread_nats,
    too_many_tokens,
    without_loop,
)

tokens = st.lists(st.integers(0, 50_000), max_size=60)


@given(before=tokens, phrase=st.lists(st.integers(), min_size=1, max_size=LONGEST_LOOP))
def test_a_phrase_said_often_enough_is_a_loop_and_is_kept_once(before, phrase):
    repeats = max(LOOP_REPEATS, -(-LOOP_TOKENS // len(phrase)))
    said = before + phrase * (repeats + 1)
    period = loop_period(said)
    assert 0 < period <= len(phrase)
    kept = without_loop(said)
    assert said[: len(kept)] == list(kept)
    assert not loop_period(kept)
    assert len(kept) <= len(before) + len(phrase)


@given(st.lists(st.integers(), unique=True, max_size=200))
def test_words_that_differ_are_no_loop(said):
    assert loop_period(said) == 0
    assert list(without_loop(said)) == said


def test_people_repeat_themselves():
    assert loop_period([1, 2] * 4) == 0  # "no, no, no, no"
    assert loop_period([5, 6, 7, 8, 9] * 3) == 0  # a refrain


def test_text_that_repeats_compresses():
    assert compression_ratio("It was the best of times, it was the worst of times.") < 2.4
    assert compression_ratio("I'm going to go to the bathroom. " * 10) > 2.4
    assert compression_ratio("") < 1


def test_a_second_of_speech_has_room_for_a_few_words():
    assert not too_many_tokens(5, speech_s=0.2)
    assert not too_many_tokens(20, speech_s=1.0)
    assert too_many_tokens(40, speech_s=1.0)


def test_tokens_without_time_are_a_crowd():
    speaking = [i * 0.15 for i in range(12)]
    again = [speaking[-1] + 0.02 * i for i in range(1, 12)]
    assert not any(crowded(speaking))
    marks = crowded(speaking + again)
    assert marks[-8:] == [True] * 8
    assert not any(marks[:9])
    assert crowded([0.0]) == []


def test_attention_spreads_over_so_many_positions():
    attention = np.zeros((3, 2, 500), np.float32)
    attention[:, 0, 7] = 1.0
    attention[:, 1, 100:200] = 1 / 100
    assert spread_nats(attention[:, :1]) == pytest.approx(0, abs=1e-5)
    assert spread_nats(attention[:, 1:]) == pytest.approx(log(100), rel=1e-4)
    assert spread_nats(attention) == pytest.approx(log(100) / 2, rel=1e-4)
    assert spread_nats(attention[:, :0]) == 0


def test_a_model_that_was_not_measured_has_no_limit():
    assert 4 < diffuse_nats("base") < 5
    assert diffuse_nats("another") == inf
