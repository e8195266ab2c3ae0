"""A room adds what its reverberation time and the distance say."""

import numpy as np
import pytest

from stream.evaluate.material.mixing import seeded_rng, speech_power
from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.material.room import PLACES, Place, from_far, impulse_response, reverberant

FAR = Place(3.0, 0.6, 10.0)


def rng():
    return np.random.default_rng(1)


def click():
    samples = np.zeros(16_000, np.int16)
    samples[4000] = 20_000
    return Audio(samples, 16_000)


def test_reverberation_decays_by_60_db_in_its_time():
    tail = impulse_response(FAR, 16_000, rng())[100:]
    levels = 10 * np.log10(np.square(tail[:8000]).reshape(20, 400).mean(axis=1))
    slope = np.polyfit(np.arange(20) * 0.025, levels, 1)[0]
    assert slope == pytest.approx(-60 / 0.6, rel=0.1)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_reverberation_grows_with_distance(place, rate):
    response = impulse_response(place, rate, rng())
    assert response[0] == 1
    assert np.square(response[1:]).sum() == pytest.approx(place.reverberant_power)
    # At the critical distance, 0.9 m in such a room, both are equally loud.
    assert Place(0.9, 0.4, 20).reverberant_power == pytest.approx(1, abs=0.01)


def test_the_direct_sound_keeps_its_time():
    heard = reverberant(click(), PLACES[0], rng()).samples
    assert int(np.abs(heard).argmax()) == 4000
    assert not heard[:4000].any()
    assert heard[4032:].any()
    assert len(heard) == 16_000 + 6400 - 1


def test_speech_stays_as_loud_and_is_the_same_each_time(speech):
    audio = Audio(to_int16(speech[: 4 * 16_000]), 16_000)
    heard = reverberant(audio, FAR, rng())
    assert speech_power(heard.floats, 16_000) == pytest.approx(
        speech_power(audio.floats, 16_000), rel=0.05
    )
    hiss = Audio(to_int16(np.random.default_rng(0).normal(0, 0.1, 16_000)), 16_000)
    noise = Recording("hiss", "noise", "made", "", lambda: hiss)
    first, again = (from_far(audio, FAR, [noise], seeded_rng(0, "a")) for _ in range(2))
    np.testing.assert_array_equal(first.samples, again.samples)
    # 10 dB: the noise is a tenth of the speech. After the last word it is heard alone.
    end = first.floats[-800:]
    assert np.square(end).mean() == pytest.approx(speech_power(heard.floats, 16_000) / 10, rel=0.5)
