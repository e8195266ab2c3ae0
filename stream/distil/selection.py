"""Which labels are taught: Distil-Whisper's filter, and what its server would not have believed.

Gandhi et al. (arXiv:2311.00430, section 4.2) keep a pseudo-label if the word error rate between
the normalised reference and the label is at most a threshold, 10 %. What the teacher hears right it
has usually heard without invention, so the filter takes out its hallucinations.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stream.distil.examples import Example
from stream.engine.decoding.guards import MEAN_LOG_PROBABILITY
from stream.engine.decoding.rows import Ending

BIN_PERCENT = 5
LAST_BIN = 50
"""Percent; what is worse shares a bin."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is kept of the examples, and why the rest is not."""

    kept: tuple[int, ...]
    """Indices of the examples to learn from, in order."""
    far_from_reference: int
    """Dropped, because the label of their passage is too far from its reference."""
    unbelieved: int
    """Dropped, because the teacher looped, went on after the speech, or guessed."""


def word_error_rate(example: Example) -> float | None:
    """Percent of the reference's words; None where there is no reference."""
    if example.words is None or example.errors is None:
        return None
    return 100 * example.errors / max(example.words, 1)


def believed(example: Example) -> bool:
    """Whether the teacher came to an end, and knew what it said."""
    came_to_an_end = example.ending == Ending.END_OF_TEXT.value
    return came_to_an_end and example.mean_log_probability >= MEAN_LOG_PROBABILITY


def select(examples: Sequence[Example], max_wer: float) -> Selection:
    """Keep the believed examples of passages that the teacher heard right, or nobody wrote down."""
    wrong = {
        example.passage
        for example in examples
        if (rate := word_error_rate(example)) is not None and rate > max_wer
    }
    far = {i for i, example in enumerate(examples) if example.passage in wrong}
    rest = [i for i in range(len(examples)) if i not in far]
    kept = tuple(i for i in rest if believed(examples[i]))
    return Selection(kept, len(far), len(rest) - len(kept))


def histogram(rates: Sequence[float]) -> list[tuple[str, int]]:
    """Count word error rates in bins of `BIN_PERCENT`, the exactly right ones apart."""
    lows = range(0, LAST_BIN, BIN_PERCENT)
    counts = Counter(min(int(r // BIN_PERCENT) * BIN_PERCENT, LAST_BIN) for r in rates if r)
    return [
        ("0 %", sum(1 for rate in rates if not rate)),
        *((f"{low} to {low + BIN_PERCENT} %", counts[low]) for low in lows),
        (f"{LAST_BIN} % and more", counts[LAST_BIN]),
    ]
