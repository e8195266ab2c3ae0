"""Noise is mixed in at the ratio that was asked for."""

import numpy as np
import pytest

from stream.evaluate.material.mixing import babble, seeded_rng, speech_power, with_noise
from stream.evaluate.material.recordings import Audio, Recording, to_int16

RATE = 16_000


def tone(hertz, seconds, level=0.1):
    t = np.arange(round(seconds * RATE)) / RATE
    return level * np.sin(2 * np.pi * hertz * t)


def recording(samples, name="made"):
    return Recording(name, "noise", "made", "", lambda: Audio(to_int16(samples), RATE))


@pytest.mark.parametrize("snr_db", [20, 10, 0])
def test_the_ratio_is_that_of_speech_without_its_pauses(snr_db):
    silence = np.zeros(RATE)
    speech = Audio(to_int16(np.concatenate([tone(1000, 1), silence])), RATE)
    mixed = with_noise(speech, [recording(tone(3000, 0.5))], snr_db, seeded_rng(0)).samples / 32_768
    power = np.square(mixed[RATE:]).mean()  # where nobody speaks there is noise only
    assert 10 * np.log10(0.1**2 / 2 / power) == pytest.approx(snr_db, abs=0.1)
    assert len(mixed) == 2 * RATE


def test_loud_noise_does_not_clip():
    speech = Audio(to_int16(tone(1000, 1, 0.9)), RATE)
    mixed = with_noise(speech, [recording(tone(3000, 1, 0.9))], -10, seeded_rng(0)).samples
    assert 30_000 < np.abs(mixed).max() <= 32_767


def test_random_numbers_depend_on_the_names_only():
    speech = Audio(to_int16(tone(1000, 1)), RATE)
    noises = [recording(np.random.default_rng(i).normal(0, 0.1, RATE)) for i in range(5)]

    def mixed(seed, name):
        return with_noise(speech, noises, 0, seeded_rng(seed, name)).samples

    np.testing.assert_array_equal(mixed(0, "a"), mixed(0, "a"))
    assert (mixed(0, "a") != mixed(0, "b")).any()
    assert (mixed(0, "a") != mixed(1, "a")).any()


def test_the_power_of_nothing_is_none():
    assert speech_power(np.zeros(100, np.float32), RATE) == 0
    assert speech_power(np.zeros(0, np.float32), RATE) == 0


def test_a_babble_holds_all_its_voices():
    voices = [recording(tone(hertz, 0.3), str(hertz)) for hertz in (500, 1500, 2500)]
    audio = babble(voices, 12, 1.0, np.random.default_rng(0))
    assert audio.seconds == 1
    found = np.abs(np.fft.rfft(audio.samples))
    assert all(
        found[hertz - 20 : hertz + 20].max() > 50 * np.median(found) for hertz in (500, 1500)
    )
