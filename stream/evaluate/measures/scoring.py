"""Word errors, each kind apart, and percentiles."""

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
    def insertion_rate(self) -> float:
        """Words that were not said, in percent of those that were."""
        return 100 * self.insertions / self.words if self.words else 0.0

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


def judged(reference: str, words: Sequence[TimedWord]) -> list[Judged]:
    """Return the confidence of each word that has one, and whether it was said."""
    confident = [word for word in words if word.confidence is not None]
    heard, chunks = aligned(reference, confident)
    right = {
        index
        for chunk in chunks
        if chunk.type == "equal"
        for index in range(chunk.hyp_start_idx, chunk.hyp_end_idx)
    }
    confidences = [word.confidence or 0.0 for word in heard]
    return [Judged(confidence, i in right) for i, confidence in enumerate(confidences)]


def left_out_and_added(
    reference: str, words: Sequence[TimedWord]
) -> tuple[list[float], list[float]]:
    """Return when each missing word would have come, and when each added one does, in seconds.

    A missing word's time is the end of the word that was heard before it.
    """
    heard, chunks = aligned(reference, words)
    missing: list[float] = []
    added: list[float] = []
    for chunk in chunks:
        if chunk.type == "delete":
            before_s = heard[chunk.hyp_start_idx - 1].end_s if chunk.hyp_start_idx else 0.0
            missing += [before_s] * (chunk.ref_end_idx - chunk.ref_start_idx)
        elif chunk.type == "insert":
            added += [word.end_s for word in heard[chunk.hyp_start_idx : chunk.hyp_end_idx]]
    return missing, added


def aligned(reference: str, words: Sequence[TimedWord]) -> tuple[list[TimedWord], list[Any]]:
    """Return the words as often as they have parts when normalised, and jiwer's chunks of these.

    Both texts are normalised word by word, so that a time or a confidence stays with its word.
    """
    said = " ".join(normalised(word) for word in reference.split())
    parts = [(part, word) for word in words for part in normalised(word.text).split()]
    output = _jiwer().process_words(said, " ".join(part for part, _ in parts))
    return [word for _, word in parts], output.alignments[0]


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


PERCENTILES = (50, 90, 95, 99)


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """Return the percentiles `p50` to `p99`, and how many values there are."""
    data = np.fromiter(values, float)
    if not len(data):
        return {"count": 0}
    found = np.percentile(data, PERCENTILES)
    named = {f"p{p}": round(float(v), 1) for p, v in zip(PERCENTILES, found, strict=True)}
    return {**named, "count": len(data)}
