"""Moves the edges of words to where the sound begins and ends.

Attention shows roughly where one word is followed by the next, but not the pause between them: a
comma may begin within the word before it, and include the silence after that word. Loudness shows
pauses, but not words. So if a pause lies near the boundary of two words, the first one ends with
the sound before the pause, and the second one begins with the sound after it.
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
"""Audio so far below its loudest twentieth is silence: consonants are louder."""
ABOVE_FLOOR_DB = 6.0
"""Audio less than this above its quietest twentieth is silence, too."""
LEAST_RANGE_DB = 12.0
"""If noise is nearer to the loudness of the speech than this, nothing is taken for silence."""
PAUSE_STEPS = 5
"""The shortest pause, 50 ms."""
REACH = round(0.3 * SAMPLE_RATE)
"""How far a pause may be from the boundary of two words in the attention, in samples."""
DISTANCE_WEIGHT = 0.7
"""This share of a pause's distance is subtracted from its length, to find the likeliest pause."""

Span = tuple[int, int]
"""[start, end) in samples."""


def set_edges(
    words: Sequence[Word], samples: NDArray[np.float32], start_sample: int
) -> tuple[Word, ...]:
    """Return the words with their edges at the edges of sound, if those are near.

    Args:
        words: in order of time, without overlaps, with absolute samples.
        samples: (n_samples,) at 16 kHz, the audio of the words.
        start_sample: of that audio, absolute.
    """
    if not words:
        return ()
    pauses = [(start_sample + a, start_sample + b) for a, b in pauses_of(samples)]
    starts = [word.start_sample for word in words]
    ends = [word.end_sample for word in words]
    boundaries = list(zip(ends, starts[1:], strict=False))
    # A pause separates two words only: otherwise a short word could lie on both sides of it.
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
    """Return the longest pause near the boundary of two words; distance counts against it."""
    best, most = None, 0.0
    for start, end in pauses:
        distance = distance_to((start, end), boundary)
        score = end - start - DISTANCE_WEIGHT * distance
        if distance <= REACH and score > most:
            best, most = (start, end), score
    return best


def nearest(pause: Span, boundaries: Sequence[Span]) -> int | None:
    """Return the index of the boundary that a pause is nearest to; None if there is none."""
    return min(
        range(len(boundaries)), key=lambda i: distance_to(pause, boundaries[i]), default=None
    )


def distance_to(pause: Span, boundary: Span) -> int:
    """Return how far a pause is from the boundary of two words, in samples."""
    return max(pause[0] - boundary[1], boundary[0] - pause[1], 0)


def middle(word: Word) -> int:
    """Return the sample in the middle of a word: no pause between words begins after it."""
    return (word.start_sample + word.end_sample) // 2


def pauses_of(samples: NDArray[np.float32]) -> list[Span]:
    """Return the spans of samples, (n_samples,), that are silent for `PAUSE_STEPS` or longer."""
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
