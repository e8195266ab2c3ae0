"""The edges of words, set to where the sound begins and ends.

Attention says about where one word gives way to the next, and nothing of the pause between
them: a comma may begin within the word before it, and take up the silence after that. Loudness
tells of pauses and nothing of words. So where a pause lies near the place at which two words part,
the first ends with the sound before it, and the second begins with the sound after it.
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
"""What is so far below the loudest twentieth of the audio is silence: consonants are louder."""
ABOVE_FLOOR_DB = 6.0
"""So is what is hardly louder than the quietest twentieth."""
LEAST_RANGE_DB = 12.0
"""In noise nearer to the speech than this nothing is silence."""
PAUSE_STEPS = 5
"""The shortest pause, 50 ms."""
REACH = round(0.3 * SAMPLE_RATE)
"""How far a pause may be from where attention parts two words, in samples."""
DISTANCE_WEIGHT = 0.7
"""So much of its distance is taken off the length of a pause, to find the likeliest."""

Span = tuple[int, int]
"""[start, end) in samples."""


def set_edges(
    words: Sequence[Word], samples: NDArray[np.float32], start_sample: int
) -> tuple[Word, ...]:
    """Return the words with their edges at the edges of sound, where those are near.

    Args:
        words: in order of time, none overlapping, with absolute samples.
        samples: (n_samples,) at 16 kHz, the audio that they were heard in.
        start_sample: of the audio, absolute.
    """
    if not words:
        return ()
    pauses = [(start_sample + a, start_sample + b) for a, b in pauses_of(samples)]
    starts = [word.start_sample for word in words]
    ends = [word.end_sample for word in words]
    partings = list(zip(ends, starts[1:], strict=False))
    # A pause parts two words and no others: a short word beside it would lie on both of its sides.
    owner = {pause: nearest(pause, partings) for pause in pauses}
    for i, (one, following) in enumerate(pairwise(words)):
        own = [pause for pause in pauses if owner[pause] == i]
        between = [p for p in own if p[0] < middle(following) and p[1] > middle(one)]
        if parting := best_pause(between, (ends[i], starts[i + 1])):
            ends[i], starts[i + 1] = parting
    for a, b in pauses:
        if a <= starts[0] < b < ends[0]:
            starts[0] = b
        if starts[-1] < a < ends[-1] <= b:
            ends[-1] = a
    return tuple(
        replace(word, start_sample=min(start, end), end_sample=end)
        for word, start, end in zip(words, starts, ends, strict=True)
    )


def best_pause(pauses: Sequence[Span], parting: Span) -> Span | None:
    """Return the longest pause near to where two words part; distance counts against it."""
    best, most = None, 0.0
    for start, end in pauses:
        distance = away((start, end), parting)
        worth = end - start - DISTANCE_WEIGHT * distance
        if distance <= REACH and worth > most:
            best, most = (start, end), worth
    return best


def nearest(pause: Span, partings: Sequence[Span]) -> int | None:
    """Return the index of the parting that a pause is nearest to; None where there is none."""
    return min(range(len(partings)), key=lambda i: away(pause, partings[i]), default=None)


def away(pause: Span, parting: Span) -> int:
    """Return how far a pause is from where two words part, in samples."""
    return max(pause[0] - parting[1], parting[0] - pause[1], 0)


def middle(word: Word) -> int:
    """Return the sample in the middle of a word: no pause between words begins after it."""
    return (word.start_sample + word.end_sample) // 2


def pauses_of(samples: NDArray[np.float32]) -> list[Span]:
    """Return where (n_samples,) are silent for a while, in order."""
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
