"""What a system makes up, counted as the Distil-Whisper paper counts it.

Gandhi et al., "Distil-Whisper: Robust Knowledge Distillation via Large-Scale Pseudo Labelling"
(arXiv:2311.00430): 5-grams of words that are said again, and the insertion error rate. The paper
counts 5-grams over a whole set; here each recording is counted on its own, so that a set that says
the same thing twice is not to blame, and the reference's own repetitions are counted beside.
"""

from dataclasses import dataclass, fields

DEGREE = 5


@dataclass(frozen=True, slots=True)
class Repetitions:
    """5-grams that had been said before in the same recording; adds up over recordings."""

    heard: int = 0
    said: int = 0
    """In the reference: people do repeat themselves."""

    def __add__(self, other: "Repetitions") -> "Repetitions":
        return Repetitions(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def repeated_ngrams(words: list[str], degree: int = DEGREE) -> int:
    """Return how many n-grams of the words are not the first of their kind."""
    ngrams = [tuple(words[i : i + degree]) for i in range(len(words) - degree + 1)]
    return len(ngrams) - len(set(ngrams))


def repetitions(reference: str, transcript: str) -> Repetitions:
    """Count the repeated 5-grams of two normalised texts."""
    return Repetitions(repeated_ngrams(transcript.split()), repeated_ngrams(reference.split()))


def words_per_hour(words: int, seconds: float) -> float:
    """Return the rate of words in audio that holds none."""
    return 3600 * words / seconds if seconds else 0.0
