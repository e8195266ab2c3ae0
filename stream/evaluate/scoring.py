"""Word errors, each kind apart, and percentiles."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from stream.errors import UsageError


@dataclass(frozen=True, slots=True)
class WordErrors:
    """What it takes to turn the reference into the transcript; adds up over recordings."""

    words: int = 0
    """Of the reference."""
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
        """All of them."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """The word error rate in percent; 0 where nothing was said."""
        return 100 * self.errors / self.words if self.words else 0.0


def word_errors(reference: str, transcript: str) -> WordErrors:
    """Compare two texts, both normalised as the Whisper paper does.

    The normaliser's table of British and American spellings comes with the hub's checkpoints and
    not with transformers: without it "colour" for "color" counts as an error.
    """
    said, heard = normalised(reference), normalised(transcript)
    if not said:
        return WordErrors(insertions=len(heard.split()))
    output = _jiwer().process_words(said, heard)
    return WordErrors(
        output.hits + output.substitutions + output.deletions,
        output.substitutions,
        output.deletions,
        output.insertions,
    )


def normalised(text: str) -> str:
    """Return the text in lower case, without punctuation, with numbers in one spelling.

    What is in parentheses stays: the normaliser takes it for a subtitler's remark, but a book's
    reader reads it out.
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


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the median, the 90th and the 99th percentile, and how many values there are."""
    data = np.fromiter(values, float)
    if not len(data):
        return {"count": 0}
    p50, p90, p99 = np.percentile(data, [50, 90, 99])
    return {"p50": round(p50, 1), "p90": round(p90, 1), "p99": round(p99, 1), "count": len(data)}
