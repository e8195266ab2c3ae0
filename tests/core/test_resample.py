"""Every rate becomes 16 kHz: in the right place, without aliases, whatever the chunks."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.resample import Resampler

RATES = [8000, 11025, 12345, 16000, 22050, 24000, 32000, 44100, 47999, 48000]


def resample(samples, rate):
    resampler = Resampler(rate)
    return np.concatenate([resampler.feed(samples), resampler.flush()])


def tone(rate, hertz, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def decibels(samples):
    return 10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20)


@settings(deadline=None)
@given(
    rate=st.one_of(st.sampled_from(RATES), st.integers(8000, 48000)),
    sizes=st.lists(st.integers(0, 700), max_size=12),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_chunking_gives_the_same_bits(rate, sizes, seed):
    samples = np.random.default_rng(seed).uniform(-1, 1, sum(sizes)).astype(np.float32)
    resampler = Resampler(rate)
    chunks = np.split(samples, np.cumsum(sizes))
    streamed = np.concatenate([*(resampler.feed(chunk) for chunk in chunks), resampler.flush()])
    np.testing.assert_array_equal(streamed, resample(samples, rate))
    assert len(streamed) == -(-len(samples) * 16000 // rate)


@pytest.mark.parametrize("rate", RATES)
def test_a_tone_keeps_its_place_its_height_and_its_purity(rate):
    heard = resample(tone(rate, 1000), rate)
    expected = tone(16000, 1000, len(heard) / 16000)
    edge = 160  # the silence around the tone is heard for as long as the filter is
    assert decibels((heard - expected)[edge:-edge]) < -75


@pytest.mark.parametrize("rate", RATES)
def test_agrees_with_soxr_in_the_pass_band(rate):
    rng = np.random.default_rng(rate)
    nyquist = min(rate, 16000) / 2
    spectrum = np.fft.rfft(rng.standard_normal(rate))
    spectrum[int(0.85 * nyquist) :] = 0  # one second: a bin is one Hertz
    noise = np.fft.irfft(spectrum, rate).astype(np.float32)
    noise *= 0.1 / noise.std()
    expected = soxr.resample(noise, rate, 16000, quality="VHQ")
    heard = resample(noise, rate)
    edge = 800
    difference = (heard[: len(expected)] - expected)[edge:-edge]
    assert decibels(difference) - decibels(expected) < -70


@pytest.mark.parametrize("rate", [rate for rate in RATES if rate > 16000])
def test_frequencies_above_8_khz_do_not_alias(rate):
    for hertz in np.linspace(8000, rate / 2, 20):
        aliased = resample(tone(rate, hertz), rate)[400:-400]
        assert decibels(aliased) < decibels(tone(rate, 1000)) - 80, hertz


def test_a_phone_call_gains_no_images_above_4_khz():
    for hertz in np.linspace(300, 3400, 20):
        heard = resample(tone(8000, hertz), 8000)[400:-400]
        spectrum = np.abs(np.fft.rfft(heard * np.kaiser(len(heard), 14)))
        above = spectrum[len(spectrum) // 2 :].max()  # 4 kHz is half of 8 kHz
        assert 20 * np.log10(above / spectrum.max()) < -80, hertz


@pytest.mark.parametrize("rate", RATES)
def test_the_delay_is_a_few_milliseconds(rate):
    heard = Resampler(rate).feed(np.zeros(rate, np.float32))
    limit_ms = 5.1 if rate < 16000 else 2.6
    assert (16000 - len(heard)) / 16 <= limit_ms


def test_16_khz_passes_through():
    samples = np.random.default_rng(0).uniform(-1, 1, 1000).astype(np.float32)
    np.testing.assert_array_equal(resample(samples, 16000), samples)
