"""Resamples a stream of any rate to 16 kHz.

This is a polyphase filter. Output sample k lies at the input time k * step / phases (step / phases
is the ratio of the rates in lowest terms), which falls between two input samples. The fractional
part selects a row of taps, and the output is the dot product of that row with the input samples
around this time. The filter is a Kaiser-windowed sinc with 40 samples of the slower of the two
rates on either side. Its delay is therefore 2.5 ms from 16 kHz up, and 5 ms at 8 kHz.

Each output is one dot product over the same number of samples, so any division of the input into
chunks gives the same bits. Output times equal input times: the first samples are returned when the
filter has enough input, and `flush` returns the tail.
"""

from functools import lru_cache
from math import ceil, gcd

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

REACH = 40
"""Samples of the slower rate that the filter covers on either side of its centre."""

ATTENUATION_DB = 90.0
"""Attenuation of aliases. With `REACH`, the pass band ends at 6.9 kHz of 8 kHz, and at 3.4 kHz of
the 4 kHz of a telephone."""

MAX_TABLE_PHASES = 640
"""Greatest number of stored rows of taps: the phases of 11025 Hz. For rates with more phases
(12345 Hz has 3200), taps are interpolated linearly between two rows. The error of that,
(pi / phases)**2 / 8, is below -110 dB."""

FEW_PHASES = 4
"""Up to this number of phases, the inputs of all outputs of a phase are taken as a strided view,
and no taps are copied."""

BLOCK = 320
"""Number of outputs that are computed together: their inputs fit into the caches of the CPU."""


@lru_cache(maxsize=32)
def taps_table(source_rate: int, rows: int) -> NDArray[np.float32]:
    """Return the taps for the fractions 0, 1/rows, …, 1 of an input sample, (rows + 1, n_taps).

    Kaiser's formulas give the shape of the window and the width of the transition band from the
    attenuation. The stop band begins at the Nyquist frequency of the slower rate. The array is
    cached and read-only.
    """
    slower = min(source_rate, SAMPLE_RATE)
    reach = ceil(REACH * source_rate / slower)
    beta = 0.1102 * (ATTENUATION_DB - 8.7)
    transition = (ATTENUATION_DB - 7.95) / 14.36 / (2 * reach)  # in cycles per input sample
    cutoff = slower / source_rate - transition  # twice the filter's middle frequency
    phase = np.arange(rows + 1)[:, None] / rows
    time = np.arange(1 - reach, reach + 1) - phase  # (rows + 1, n_taps) in input samples
    window = np.i0(beta * np.sqrt(np.maximum(1 - (time / reach) ** 2, 0.0)))
    taps = np.sinc(cutoff * time) * window
    taps /= taps.sum(axis=1, keepdims=True)  # every phase passes a constant unchanged
    taps.flags.writeable = False
    return taps.astype(np.float32)


class Resampler:
    """Resamples one channel to 16 kHz."""

    def __init__(self, source_rate: int) -> None:
        """Resample from `source_rate`, 8000 to 48000 Hz."""
        common = gcd(source_rate, SAMPLE_RATE)
        self.source_rate = source_rate
        self._phases = SAMPLE_RATE // common
        self._step = source_rate // common
        rows = min(self._phases, MAX_TABLE_PHASES)
        self._taps = taps_table(source_rate, rows)  # (rows + 1, n_taps)
        self._reach = self._taps.shape[1] // 2
        # Silence precedes the first sample: it is the input of the left half of the taps of
        # output 0.
        self._input = np.zeros(self._reach - 1, np.float32)
        self._first_centre = 0
        """Index of the input sample on which the first window of `_input` is centred."""
        self._received = 0
        self._sent = 0

    def feed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take (n_samples,) of input; return the outputs that it completes, (n_output,)."""
        self._received += len(samples)
        if self._step == self._phases:
            return samples
        self._input = np.concatenate((self._input, samples))
        # Output k needs the input up to floor(k * step / phases) + reach.
        ready = max(-(-(self._received - self._reach) * self._phases // self._step), 0)
        return self._advance(ready)

    def flush(self) -> NDArray[np.float32]:
        """Return the last outputs, (n_output,), with silence in the place of further input."""
        if self._step == self._phases:
            return np.zeros(0, np.float32)
        self._input = np.concatenate((self._input, np.zeros(self._reach, np.float32)))
        return self._advance(-(-self._received * self._phases // self._step))

    def skip(self, n_samples: int) -> int:
        """Advance over a gap of `n_samples` without input; return the length of the gap at 16 kHz.

        Call `flush` first. The filter takes the input within the gap to be silence.
        """
        self._received += n_samples
        if self._step == self._phases:
            return n_samples
        until = -(-self._received * self._phases // self._step)
        skipped, self._sent = until - self._sent, until
        self._first_centre = until * self._step // self._phases
        # Silence before the next input sample, from the first sample that the taps of the next
        # output cover.
        self._input = np.zeros(self._received - self._first_centre + self._reach - 1, np.float32)
        return skipped

    def _advance(self, until: int) -> NDArray[np.float32]:
        """Return the outputs before index `until`, and discard input that no later output needs."""
        if until <= self._sent:
            return np.zeros(0, np.float32)
        output = np.empty(until - self._sent, np.float32)
        n_taps = 2 * self._reach
        # windows[n] holds the input of the outputs that are centred on sample _first_centre + n.
        windows = as_strided(
            self._input,
            (len(self._input) - n_taps + 1, n_taps),
            self._input.strides * 2,
            writeable=False,
        )
        if self._phases <= FEW_PHASES:
            for first in range(min(self._phases, len(output))):
                centre, phase = divmod((self._sent + first) * self._step, self._phases)
                outputs = output[first :: self._phases]
                inputs = windows[centre - self._first_centre :: self._step][: len(outputs)]
                np.vecdot(inputs, self._taps[phase], out=outputs)
        else:
            for start in range(0, len(output), BLOCK):
                outputs = output[start : start + BLOCK]
                k = np.arange(self._sent + start, self._sent + start + len(outputs))
                centres, phases = np.divmod(k * self._step, self._phases)
                inputs = windows[centres - self._first_centre]
                np.vecdot(inputs, self._taps_of(phases), out=outputs)
        self._sent = until
        next_centre = until * self._step // self._phases
        self._input = self._input[next_centre - self._first_centre :]
        self._first_centre = next_centre
        return output

    def _taps_of(self, phases: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the taps for the phase of each output: (n_output,) to (n_output, n_taps)."""
        if self._phases <= MAX_TABLE_PHASES:
            return self._taps[phases]
        place = phases * (MAX_TABLE_PHASES / self._phases)
        row = place.astype(np.int64)
        fraction = (place - row).astype(np.float32)[:, None]
        return self._taps[row] * (1 - fraction) + self._taps[row + 1] * fraction
