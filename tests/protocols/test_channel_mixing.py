"""Channels of a stream that are mixed before its session."""

import numpy as np
import pytest

from stream.protocols.channel_mixing import Mixer


def mixed(channels: np.ndarray, sizes: int) -> np.ndarray:
    """The mix of (channels, n_samples) that arrive in pieces of so many bytes."""
    data = (channels.T * 32_767).astype("<i2").tobytes()
    mixer = Mixer("pcm_s16le", len(channels))
    pieces = [mixer.mix(data[at : at + sizes]) for at in range(0, len(data), sizes)]
    return np.frombuffer(b"".join(pieces), "<f4")


@pytest.mark.parametrize("sizes", [2, 321, 640, 10_000])
@pytest.mark.parametrize("sign", [1, -1])
def test_channels_never_cancel_and_no_audio_waits(sizes: int, sign: int) -> None:
    voice = np.random.default_rng(0).uniform(-0.3, 0.3, 8_000)
    heard = mixed(np.stack([voice, sign * voice]), sizes)
    np.testing.assert_allclose(heard, voice, atol=1e-3)


def test_a_party_that_is_silent_for_a_while_keeps_the_level_of_the_mix() -> None:
    one, other = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 16_000))
    other[8_000:] = 0
    heard = mixed(np.stack([one, other]), 640)
    np.testing.assert_allclose(heard[8_000:], one[8_000:] / 2, atol=1e-3)
