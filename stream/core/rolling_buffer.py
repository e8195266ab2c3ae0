"""A buffer of the recent samples of one channel, addressed by absolute sample indices.

A gap, for which there is no audio, takes no memory and is read as zeros.
"""

import numpy as np
from numpy.typing import NDArray

INITIAL_CAPACITY = 32_768
"""Samples: two seconds."""


class RollingBuffer:
    """Holds the samples [start_sample, end_sample); older ones were discarded."""

    def __init__(self) -> None:
        self._data = np.empty(INITIAL_CAPACITY, np.float32)
        self._offset = 0
        """Index of the first stored sample in the array."""
        self._gaps: list[tuple[int, int]] = []
        """[start, end) of each gap that does not end before `start_sample`, in order."""
        self.start_sample = 0
        """The oldest sample that can still be read."""
        self.end_sample = 0
        """The sample after the newest, and so the number of all samples appended or skipped."""

    def append(self, samples: NDArray[np.float32]) -> None:
        """Append samples, (n_samples,), in amortised constant time for each."""
        stored = self.stored(self.start_sample, self.end_sample)
        if self._offset + stored + len(samples) > len(self._data):
            self._make_room(stored, stored + len(samples))
        end = self._offset + stored
        self._data[end : end + len(samples)] = samples
        self.end_sample += len(samples)

    def skip(self, n_samples: int) -> None:
        """Append a gap of `n_samples`; do nothing if that is not positive."""
        if n_samples > 0:
            self._gaps.append((self.end_sample, self.end_sample + n_samples))
            self.end_sample += n_samples

    def _make_room(self, stored: int, needed: int) -> None:
        # Half of the array is left free, so that samples are seldom moved.
        capacity = len(self._data)
        while capacity < 2 * needed:
            capacity *= 2
        fresh = np.empty(capacity, np.float32)
        fresh[:stored] = self._data[self._offset : self._offset + stored]
        self._data, self._offset = fresh, 0

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return a copy of samples [start, end), (end - start,); gaps are zeros.

        Raises `ValueError` for samples that were discarded or not appended yet.
        """
        if not self.start_sample <= start <= end <= self.end_sample:
            held = f"[{self.start_sample}, {self.end_sample})"
            raise ValueError(f"samples [{start}, {end}) are not all in {held}")
        first = self._offset + self.stored(self.start_sample, start)
        stored = self._data[first : first + self.stored(start, end)]
        gaps = [(max(a, start), min(b, end)) for a, b in self._gaps if a < end and b > start]
        if not gaps:
            return stored.copy()
        samples = np.zeros(end - start, np.float32)
        at, taken = start, 0
        for gap_start, gap_end in [*gaps, (end, end)]:
            samples[at - start : gap_start - start] = stored[taken : taken + gap_start - at]
            taken += gap_start - at
            at = gap_end
        return samples

    def stored(self, start: int, end: int) -> int:
        """Return how many of the held samples [start, end) are audio and not gaps."""
        gaps = sum(max(min(b, end) - max(a, start), 0) for a, b in self._gaps)
        return end - start - gaps

    def discard_before(self, sample: int) -> None:
        """Discard the audio before the sample; do nothing if that has been done already.

        Raises `ValueError` for a sample after `end_sample`.
        """
        if sample > self.end_sample:
            raise ValueError(f"sample {sample} has not come yet: the end is {self.end_sample}")
        if sample > self.start_sample:
            self._offset += self.stored(self.start_sample, sample)
            self.start_sample = sample
            self._gaps = [(max(a, sample), b) for a, b in self._gaps if b > sample]
