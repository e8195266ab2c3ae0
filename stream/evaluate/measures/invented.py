"""Counts the words that were recognised but not spoken.

A reference text shows insertions. Without a text, two kinds can still be counted: words at times at
which nobody spoke, if the turns of the speakers are known, and words in a loop.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

from stream.evaluate.measures.record import TimedWord

MARGIN_S = 0.5
"""Turns are widened by this time, because neither their edges, which were set by hand, nor the
edges of words are exact."""
LONGEST_PHRASE = 10
"""Words of the longest phrase whose repetition is looked for."""

Turns = Sequence[tuple[float, float]]
"""The times at which somebody speaks: start and end in seconds."""


@dataclass(frozen=True, slots=True)
class Invented:
    """Words that a system recognised, and how many of them were not spoken; supports `+`."""

    recognised: int = 0
    inserted: int = 0
    """Insertions, in recordings whose text is known."""
    outside: int = 0
    """Words outside of every turn, in recordings whose turns are known."""
    looped: int = 0
    """Words in the third or a later copy in a row of the same phrase, which speakers seldom say."""

    def __add__(self, other: "Invented") -> "Invented":
        return Invented(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


def outside_turns(words: Sequence[TimedWord], turns: Turns) -> int:
    """Return how many words do not overlap any turn, widened by `MARGIN_S` on both sides."""
    return sum(
        all(
            word.end_s <= start_s - MARGIN_S or word.start_s >= end_s + MARGIN_S
            for start_s, end_s in turns
        )
        for word in words
    )


def looped_words(words: Sequence[str]) -> int:
    """Return how many words belong to the third or a later copy in a row of the same phrase.

    Args:
        words: normalised words. Phrases have 1 to `LONGEST_PHRASE` words.
    """
    looped: set[int] = set()
    for length in range(1, LONGEST_PHRASE + 1):
        run = 0
        for place in range(length, len(words)):
            run = run + 1 if words[place] == words[place - length] else 0
            # The second copy is complete after `length` equal words.
            if run > length:
                looped.add(place)
    return len(looped)
