"""How far the edges of words that were heard are from where they are known to be.

A word is compared with its reference where both spell it alike, in the longest common sequence of
the two texts; what was misheard has no edges to compare.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from math import isnan, nan

import numpy as np

from stream.core.overlap_merge import normalise
from stream.evaluate.measures.record import TimedWord

CLOSE_S = 0.1
"""What a caption or a cut into a recording can be off without anybody noticing."""
ROUNDING_S = 1e-9


def phrase(text: str, start_s: float, end_s: float) -> tuple[TimedWord, ...]:
    """Return the words of a phrase of which only both ends are known; others are not a number."""
    texts = [word for word in text.split() if any(c.isalnum() for c in word)]
    starts = [start_s, *[nan] * (len(texts) - 1)]
    ends = [*[nan] * (len(texts) - 1), end_s]
    return tuple(map(TimedWord, texts, starts, ends))


@dataclass(slots=True)
class EdgeErrors:
    """Seconds by which edges were heard too late; adds up over recordings."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    said: int = 0
    """Words of the reference."""
    found: int = 0
    """Those of them that were heard as what they are."""
    backwards: int = 0
    """Words, of all that were heard, that begin before their predecessor ends, or end before they
    begin."""

    def add(self, reference: Sequence[TimedWord], heard: Sequence[TimedWord]) -> None:
        """Compare the words of a recording, in order."""
        self.said += len(reference)
        self.backwards += out_of_order(heard)
        for true, word in same_words(reference, heard):
            self.found += 1
            if not isnan(true.start_s):
                self.starts.append(word.start_s - true.start_s)
            if not isnan(true.end_s):
                self.ends.append(word.end_s - true.end_s)


def same_words(
    reference: Sequence[TimedWord], heard: Sequence[TimedWord]
) -> Iterable[tuple[TimedWord, TimedWord]]:
    """Return the pairs of words that are spelt alike, case and punctuation aside."""
    matcher = SequenceMatcher(
        None,
        [normalise(word.text) for word in reference],
        [normalise(word.text) for word in heard],
        autojunk=False,
    )
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            yield reference[block.a + i], heard[block.b + i]


def out_of_order(words: Sequence[TimedWord]) -> int:
    """Count the words that overlap the one before, or run backwards."""
    overlapping = sum(b.start_s < a.end_s - ROUNDING_S for a, b in pairwise(words))
    return overlapping + sum(word.end_s < word.start_s for word in words)


def median_ms(errors: Sequence[float], percent: float = 50) -> float:
    """Return a percentile of the distances, in milliseconds; not a number where there are none."""
    return 1000 * float(np.percentile(np.abs(errors), percent)) if len(errors) else nan


def bias_ms(errors: Sequence[float]) -> float:
    """Return by how much an edge is heard too late at the median, in milliseconds."""
    return 1000 * float(np.median(errors)) if len(errors) else nan


def close(errors: Sequence[float]) -> float:
    """Return the share of edges within `CLOSE_S`, 0..1."""
    return float(np.mean(np.abs(errors) <= CLOSE_S)) if len(errors) else nan
