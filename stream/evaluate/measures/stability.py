"""Measures the flicker of captions: words that were shown and then changed or removed.

Two published measures. *Normalised erasure* (Arivazhagan et al., "Re-translation Strategies for
Long Form, Simultaneous, Spoken Language Translation", ICASSP 2020, arXiv:1912.03393): from one
revision to the next, all words from the first changed one on count as erased; the measure is their
sum over all revisions (with the final), divided by the number of words in the finals. *Unstable
partial word ratio* (Shangguan et al., "Analyzing the Quality and Stability of a Streaming
End-to-End On-Device Speech Recognizer", Interspeech 2020, arXiv:2006.01416): only words that were
changed or dropped themselves count, divided by the same number.

Case and punctuation are ignored, except in the measures that are named `as_shown`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from stream.evaluate.measures.latency import matched, plain
from stream.evaluate.measures.record import Caption, Stamped, captions

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts of words; supports `+` over recordings."""

    final_words: int = 0
    revisions: int = 0
    """Number of times that the shown text of an utterance was replaced."""
    erased: int = 0
    """Shown words from the first changed one to the last, over all revisions."""
    erased_as_shown: int = 0
    """`erased`, if a difference in case or punctuation counts as a change."""
    unstable: int = 0
    """Shown words that were changed or dropped themselves, over all revisions."""

    def __add__(self, other: "Stability") -> "Stability":
        return Stability(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def normalised_erasure(self) -> float:
        """Words erased for each final word; 0 if there is no final word."""
        return self.erased / self.final_words if self.final_words else 0.0

    @property
    def normalised_erasure_as_shown(self) -> float:
        """Words erased for each final word, if case and punctuation count."""
        return self.erased_as_shown / self.final_words if self.final_words else 0.0

    @property
    def unstable_partial_word_ratio(self) -> float:
        """Words changed or dropped for each final word; 0 if there is no final word."""
        return self.unstable / self.final_words if self.final_words else 0.0


def stability(events: Sequence[Stamped]) -> Stability:
    """Count the erased words of one recording."""
    total = Stability()
    for caption in captions(events):
        final = _final_words(caption)
        counts = [
            Stability(0, 1, erased(_plain(old), _plain(new)), erased(old, new), lost(old, new))
            for _, old, new in revisions(caption)
        ]
        total += sum(counts, Stability(final_words=len(final)))
    return total


def revisions(caption: Caption) -> Iterator[tuple[float, Words, Words]]:
    """Yield each replacement of the shown text: its time, the old words, the new words.

    The last one is the replacement by the final. A caption without a final has disappeared, as if
    its final had no words.
    """
    shown = [(at_s, shown.words) for at_s, shown in caption.shown]
    shown.append((caption.final_at_s if caption.final else _last_s(caption), _final_words(caption)))
    for (_, old), (at_s, new) in pairwise(shown):
        yield at_s, old, new


def erased(old: Words, new: Words) -> int:
    """Return how many words of `old` are at or after the first difference from `new`."""
    same = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        same += 1
    return len(old) - same


def lost(old: Words, new: Words) -> int:
    """Return how many words of `old` have no counterpart in `new` when both are aligned."""
    return len(old) - len(matched(_plain(old), _plain(new)))


def erased_at(events: Sequence[Stamped]) -> list[tuple[float, int]]:
    """Return each erasure: the age of the utterance in seconds, and the number of erased words.

    The age of an utterance counts from its first partial.
    """
    return [
        (at_s - caption.shown[0][0], count)
        for caption in captions(events)
        for at_s, old, new in revisions(caption)
        if (count := erased(_plain(old), _plain(new)))
    ]


def ages(events: Sequence[Stamped]) -> list[float]:
    """Return for each utterance the seconds from its first partial to its final."""
    return [c.final_at_s - c.shown[0][0] for c in captions(events) if c.shown and c.final]


def changed_commits(events: Sequence[Stamped]) -> list[str]:
    """Return a sentence for each change of committed words, which the protocol forbids."""
    broken = []
    for caption in captions(events):
        promised: Words = ()
        states = [shown.committed for _, shown in caption.shown]
        for now in (*states, *([_final_words(caption)] if caption.final else [])):
            if now[: len(promised)] != promised:
                broken.append(f"committed {' '.join(promised)!r} became {' '.join(now)!r}")
            promised = now
    return broken


def _final_words(caption: Caption) -> Words:
    return tuple(caption.final.text.split()) if caption.final else ()


def _last_s(caption: Caption) -> float:
    return caption.shown[-1][0] if caption.shown else 0.0


def _plain(words: Words) -> Words:
    return tuple(plain(word) for word in words)
