"""What is lost and what is doubled where speech that never pauses is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from stream.evaluate.measures.record import Finished, Stamped, final_words
from stream.evaluate.measures.scoring import left_out_and_added

NEAR_S = 2.0
"""A word so near a cut may be the cut's fault: more than the longest word, and than the second
before a split that is left to the successor."""


@dataclass(frozen=True, slots=True)
class AtCuts:
    """Words left out and added near the cuts; adds up over recordings."""

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
    """Count what is wrong near the cuts of one recording.

    A cut is where an utterance ends and no silence ended it; the end of the recording is none.
    """
    finals = [stamped.event for stamped in shown if isinstance(stamped.event, Finished)]
    cuts_s = [
        final.words[-1].end_s for final in finals[:-1] if final.words and not final.by_silence
    ]

    def near(times_s: Sequence[float]) -> int:
        return sum(any(abs(at_s - cut_s) <= NEAR_S for cut_s in cuts_s) for at_s in times_s)

    missing, added = left_out_and_added(reference, final_words(shown))
    return AtCuts(len(cuts_s), near(missing), near(added))
