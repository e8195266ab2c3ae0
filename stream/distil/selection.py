"""Selects the labels for training: Distil-Whisper's filter, and the guards of the server.

Gandhi et al. (arXiv:2311.00430, section 4.2) use a pseudo-label if the word error rate between the
normalised reference and the label is at most 10 %. This filter removes most of the teacher's
hallucinations. Labels that the server's guards would reject are dropped, too.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from stream.distil.examples import Example
from stream.engine.decoding.guards import MEAN_LOG_PROBABILITY
from stream.engine.decoding.rows import Ending

BIN_PERCENT = 5
LAST_BIN = 50
"""Percent; all higher rates are in one bin."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The indices of the selected examples, and how many others were dropped.

    They were dropped because of their label's word error rate (`far_from_reference`) or because the
    teacher's decoding failed (`rejected`).
    """

    kept: tuple[int, ...]
    """Indices of the examples to train on, in order."""
    far_from_reference: int
    """Examples dropped because the word error rate of their passage's label is too high."""
    rejected: int
    """Examples dropped because the teacher repeated itself, went on after the speech, or had too
    low a probability."""


def word_error_rate(example: Example) -> float | None:
    """Return the word error rate of a label in percent; None if there is no reference."""
    if example.words is None or example.errors is None:
        return None
    return 100 * example.errors / max(example.words, 1)


def is_reliable(example: Example) -> bool:
    """Return whether decoding ended with the end of text and with a sufficient probability."""
    ended = example.ending == Ending.END_OF_TEXT.value
    return ended and example.mean_log_probability >= MEAN_LOG_PROBABILITY


def select(examples: Sequence[Example], max_wer: float) -> Selection:
    """Select examples for training.

    Dropped are all examples of a passage of which any label has a word error rate above `max_wer`,
    and all examples that are not reliable. Labels without a reference are not compared.

    Args:
        examples: all examples.
        max_wer: the highest word error rate of a label that is used, in percent.
    """
    wrong = {
        example.passage
        for example in examples
        if (rate := word_error_rate(example)) is not None and rate > max_wer
    }
    far = {i for i, example in enumerate(examples) if example.passage in wrong}
    rest = [i for i in range(len(examples)) if i not in far]
    kept = tuple(i for i in rest if is_reliable(examples[i]))
    return Selection(kept, len(far), len(rest) - len(kept))


def histogram(rates: Sequence[float]) -> list[tuple[str, int]]:
    """Count word error rates in bins of `BIN_PERCENT`; rates of 0 have their own bin."""
    lows = range(0, LAST_BIN, BIN_PERCENT)
    counts = Counter(min(int(r // BIN_PERCENT) * BIN_PERCENT, LAST_BIN) for r in rates if r)
    return [
        ("0 %", sum(1 for rate in rates if not rate)),
        *((f"{low} to {low + BIN_PERCENT} %", counts[low]) for low in lows),
        (f"{LAST_BIN} % and more", counts[LAST_BIN]),
    ]
