"""When somebody speaks in a clean recording, by loudness and pitch: no detector of ours decides.

A word has a vowel, and a vowel is loud and periodic; breath, clicks and the noise of a room are not
both. Consonants around the vowels are no part of what is found here.
"""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

Span = tuple[int, int]
"""[start, end) in samples at 16 kHz."""

STEP = SAMPLE_RATE // 100
HEARD = 4 * STEP
"""40 ms: at least two periods of any voice."""

PERIODS = slice(SAMPLE_RATE // 400, SAMPLE_RATE // 70)
"""Of voices between 70 and 400 Hz, in samples."""

PERIODIC = 0.6
"""The share of a vowel that a period later comes again."""

BELOW_LOUD_DB = 25.0
"""Vowels are not so far below the loudest twentieth of a recording."""

ABOVE_FLOOR_DB = 10.0
JOINED_STEPS = 15
"""150 ms without a vowel are no pause."""

LEAST_STEPS = 4
"""The shortest vowel: 40 ms."""


def spoken_spans(samples: NDArray[np.float32]) -> list[Span]:
    """Return where vowels follow each other in (n_samples,) of clean speech, in order."""
    if len(samples) < 2 * HEARD:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(samples, HEARD)[::STEP]  # (n, HEARD)
    levels = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
    loud = np.percentile(levels, 95) - BELOW_LOUD_DB
    floor = np.percentile(levels, 5) + ABOVE_FLOOR_DB
    vowels = (levels > max(loud, floor)) & (periodicity(frames) > PERIODIC)
    return joined(np.flatnonzero(vowels))


def periodicity(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the height, at most about 1, of the autocorrelation's peak in frames (n, HEARD).

    Corrected for the window as in Boersma, "Accurate short-term analysis of the fundamental
    frequency", 1993.
    """
    window = np.hanning(HEARD)
    correlation = autocorrelation(frames * window)
    correlation /= autocorrelation(window[None])
    return np.asarray((correlation[:, PERIODS] / (correlation[:, :1] + 1e-9)).max(axis=1))


def autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return that of each of frames (n, HEARD), for the lags up to the longest period."""
    spectrum = np.fft.rfft(frames, 2 * HEARD)
    return np.fft.irfft(np.square(np.abs(spectrum)))[:, : PERIODS.stop]


def joined(steps: NDArray[np.intp]) -> list[Span]:
    """Join steps that hold vowels to spans, and leave out those too short to be one."""
    if not len(steps):
        return []
    runs = np.split(steps, np.flatnonzero(np.diff(steps) > JOINED_STEPS) + 1)
    # A step's frame is four steps long; its middle is where the vowel is.
    return [
        (int(run[0] + 1) * STEP, int(run[-1] + 3) * STEP) for run in runs if len(run) >= LEAST_STEPS
    ]
