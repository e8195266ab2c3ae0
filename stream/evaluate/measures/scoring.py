"""Counts word errors by kind, and computes percentiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stream.errors import UsageError
from stream.evaluate.measures.calibration import Judged
from stream.evaluate.measures.record import TimedWord


@dataclass(frozen=True, slots=True)
class WordErrors:
    """The edits that turn the reference into the transcript; supports `+` over recordings."""

    words: int = 0
    """Words of the reference."""
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "WordErrors") -> "WordErrors":
        return WordErrors(
            self.words + other.words,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def errors(self) -> int:
        """The sum of the three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def insertion_rate(self) -> float:
        """Insertions in percent of the reference words."""
        return 100 * self.insertions / self.words if self.words else 0.0

    @property
    def rate(self) -> float:
        """The word error rate in percent; 0 if the reference is empty."""
        return 100 * self.errors / self.words if self.words else 0.0


def word_errors(reference: str, transcript: str) -> WordErrors:
    """Compare two texts, both normalised as in the Whisper paper.

    The normaliser's table of British and American spellings is part of the hub's checkpoints, not
    of transformers; it is not used, so "colour" for "color" counts as an error.
    """
    return errors_between(normalised(reference), normalised(transcript))


def errors_between(expected: str, found: str) -> WordErrors:
    """Compare two normalised texts."""
    if not expected:
        return WordErrors(insertions=len(found.split()))
    output = _jiwer().process_words(expected, found)
    return WordErrors(
        output.hits + output.substitutions + output.deletions,
        output.substitutions,
        output.deletions,
        output.insertions,
    )


def judged(reference: str, words: Sequence[TimedWord]) -> list[Judged]:
    """Return the confidence of each word that has one, and whether it is right."""
    confident = [word for word in words if word.confidence is not None]
    parts, chunks = aligned(reference, confident)
    right = {
        index
        for chunk in chunks
        if chunk.type == "equal"
        for index in range(chunk.hyp_start_idx, chunk.hyp_end_idx)
    }
    confidences = [word.confidence or 0.0 for word in parts]
    return [Judged(confidence, i in right) for i, confidence in enumerate(confidences)]


def deletion_and_insertion_times(
    reference: str, words: Sequence[TimedWord]
) -> tuple[list[float], list[float]]:
    """Return the times of deletions and of insertions, in seconds.

    The time of a deletion is the end of the recognised word before it; the time of an insertion is
    the end of the inserted word.
    """
    parts, chunks = aligned(reference, words)
    missing: list[float] = []
    added: list[float] = []
    for chunk in chunks:
        if chunk.type == "delete":
            before_s = parts[chunk.hyp_start_idx - 1].end_s if chunk.hyp_start_idx else 0.0
            missing += [before_s] * (chunk.ref_end_idx - chunk.ref_start_idx)
        elif chunk.type == "insert":
            added += [word.end_s for word in parts[chunk.hyp_start_idx : chunk.hyp_end_idx]]
    return missing, added


def aligned(reference: str, words: Sequence[TimedWord]) -> tuple[list[TimedWord], list[Any]]:
    """Align words with a reference; return one word for each normalised part, and jiwer's chunks.

    Both texts are normalised word by word, so that a time or a confidence stays with its word.
    Normalisation can split a word into several parts: such a word is returned several times, so
    that the indices of the chunks fit.
    """
    expected = " ".join(normalised(word) for word in reference.split())
    parts = [(part, word) for word in words for part in normalised(word.text).split()]
    output = _jiwer().process_words(expected, " ".join(part for part, _ in parts))
    return [word for _, word in parts], output.alignments[0]


def normalised(text: str) -> str:
    """Return the text in lower case, without punctuation, with numbers in one spelling.

    Words in parentheses are kept: the normaliser would remove them as remarks of a subtitler, but
    readers of audiobooks read them aloud.
    """
    return str(_normaliser()(text.replace("(", " ").replace(")", " "))).strip()


@cache
def _normaliser() -> Any:
    from transformers.models.whisper.english_normalizer import EnglishTextNormalizer

    return EnglishTextNormalizer({})  # type: ignore[no-untyped-call]


@cache
def _jiwer() -> Any:
    try:
        import jiwer
    except ImportError as error:
        raise UsageError(
            "Word errors are counted with jiwer: pip install 'distil-stream[evaluate]'."
        ) from error
    return jiwer


PERCENTILES = (50, 90, 95, 99)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the percentiles `p50` to `p99`, and the number of values as `count`."""
    data = np.fromiter(values, float)
    if not len(data):
        return {"count": 0}
    found = np.percentile(data, PERCENTILES)
    named = {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, found, strict=True)}
    return {**named, "count": len(data)}
