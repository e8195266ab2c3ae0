"""Measures the distance of recognised word edges (starts and ends) from known ones.

Words are compared if they are equal in an alignment of the two texts; a word that was recognised
wrongly has no edges to compare.
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
"""Seconds; a smaller error is not noticed in a caption or in a cut of a recording."""
ROUNDING_S = 1e-9


def phrase(text: str, start_s: float, end_s: float) -> tuple[TimedWord, ...]:
    """Return the words of a phrase whose start and end are known; edges inside it are NaN."""
    texts = [word for word in text.split() if any(c.isalnum() for c in word)]
    starts = [start_s, *[nan] * (len(texts) - 1)]
    ends = [*[nan] * (len(texts) - 1), end_s]
    return tuple(map(TimedWord, texts, starts, ends))


@dataclass(slots=True)
class EdgeErrors:
    """Errors of word edges in seconds, positive if too late; sums up recordings."""

    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    said: int = 0
    """Words of the reference."""
    found: int = 0
    """Words of the reference that were recognised."""
    backwards: int = 0
    """Recognised words that begin before the word before them ends, or end before they begin."""

    def add(self, reference: Sequence[TimedWord], recognised: Sequence[TimedWord]) -> None:
        """Add the errors of a recording; both sequences are in order."""
        self.said += len(reference)
        self.backwards += out_of_order(recognised)
        for true, word in same_words(reference, recognised):
            self.found += 1
            if not isnan(true.start_s):
                self.starts.append(word.start_s - true.start_s)
            if not isnan(true.end_s):
                self.ends.append(word.end_s - true.end_s)


def same_words(
    reference: Sequence[TimedWord], recognised: Sequence[TimedWord]
) -> Iterable[tuple[TimedWord, TimedWord]]:
    """Yield the pairs of aligned words that are equal, without regard to case and punctuation."""
    matcher = SequenceMatcher(
        None,
        [normalise(word.text) for word in reference],
        [normalise(word.text) for word in recognised],
        autojunk=False,
    )
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            yield reference[block.a + i], recognised[block.b + i]


def out_of_order(words: Sequence[TimedWord]) -> int:
    """Count the words that begin before the word before them ends, or end before they begin."""
    overlapping = sum(b.start_s < a.end_s - ROUNDING_S for a, b in pairwise(words))
    return overlapping + sum(word.end_s < word.start_s for word in words)


def percentile_ms(errors: Sequence[float], percent: float = 50) -> float:
    """Return a percentile of the absolute errors, in milliseconds; NaN if there are none."""
    return 1000 * float(np.percentile(np.abs(errors), percent)) if len(errors) else nan


def bias_ms(errors: Sequence[float]) -> float:
    """Return the median of the signed errors, in milliseconds (positive: too late); NaN if none."""
    return 1000 * float(np.median(errors)) if len(errors) else nan


def close(errors: Sequence[float]) -> float:
    """Return the share of edges within `CLOSE_S`, 0..1."""
    return float(np.mean(np.abs(errors) <= CLOSE_S)) if len(errors) else nan
