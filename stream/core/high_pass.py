"""Removes from the audio of one channel a constant offset and the frequencies below all speech.

Cheap sound cards and some telephone exchanges add a constant to every sample. It is inaudible, but
it counts in the level of a frame and in the noise floor, so that quiet speech no longer rises above
the floor. The filter subtracts a running mean: y[n] = x[n] - m[n], m[n] = a m[n-1] + (1 - a) x[n],
a high-pass of the first order. Speech has nothing below 70 Hz, where the filter attenuates by
0.3 dB.

The recursion is computed as a cumulative sum of samples with growing weights. At every multiple of
`BLOCK` samples the weights start from the first one again. numpy adds a cumulative sum in order, so
any chunking of the input gives the same bits. The measurements are in docs/decisions/023.
"""

from math import pi

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

CUTOFF_HZ = 20.0
"""Frequency that the filter attenuates by 3 dB. A step of the offset decays to a hundredth in
37 ms."""

BLOCK = SAMPLE_RATE
"""Number of samples after which the weights start from the first one again; until then they grow to
1e54."""

POLE = float(np.exp(-2 * pi * CUTOFF_HZ / SAMPLE_RATE))
DECAY = np.power(POLE, np.arange(1, BLOCK + 1), dtype=np.float64)
WEIGHT = (1 - POLE) / DECAY
assert WEIGHT[-1] < 1e60


class HighPass:
    """Filters one channel at 16 kHz; it has no delay."""

    def __init__(self) -> None:
        self._sum: float | None = None
        """The weighted sum of the current block, which starts from the mean at the end of the block
        before. None before the first sample, whose value is the first mean."""
        self._place = 0
        """Number of samples of the current block that were fed."""

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the filtered samples, (n_samples,); NaN and infinity are taken as silence."""
        output = np.empty_like(samples)
        start = 0
        while start < len(samples):
            end = min(start + BLOCK - self._place, len(samples))
            output[start:end] = self._filter(samples[start:end])
            start = end
        return output

    def _filter(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Filter samples of one block, (n_samples,)."""
        first = self._sum
        sums = self._sums(samples, first)
        if not np.isfinite(sums[-1]):  # all later sums would be NaN or infinite too
            samples = np.where(np.isfinite(samples), samples, np.float32(0))
            sums = self._sums(samples, first)
        means = sums * DECAY[self._place : self._place + len(samples)]
        self._place += len(samples)
        if self._place < BLOCK:
            self._sum = float(sums[-1])
        else:
            self._sum, self._place = float(means[-1]), 0
        filtered: NDArray[np.float32] = (samples - means).astype(np.float32)
        return filtered

    def _sums(self, samples: NDArray[np.float32], first: float | None) -> NDArray[np.float64]:
        """Return the weighted sums up to each sample, (n_samples,)."""
        sums = np.empty(len(samples) + 1)
        sums[0] = samples[0] if first is None else first
        np.multiply(samples, WEIGHT[self._place : self._place + len(samples)], out=sums[1:])
        return np.add.accumulate(sums, out=sums)[1:]
