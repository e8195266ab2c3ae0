"""Speech that never pauses keeps every vowel and loses its pauses."""

import itertools

import numpy as np

from stream.bench.speech.pauseless import AROUND, without_pauses
from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import Audio, Recording, at_16_khz, to_int16
from stream.evaluate.measures.speech_times import spoken_spans


def vowel(seconds: float) -> np.ndarray:
    """A voice of 120 Hz with its harmonics."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 8)) * 0.2


def speech(name: str, text: str) -> Recording:
    pause = np.zeros(SAMPLE_RATE)
    samples = np.concatenate([pause, vowel(0.5), pause, vowel(0.7), pause])
    samples += np.random.default_rng(0).normal(0, 1e-4, len(samples))
    audio = Audio(to_int16(samples), SAMPLE_RATE)
    return Recording(name, "made", "made", text, lambda: audio)


def test_recordings_are_joined_until_they_are_long_enough_and_never_pause():
    recordings = [speech(str(i), f"text {i}") for i in range(5)]
    long = without_pauses(recordings, 3.0)
    assert [one.text for one in long] == ["text 0 text 1", "text 2 text 3", "text 4"]
    samples = at_16_khz(long[0].read())
    spans = spoken_spans(samples)
    # Each recording has 1.2 s of vowels in 4.2 s; they all are there, and no pause is.
    assert sum(end - start for start, end in spans) > 2 * 1.1 * SAMPLE_RATE
    silences = [after[0] - before[1] for before, after in itertools.pairwise(spans)]
    assert max(silences) <= 2 * AROUND + SAMPLE_RATE // 50
    assert len(samples) < 2 * 2.0 * SAMPLE_RATE
