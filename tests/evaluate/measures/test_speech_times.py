"""Vowels are found where they were put; noise, clicks and tones out of a voice's range are none."""

import numpy as np
import pytest

from stream.evaluate.measures.speech_times import spoken_spans
from tests.clients import recording


def noise(seconds, dbfs):
    samples = np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    return (samples * 10 ** (dbfs / 20)).astype(np.float32)


@pytest.mark.parametrize("gain_db", [0, -30])
def test_vowels_are_detected_at_any_level(gain_db):
    samples = recording.samples()[:, 0] * np.float32(10 ** (gain_db / 20))
    spans = spoken_spans(samples + noise(recording.SECONDS, -85))
    assert spans[0][0] == pytest.approx(0.5 * 16_000, abs=1_600)
    assert spans[-1][1] == pytest.approx(6.0 * 16_000, abs=1_600)
    assert not [span for span in spans if span[0] < 4.0 * 16_000 < span[1]]


@pytest.mark.parametrize("samples", [noise(5, -30), np.zeros(80_000, np.float32), noise(0.01, -30)])
def test_what_is_no_voice(samples):
    assert spoken_spans(samples) == []


def test_breath_before_a_word_is_not_taken_as_a_vowel():
    samples = recording.samples()[:, 0] + noise(recording.SECONDS, -85)
    samples[4_000:6_400] += noise(0.15, -25)
    assert spoken_spans(samples)[0][0] >= 0.5 * 16_000 - 1_600
