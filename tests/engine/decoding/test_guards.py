from math import inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.decoding.guards import (
    LONGEST_LOOP,
    LOOP_REPEATS,
    LOOP_TOKENS,
    compression_ratio,
    crowded,
    diffusion_nats,
    follows_audio,
    is_no_speech,
    leaps_back,
    loop_period,
    may_be_speech,
    spread_nats,
    too_many_tokens,
    without_loop,
)

tokens = st.lists(st.integers(0, 50_000), max_size=60)


@given(before=tokens, phrase=st.lists(st.integers(), min_size=1, max_size=LONGEST_LOOP))
def test_a_phrase_repeated_often_enough_is_a_loop_and_is_kept_once(before, phrase):
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


def test_true_repetitions_are_kept():
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


def test_tokens_without_time_are_crowded():
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


def test_tokens_placed_before_their_predecessor_jump_back():
    attention = np.zeros((2, 5, 300), np.float32)
    for token, position in enumerate((10, 40, 37, 80, 20)):
        attention[:, token, position] = 1.0
    assert leaps_back(attention) == 1 / 4
    assert leaps_back(attention[:, :1]) == 0
    assert leaps_back(attention[:, :0]) == 0


def listening(*at: int, width: int) -> np.ndarray:
    """Attention of two heads that reads each token from so many positions."""
    attention = np.zeros((2, len(at), 1000), np.float32)
    for token, position in enumerate(at):
        attention[:, token, position : position + width] = 1 / width
    return attention


ORDERLY, TO_AND_FRO = tuple(range(0, 400, 40)), (0, 200, 40, 240, 80, 280, 120, 320, 160, 360)


@pytest.mark.parametrize(
    ("at", "width", "log_p", "found"),
    [
        (ORDERLY, 50, -0.9, False),  # e^3.9
        (ORDERLY, 70, -0.9, True),  # e^4.25
        (ORDERLY, 70, -0.5, False),
        (TO_AND_FRO, 50, -0.9, True),
        (ORDERLY[:5], 70, -0.9, False),
        (ORDERLY, 100, -0.5, True),
        (ORDERLY, 100, -0.3, False),
    ],
)
def test_unconfident_words_must_be_nearer_and_in_order(at, width, log_p, found):
    assert (diffusion_nats(listening(*at, width=width), log_p) > 4.4) == found
    assert diffusion_nats(listening(*at, width=width), log_p) < inf


def test_confident_repetitions_are_decoded_again():
    assert diffusion_nats(listening(*ORDERLY, width=100), -0.1, repeats=True) > 4.4
    assert diffusion_nats(listening(*TO_AND_FRO, width=70), -0.1, repeats=True) < 4.4


def test_a_loop_that_follows_the_audio_is_a_speaker_who_repeats_a_phrase():
    spoken = [10 + 15 * i for i in range(12)]
    assert follows_audio(spoken, 3)
    stuck = spoken[:9] + spoken[6:9]
    assert not follows_audio(stuck, 3)
    assert not follows_audio([300 + i for i in range(12)], 3)  # faster than anybody speaks
    assert not follows_audio(spoken[::-1], 3)


@pytest.mark.parametrize(
    ("tokens", "speech_s", "nats", "kept"),
    [
        (12, 4.0, 4.4, True),
        (12, 4.0, 4.6, False),  # more diffuse than one voice
        (5, 2.0, 4.1, True),
        (5, 2.0, 4.4, False),  # a short guess needs more
        (3, 1.0, 3.9, False),  # "Thank you."
        (6, 8.0, 4.0, False),  # most of the speech was not recognised
        (40, 1.0, 4.0, False),  # faster than anybody speaks
    ],
)
def test_guesses_may_be_speech_that_is_hard_to_recognise(tokens, speech_s, nats, kept):
    assert may_be_speech(tokens, speech_s, nats, 4.5) == kept
    assert not may_be_speech(tokens, speech_s, nats, inf)  # without a limit nobody can tell


def test_a_click_is_no_speech_if_the_model_finds_none():
    assert is_no_speech(0.78, -0.9, speech_s=0.16)
    assert not is_no_speech(0.78, -0.9, speech_s=0.5)
    assert is_no_speech(0.78, -1.1, speech_s=0.5)
    assert not is_no_speech(0.3, -0.9, speech_s=0.16)
    assert not is_no_speech(0.78, -0.2, speech_s=0.16)  # "Bye."
