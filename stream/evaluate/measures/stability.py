"""How much captions flicker: what readers saw that was taken back.

Two published measures. *Normalised erasure* (Arivazhagan et al., "Re-translation Strategies for
Long Form, Simultaneous, Spoken Language Translation", ICASSP 2020, arXiv:1912.03393): from one
revision to the next, all words after the first one that changed count as erased; their sum over
all revisions, the final among them, by the words of the finals. *Unstable partial word ratio*
(Shangguan et al., "Analyzing the Quality and Stability of a Streaming End-to-End On-Device Speech
Recognizer", Interspeech 2020, arXiv:2006.01416): only the words that were themselves changed or
dropped count, again by the words of the finals.

A word is the same in another case or with other punctuation; the measure `as shown` minds both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from stream.evaluate.measures.latency import matched, plain
from stream.evaluate.measures.record import Caption, Stamped, captions

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stability:
    """Counts of words; adds up over recordings."""

    final_words: int = 0
    revisions: int = 0
    """Times that what was shown of an utterance was replaced."""
    erased: int = 0
    erased_as_shown: int = 0
    """The same where a comma or a capital is a change."""
    unstable: int = 0
    """Words that were themselves changed or dropped."""

    def __add__(self, other: "Stability") -> "Stability":
        return Stability(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def normalised_erasure(self) -> float:
        """Words erased for each final word; 0 where there is none."""
        return self.erased / self.final_words if self.final_words else 0.0

    @property
    def normalised_erasure_as_shown(self) -> float:
        """The same, of words as they were written."""
        return self.erased_as_shown / self.final_words if self.final_words else 0.0

    @property
    def unstable_partial_word_ratio(self) -> float:
        """Words changed or dropped for each final word; 0 where there is none."""
        return self.unstable / self.final_words if self.final_words else 0.0


def stability(events: Sequence[Stamped]) -> Stability:
    """Count what was taken back in one recording."""
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
    """Yield when each text replaced another, the old one and the new one; the final is the last.

    A caption without a final is one that vanished: its final has no words.
    """
    shown = [(at_s, shown.words) for at_s, shown in caption.shown]
    shown.append((caption.final_at_s if caption.final else _last_s(caption), _final_words(caption)))
    for (_, old), (at_s, new) in pairwise(shown):
        yield at_s, old, new


def erased(old: Words, new: Words) -> int:
    """Return how many words go when `new` replaces `old` from the first difference on."""
    same = 0
    for a, b in zip(old, new, strict=False):
        if a != b:
            break
        same += 1
    return len(old) - same


def lost(old: Words, new: Words) -> int:
    """Return how many words of `old` are not in `new`, wherever they stand."""
    return len(old) - len(matched(_plain(old), _plain(new)))


def erased_at(events: Sequence[Stamped]) -> list[tuple[float, int]]:
    """Return how old its utterance was, in seconds, when words were erased, and how many.

    An utterance's age counts from what was first shown of it.
    """
    return [
        (at_s - caption.shown[0][0], count)
        for caption in captions(events)
        for at_s, old, new in revisions(caption)
        if (count := erased(_plain(old), _plain(new)))
    ]


def ages(events: Sequence[Stamped]) -> list[float]:
    """Return for how many seconds each utterance was shown before its final."""
    return [c.final_at_s - c.shown[0][0] for c in captions(events) if c.shown and c.final]


def changed_commits(events: Sequence[Stamped]) -> list[str]:
    """Return a sentence for each time that committed words changed: there must be none."""
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
