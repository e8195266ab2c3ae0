"""Measures calibration: whether the share of right words equals their confidence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BINS = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """A word's confidence (0..1), and whether the word is in the reference."""

    confidence: float
    right: bool


@dataclass(frozen=True, slots=True)
class Bin:
    """The words with a confidence in [low, high); the last bin includes 1."""

    low: float
    high: float
    words: int
    confidence: float
    """Mean confidence of the words."""
    right: float
    """The share of the words that is right, 0..1."""


def calibration(words: Iterable[Judged], bins: int = BINS) -> list[Bin]:
    """Sort words by confidence into bins of equal width; empty bins are left out."""
    sorted_into: list[list[Judged]] = [[] for _ in range(bins)]
    for word in words:
        sorted_into[min(int(word.confidence * bins), bins - 1)].append(word)
    return [
        Bin(
            low=i / bins,
            high=(i + 1) / bins,
            words=len(found),
            confidence=sum(word.confidence for word in found) / len(found),
            right=sum(word.right for word in found) / len(found),
        )
        for i, found in enumerate(sorted_into)
        if found
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean over words of the distance between a bin's confidence and accuracy, 0..1.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
    """
    words = sum(b.words for b in bins)
    return sum(b.words * abs(b.confidence - b.right) for b in bins) / words if words else 0.0
