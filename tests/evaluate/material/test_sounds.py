"""Made sounds are what their names say, and the same every time."""

import numpy as np
import pytest

from stream.evaluate.material.sounds import (
    MUSIC,
    NOISE,
    SILENCE,
    cadence,
    made_sounds,
    noise,
    tones,
)

RATE = 16_000


def spectrum(samples):
    return np.abs(np.fft.rfft(samples)) / len(samples)


@pytest.mark.parametrize("recording", made_sounds(0.05), ids=lambda recording: recording.name)
def test_every_sound_is_as_long_as_asked_and_the_same_again(recording):
    audio = recording.read()
    assert audio.seconds == 3
    np.testing.assert_array_equal(recording.read().samples, audio.samples)
    assert audio.samples.any() == (recording.name != "digital silence")
    assert np.abs(audio.samples).max() < 32_767
    assert recording.text == ""
    assert recording.suite == "silence"


def test_names_are_unique():
    assert len({recording.name for recording in made_sounds(0)}) == len(SILENCE) + len(NOISE) + len(
        MUSIC
    )


@pytest.mark.parametrize(("slope", "dbfs"), [(0.0, -60), (0.5, -30)])
def test_noise_has_its_level_and_its_slope(slope, dbfs):
    samples = noise(6 * RATE, slope, dbfs, np.random.default_rng(0))
    assert 20 * np.log10(samples.std()) == pytest.approx(dbfs)
    found = spectrum(samples)
    low, high = found[600:1200].mean(), found[6000:12_000].mean()  # 100 and 1000 Hz up
    assert low / high == pytest.approx(10**slope, rel=0.1)


def test_a_dial_tone_is_two_tones():
    found = spectrum(tones(RATE, 350.0, 440.0))
    assert set(np.argsort(found)[-2:]) == {350, 440}


def test_a_tone_cadence_has_silence_between_its_tones():
    samples = cadence(np.ones(3 * RATE), 0.5, 1.0)
    assert samples[: RATE // 2].all()
    assert not samples[RATE // 2 : 3 * RATE // 2].any()
    assert samples[3 * RATE // 2]
