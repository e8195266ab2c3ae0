"""Simulates a telephone line: narrow band, G.711 mu-law, lost packets."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import MULAW
from stream.evaluate.material.recordings import Audio, to_int16

RATE = 8_000
"""Hertz."""
BAND = (300.0, 3400.0)
"""Hertz: the frequencies that a telephone transmits."""
EDGE = 100.0
"""Hertz over which the band's edges fade."""
PACKET = RATE * 20 // 1000
"""Samples in a packet of 20 ms, the usual size in voice over IP."""


def phone_line(audio: Audio, loss: float, rng: np.random.Generator) -> Audio:
    """Return the audio at the end of a telephone line.

    Args:
        audio: the audio at its start.
        loss: the share of packets that are lost, 0..1. A lost packet becomes silence: there is no
            concealment.
        rng: chooses the lost packets.
    """
    samples = mulaw(narrow_band(audio))
    n_packets = -(-len(samples) // PACKET)
    kept = np.repeat(rng.random(n_packets) >= loss, PACKET)[: len(samples)]
    return Audio(to_int16(samples * kept), RATE)


def narrow_band(audio: Audio) -> NDArray[np.float64]:
    """Return samples (n,) at 8 kHz, in -1..1, filtered to the band of a telephone."""
    spectrum = np.fft.rfft(audio.samples / 32_768)
    n_samples = round(len(audio.samples) * RATE / audio.rate)
    hertz = np.arange(n_samples // 2 + 1) * RATE / max(n_samples, 1)
    kept = np.zeros(len(hertz), complex)
    shared = min(len(hertz), len(spectrum))
    kept[:shared] = spectrum[:shared]
    low, high = BAND
    gain = np.clip((hertz - low) / EDGE + 1, 0, 1) * np.clip((high - hertz) / EDGE + 1, 0, 1)
    # irfft divides by the new length, but rfft summed over the old one.
    return np.fft.irfft(kept * gain, n_samples) * (n_samples / max(len(audio.samples), 1))


def mulaw(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round each of samples (n,) to the nearest mu-law level."""
    levels, between = _levels()
    return levels[np.searchsorted(between, samples)]


@cache
def _levels() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    levels = np.unique(MULAW).astype(np.float64)
    return levels, (levels[1:] + levels[:-1]) / 2
