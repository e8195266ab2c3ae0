"""A telephone line passes what telephones pass."""

import numpy as np
import pytest

from stream.core.audio import MULAW
from stream.evaluate.material.phone import PACKET, mulaw, narrow_band, phone_line
from stream.evaluate.material.recordings import Audio, to_int16


def tone(hertz, rate, level=0.5):
    samples = level * np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
    return Audio(to_int16(samples), rate)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize(("hertz", "passes"), [(50, 0), (440, 1), (3000, 1), (3700, 0)])
def test_the_band(rate, hertz, passes):
    samples = narrow_band(tone(hertz, rate))
    assert len(samples) == 8000
    assert samples.std() * np.sqrt(2) == pytest.approx(0.5 * passes, abs=0.01)


def test_frequencies_above_the_band_do_not_alias():
    assert np.abs(narrow_band(tone(5000, 16_000))).max() < 0.001


def test_every_sample_becomes_a_level_of_mulaw_near_it():
    samples = np.linspace(-0.9, 0.9, 999)
    coded = mulaw(samples)
    assert np.isin(coded.astype(np.float32), MULAW).all()
    assert np.abs(coded - samples).max() < 0.02
    np.testing.assert_array_equal(mulaw(coded), coded)


@pytest.mark.parametrize("loss", [0.0, 0.05, 1.0])
def test_packets_are_lost_whole(loss):
    audio = phone_line(tone(440, 16_000), loss, np.random.default_rng(0))
    assert audio.rate == 8000
    packets = audio.samples.reshape(-1, PACKET)
    lost = ~packets.any(axis=1)
    assert lost.mean() == pytest.approx(loss, abs=0.1)
    assert (loss > 0) == lost.any()
