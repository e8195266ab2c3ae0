"""Measures hallucinations with the repeated 5-grams of the Distil-Whisper paper.

Gandhi et al., "Distil-Whisper: Robust Knowledge Distillation via Large-Scale Pseudo Labelling"
(arXiv:2311.00430), count the word 5-grams that are repeated, and the insertion error rate. The
paper counts 5-grams over a whole set. Here each recording is counted separately, so that two
recordings with the same sentence do not count, and the repetitions in the reference are counted
too.
"""

from dataclasses import dataclass, fields

DEGREE = 5


@dataclass(frozen=True, slots=True)
class Repetitions:
    """5-grams that repeat an earlier one of the same recording; supports `+` over recordings."""

    transcript: int = 0
    """Repetitions in the transcript."""
    reference: int = 0
    """Repetitions in the reference: speakers repeat themselves, too."""

    def __add__(self, other: "Repetitions") -> "Repetitions":
        return Repetitions(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def repeated_ngrams(words: list[str], degree: int = DEGREE) -> int:
    """Return how many n-grams of the words have occurred before."""
    ngrams = [tuple(words[i : i + degree]) for i in range(len(words) - degree + 1)]
    return len(ngrams) - len(set(ngrams))


def repetitions(reference: str, transcript: str) -> Repetitions:
    """Count the repeated 5-grams of two normalised texts."""
    return Repetitions(repeated_ngrams(transcript.split()), repeated_ngrams(reference.split()))


def words_per_hour(words: int, seconds: float) -> float:
    """Return the rate of words that were recognised in `seconds` of audio without words."""
    return 3600 * words / seconds if seconds else 0.0
