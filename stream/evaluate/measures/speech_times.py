"""Finds speech in a clean recording by loudness and periodicity, as a reference for the VADs.

Each word has a vowel, and a vowel is loud and periodic; breath, clicks and the noise of a room are
not both. The spans do not include the consonants around the vowels.
"""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

Span = tuple[int, int]
"""[start, end) in samples at 16 kHz."""

STEP = SAMPLE_RATE // 100
FRAME = 4 * STEP
"""40 ms: at least two periods of any voice."""

PERIODS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 70)
"""Periods of voices between 70 and 400 Hz, in samples."""

PERIODIC = 0.6
"""The least autocorrelation of a vowel at the lag of its period."""

BELOW_LOUD_DB = 25.0
"""Vowels are at most this far below the 95th percentile of a recording's levels."""

ABOVE_FLOOR_DB = 10.0
"""Vowels are at least this far above the 5th percentile of a recording's levels."""
JOINED_STEPS = 15
"""A gap of at most 150 ms between vowels is not a pause."""

LEAST_STEPS = 4
"""The shortest vowel: 40 ms."""


def spoken_spans(samples: NDArray[np.float32]) -> list[Span]:
    """Return the spans of clean speech, (n_samples,), in which vowels follow without a pause."""
    if len(samples) < 2 * FRAME:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::STEP]  # (n, FRAME)
    levels = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    loud = np.percentile(levels, 95) - BELOW_LOUD_DB
    floor = np.percentile(levels, 5) + ABOVE_FLOOR_DB
    vowels = (levels > max(loud, floor)) & (periodicity(frames) > PERIODIC)
    return joined(np.flatnonzero(vowels))


def periodicity(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the peak of the normalised autocorrelation of frames (n, FRAME): (n,), at most ~1.

    It is corrected for the window as in Boersma, "Accurate short-term analysis of the fundamental
    frequency", 1993.
    """
    window = np.hanning(FRAME)
    correlation = autocorrelation(frames * window)
    correlation /= autocorrelation(window[None])
    return np.asarray((correlation[:, PERIODS] / (correlation[:, :1] + 1e-9)).max(axis=1))


def autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the autocorrelation of frames (n, FRAME) for the lags up to the longest period."""
    spectrum = np.fft.rfft(frames, 2 * FRAME)
    return np.fft.irfft(np.square(np.abs(spectrum)))[:, : PERIODS.stop]


def joined(steps: NDArray[np.intp]) -> list[Span]:
    """Join steps with vowels to spans, and drop the spans that are shorter than a vowel."""
    if not len(steps):
        return []
    runs = np.split(steps, np.flatnonzero(np.diff(steps) > JOINED_STEPS) + 1)
    # A step's frame is four steps long; its middle is where the vowel is.
    return [
        (int(run[0] + 1) * STEP, int(run[-1] + 3) * STEP) for run in runs if len(run) >= LEAST_STEPS
    ]
