"""Moves the starts and ends of words to the edges of pauses.

Attention shows roughly the time at which one word is followed by the next, but not the pause
between them: a comma may begin within the word before it, and include the silence after that word.
Loudness shows pauses, but not words. So if there is a pause near the boundary of two words, the
first word ends at the start of the pause, and the second one begins at its end.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word

STEP = SAMPLE_RATE // 100
BELOW_LOUD_DB = 32.0
"""Audio is silence if it is this far below the 95th percentile of loudness; consonants are louder.
"""
ABOVE_FLOOR_DB = 6.0
"""Audio is also silence if it is less than this above the 5th percentile of loudness."""
LEAST_RANGE_DB = 12.0
"""Silence is at least this far below the 95th percentile. If the noise is louder than that, there
is no silence."""
PAUSE_STEPS = 5
"""The shortest pause, in steps of 10 ms."""
REACH = round(0.3 * SAMPLE_RATE)
"""The largest distance of a pause from the boundary of two words in the attention, in samples."""
DISTANCE_WEIGHT = 0.7
"""This part of a pause's distance is subtracted from its length; the pause with the largest result
is used."""

Span = tuple[int, int]
"""[start, end) in samples."""


def set_edges(
    words: Sequence[Word], samples: NDArray[np.float32], start_sample: int
) -> tuple[Word, ...]:
    """Return the words with their starts and ends moved to the edges of pauses, if any are near.

    Args:
        words: words in order of time, without overlaps, with absolute samples.
        samples: (n_samples,) at 16 kHz, the audio of the words.
        start_sample: absolute sample at which this audio starts.
    """
    if not words:
        return ()
    pauses = [(start_sample + a, start_sample + b) for a, b in pauses_of(samples)]
    starts = [word.start_sample for word in words]
    ends = [word.end_sample for word in words]
    boundaries = list(zip(ends, starts[1:], strict=False))
    # A pause is used for one boundary only; otherwise a short word could be on both sides of it.
    owner = {pause: nearest(pause, boundaries) for pause in pauses}
    for i, (one, following) in enumerate(pairwise(words)):
        own = [pause for pause in pauses if owner[pause] == i]
        between = [p for p in own if p[0] < middle(following) and p[1] > middle(one)]
        if boundary := longest_pause(between, (ends[i], starts[i + 1])):
            ends[i], starts[i + 1] = boundary
    for a, b in pauses:
        if a <= starts[0] < b < ends[0]:
            starts[0] = b
        if starts[-1] < a < ends[-1] <= b:
            ends[-1] = a
    return tuple(
        replace(word, start_sample=min(start, end), end_sample=end)
        for word, start, end in zip(words, starts, ends, strict=True)
    )


def longest_pause(pauses: Sequence[Span], boundary: Span) -> Span | None:
    """Return the best pause within `REACH` of the boundary of two words; None if there is none.

    The best one is the longest, after part of its distance is subtracted from its length.
    """
    best, most = None, 0.0
    for start, end in pauses:
        distance = distance_to((start, end), boundary)
        score = end - start - DISTANCE_WEIGHT * distance
        if distance <= REACH and score > most:
            best, most = (start, end), score
    return best


def nearest(pause: Span, boundaries: Sequence[Span]) -> int | None:
    """Return the index of the boundary nearest to a pause; None if there are no boundaries."""
    return min(
        range(len(boundaries)), key=lambda i: distance_to(pause, boundaries[i]), default=None
    )


def distance_to(pause: Span, boundary: Span) -> int:
    """Return the gap between a pause and the boundary of two words, in samples; 0 if they meet."""
    return max(pause[0] - boundary[1], boundary[0] - pause[1], 0)


def middle(word: Word) -> int:
    """Return the sample in the middle of a word."""
    return (word.start_sample + word.end_sample) // 2


def pauses_of(samples: NDArray[np.float32]) -> list[Span]:
    """Return the silent spans of (n_samples,) at 16 kHz that are at least `PAUSE_STEPS` long."""
    if len(samples) < STEP:
        return []
    whole = samples[: len(samples) // STEP * STEP].astype(np.float64)
    levels = 10 * np.log10(np.square(whole).reshape(-1, STEP).mean(axis=1) + 1e-10)  # (n_steps,)
    loud, floor = np.percentile(levels, [95, 5])
    least = min(max(loud - BELOW_LOUD_DB, floor + ABOVE_FLOOR_DB), loud - LEAST_RANGE_DB)
    quiet = (levels < least).view(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet, [0]])))
    return [
        (int(a) * STEP, int(b) * STEP)
        for a, b in zip(edges[::2], edges[1::2], strict=True)
        if b - a >= PAUSE_STEPS
    ]
