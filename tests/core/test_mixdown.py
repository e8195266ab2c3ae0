"""Whatever the polarity of the channels, the mix has what is in them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.mixdown import FADE, STEP, Mixdown, mixed
from stream.core.vad import level_dbfs

RATE = 16_000
FILM = ("FL", "FR", "FC", "LFE", "BL", "BR")


def noise(seconds=1.0, height=0.3, seed=0):
    samples = np.random.default_rng(seed).uniform(-height, height, round(seconds * RATE))
    return samples.astype(np.float32)


def mix(*channels, names=()):
    return mixed(np.stack(channels).astype(np.float32), names)[0]


def decibels(samples):
    return level_dbfs(np.asarray(samples, np.float32))


@pytest.mark.parametrize("gain", [1.0, 0.5, 0.1, -0.1, -0.5, -0.9, -1.0])
def test_two_channels_of_one_voice_never_cancel(gain):
    voice = noise()
    heard = mix(voice, gain * voice)
    np.testing.assert_allclose(heard, voice * (1 + abs(gain)) / 2, atol=1e-6)


@pytest.mark.parametrize("hiss", [0.003, 0.03, 0.15])
def test_inverted_channels_with_noise_of_their_own(hiss):
    voice = noise()
    heard = mix(voice + noise(height=hiss, seed=1), -voice + noise(height=hiss, seed=2))
    assert decibels(heard) > decibels(voice) - 0.5


def test_every_channel_in_turn_inverted():
    voice = noise()
    for signs in ([1, -1, 1, -1], [-1, 1, 1, 1], [1, -1, -1, -1]):
        heard = mix(*(sign * voice for sign in signs))
        np.testing.assert_allclose(np.abs(heard), np.abs(voice), atol=1e-6)


@pytest.mark.parametrize("offset_s", [1.0, 4.3, 9.9, 17.0])
def test_a_call_with_a_party_on_each_channel_is_their_sum(speech, offset_s):
    """Their correlation is by chance: no sign may change, even where both speak."""
    offset = round(offset_s * RATE)
    length = len(speech) - offset
    parties = [speech[:length].copy(), speech[offset:].copy()]
    for party in parties:
        party[:] += noise(length / RATE, height=0.001, seed=len(party))[:length]
    heard = mix(*parties)
    np.testing.assert_allclose(heard, (parties[0] + parties[1]) / 2, atol=1e-5)


def test_a_silent_channel_makes_the_other_no_quieter():
    voice = noise()
    silent = np.zeros_like(voice)
    np.testing.assert_allclose(mix(voice, silent), voice, atol=1e-6)
    np.testing.assert_allclose(mix(silent, voice), voice, atol=1e-6)


def test_a_channel_that_begins_later_is_added():
    first, second = noise(2.0), np.concatenate([np.zeros(RATE, np.float32), noise(1.0, seed=1)])
    heard = mix(first, second)
    np.testing.assert_allclose(heard[:RATE], first[:RATE], atol=1e-6)
    later = slice(RATE + FADE, None)
    np.testing.assert_allclose(heard[later], (first + second)[later] / 2, atol=1e-6)


def test_very_quiet_channels_are_mixed_too():
    voice = noise(height=1e-4)
    assert decibels(mix(voice, voice)) == pytest.approx(decibels(voice), abs=0.1)


def test_the_dialogue_of_a_film_keeps_its_level():
    dialogue = noise()
    music = [noise(height=0.1, seed=i) for i in range(1, 6)]
    channels = [music[0], music[1], dialogue, music[2], music[3], music[4]]
    heard = mix(*channels, names=FILM)
    gain = float(heard @ dialogue / (dialogue @ dialogue))
    assert gain == pytest.approx(1.0, abs=0.03)
    assert decibels(heard - dialogue) < decibels(music[0])


def test_a_voice_in_the_front_channels_of_a_film_keeps_its_level():
    voice, silent = noise(), np.zeros(RATE, np.float32)
    quiet = noise(height=0.01, seed=1)
    for sign in (1, -1):
        heard = mix(voice, sign * voice, quiet, silent, silent, silent, names=FILM)
        assert decibels(heard) == pytest.approx(decibels(voice), abs=0.2)


def test_a_film_without_a_centre_is_mixed_as_any_channels():
    voice, silent = noise(), np.zeros(RATE, np.float32)
    heard = mix(voice, -voice, silent, silent, silent, silent, names=FILM)
    np.testing.assert_allclose(np.abs(heard), np.abs(voice), atol=1e-6)


def test_a_polarity_that_changes_is_followed():
    voice = noise(3.0)
    other = np.concatenate([voice[:RATE], -voice[RATE : 2 * RATE], voice[2 * RATE :]])
    heard = mix(voice, other)
    lost = [
        decibels(heard[at : at + STEP]) < decibels(voice[at : at + STEP]) - 7
        for at in range(0, len(voice), STEP)
    ]
    assert sum(lost) * STEP / RATE < 0.5


def test_a_sample_that_is_nan_affects_no_other_sample():
    voice = noise()
    broken = voice.copy()
    broken[5000] = np.nan
    heard = mix(broken, voice)
    assert np.isfinite(heard).all()
    np.testing.assert_allclose(np.delete(heard, 5000), np.delete(voice, 5000), atol=1e-6)


def test_one_channel_is_left_as_it_is():
    voice = noise()
    assert mixed(voice[None]) is not None
    np.testing.assert_array_equal(mixed(voice[None])[0], voice)


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(0, 2_000), max_size=10),
    channels=st.integers(2, 6),
    seed=st.integers(0, 1_000),
)
def test_any_chunking_gives_the_same_bits(sizes, channels, seed):
    rng = np.random.default_rng(seed)
    samples = rng.uniform(-1, 1, (channels, sum(sizes))).astype(np.float32)
    samples[1] = samples[0] * rng.choice([-1, 1], sum(sizes))
    mixdown = Mixdown(channels)
    pieces = [mixdown.feed(piece) for piece in np.split(samples, np.cumsum(sizes), axis=1)]
    heard = np.concatenate([*pieces, mixdown.flush()], axis=1)
    np.testing.assert_array_equal(heard, mixed(samples))
    assert heard.shape == (1, sum(sizes))
