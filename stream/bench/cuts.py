"""Counts the words that are missing or doubled where speech without pauses is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.evaluate.measures.record import Finished, Stamped, final_words
from stream.evaluate.measures.scoring import deletion_and_insertion_times

NEAR_S = 2.0
"""An error at most this far from a cut is counted. It is longer than the longest word, and than the
second before a split whose words are left to the next utterance."""


@dataclass(frozen=True, slots=True)
class AtCuts:
    """Deletions and insertions near cuts; supports `+` over recordings."""

    cuts: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: "AtCuts") -> "AtCuts":
        return AtCuts(
            self.cuts + other.cuts,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def at_cuts(reference: str, shown: Sequence[Stamped]) -> AtCuts:
    """Count the cuts of one recording, and the errors near them.

    A cut is the end of an utterance that silence did not end, except the end of the recording.
    """
    finals = [stamped.event for stamped in shown if isinstance(stamped.event, Finished)]
    cuts_s = [
        final.words[-1].end_s for final in finals[:-1] if final.words and not final.by_silence
    ]

    def near(times_s: Sequence[float]) -> int:
        return sum(any(abs(at_s - cut_s) <= NEAR_S for cut_s in cuts_s) for at_s in times_s)

    missing, added = deletion_and_insertion_times(reference, final_words(shown))
    return AtCuts(len(cuts_s), near(missing), near(added))
