"""Mixes speech with noise at a given ratio, reproducibly, and many voices into a babble."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import Audio, Recording, at_16_khz, to_int16

FRAME_S = 0.02
AUDIBLE = 10 ** (-40 / 10)
"""Frames whose power is below this share of the loudest are pauses; they do not count for the
level of the speech."""


def seeded_rng(seed: int, *names: str) -> np.random.Generator:
    """Return a random generator that depends only on the seed and the names.

    The results for one recording do not depend on which recordings come before it.
    """
    return np.random.default_rng([seed, *(zlib.crc32(name.encode()) for name in names)])


def speech_power(samples: NDArray[np.float32], rate: int) -> float:
    """Return the mean square of samples (n,) at `rate` hertz, without the pauses."""
    frame = round(FRAME_S * rate)
    whole = samples[: len(samples) - len(samples) % frame].astype(np.float64)
    powers = np.square(whole).reshape(-1, frame).mean(axis=1)  # (n_frames,)
    if not len(powers) or not powers.max():
        return 0.0
    return float(powers[powers >= AUDIBLE * powers.max()].mean())


def with_noise(
    speech: Audio, noises: Sequence[Recording], snr_db: float, rng: np.random.Generator
) -> Audio:
    """Return speech at 16 kHz mixed with a random part of a random noise.

    Args:
        speech: the speech.
        noises: recordings to choose from.
        snr_db: level of the speech (without pauses) over the level of the noise, in decibels.
        rng: chooses the noise and where in it the part begins.

    The mixture is made quieter if it would clip.
    """
    samples = at_16_khz(speech)
    noise = at_16_khz(noises[int(rng.integers(len(noises)))].read())
    noise = np.take(noise, rng.integers(len(noise)) + np.arange(len(samples)), mode="wrap")
    power = max(float(np.square(noise, dtype=np.float64).mean()), 1e-12)
    gain = np.sqrt(speech_power(samples, SAMPLE_RATE) / power / 10 ** (snr_db / 10))
    mixed = samples + noise * gain
    return Audio(to_int16(mixed / max(1.0, float(np.abs(mixed).max()))), SAMPLE_RATE)


def babble(
    voices: Sequence[Recording], n_voices: int, seconds: float, rng: np.random.Generator
) -> Audio:
    """Return `n_voices` voices at the same time and level, each a sequence of random recordings."""
    n_samples = round(seconds * SAMPLE_RATE)
    mixed = np.zeros(n_samples)
    for _ in range(n_voices):
        voice: list[NDArray[np.float32]] = []
        while sum(map(len, voice)) < n_samples:
            samples = at_16_khz(voices[int(rng.integers(len(voices)))].read())
            power = speech_power(samples, SAMPLE_RATE)
            voice.append(samples / np.float32(np.sqrt(power) or 1.0))
        mixed += np.concatenate(voice)[:n_samples]
    return Audio(to_int16(mixed * 0.1 / max(mixed.std(), 1e-9)), SAMPLE_RATE)
