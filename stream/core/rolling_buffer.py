"""A buffer of the recent samples of one channel, addressed by absolute samples."""

import numpy as np
from numpy.typing import NDArray

INITIAL_CAPACITY = 32_768
"""Samples: two seconds."""


class RollingBuffer:
    """Holds the samples [start_sample, end_sample); older ones were discarded."""

    def __init__(self) -> None:
        self._data = np.empty(INITIAL_CAPACITY, np.float32)
        self._offset = 0
        """Index in the array of `start_sample`."""
        self.start_sample = 0
        """The oldest sample that can still be read."""
        self.end_sample = 0
        """The sample after the newest, which is the number of samples that were ever appended."""

    def append(self, samples: NDArray[np.float32]) -> None:
        """Append (n_samples,), in amortised constant time for each sample."""
        held = self.end_sample - self.start_sample
        if self._offset + held + len(samples) > len(self._data):
            self._make_room(held, held + len(samples))
        end = self._offset + held
        self._data[end : end + len(samples)] = samples
        self.end_sample += len(samples)

    def _make_room(self, held: int, needed: int) -> None:
        # At least half of the array must be free after a move, so that moves are rare.
        capacity = len(self._data)
        while capacity < 2 * needed:
            capacity *= 2
        fresh = np.empty(capacity, np.float32)
        fresh[:held] = self._data[self._offset : self._offset + held]
        self._data, self._offset = fresh, 0

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return a copy of samples [start, end), (end - start,).

        Raises `ValueError` for samples that were discarded or not appended yet.
        """
        if not self.start_sample <= start <= end <= self.end_sample:
            held = f"[{self.start_sample}, {self.end_sample})"
            raise ValueError(f"samples [{start}, {end}) are not all in {held}")
        offset = self._offset - self.start_sample
        return self._data[start + offset : end + offset].copy()

    def discard_before(self, sample: int) -> None:
        """Discard the audio before the sample; do nothing if that has been done already.

        Raises `ValueError` for a sample after `end_sample`.
        """
        if sample > self.end_sample:
            raise ValueError(f"sample {sample} has not come yet: the end is {self.end_sample}")
        if sample > self.start_sample:
            self._offset += sample - self.start_sample
            self.start_sample = sample
