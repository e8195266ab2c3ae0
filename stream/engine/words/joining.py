"""Joins the readings of a window's spans: one word after the other, each where it was spoken."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from stream.core.overlap_merge import normalise
from stream.core.windows import Word
from stream.engine.words.alignment import SAMPLES_PER_POSITION


def join(readings: Iterable[Sequence[Word]]) -> tuple[Word, ...]:
    """Return the words of a window in order of time.

    Args:
        readings: the words of each span, in the order in which the spans were decoded. A span that
            was passed over lies between two words of an earlier one: they surround its words.
    """
    joined: list[Word] = []
    for words in readings:
        if words:
            insert(joined, words)
    return tuple(joined)


def insert(joined: list[Word], words: Sequence[Word]) -> None:
    """Insert the words of a span, and remove the copies of them that have no audio beside it.

    The model sometimes writes the words of a passage that it passes over, and the path through the
    attention then finds no audio for them but the moment before the passage, or after it.
    """
    place = bisect_right(joined, words[0].start_sample, key=lambda word: word.end_sample)
    texts = [normalise(word.text) for word in words]
    before = run_without_audio(joined[:place][::-1])
    after = run_without_audio(joined[place:])
    n_before = common_prefix([normalise(w.text) for w in before], texts[::-1])
    n_after = common_prefix([normalise(w.text) for w in after], texts)
    joined[place - n_before : place + n_after] = words


def run_without_audio(words: Iterable[Word]) -> list[Word]:
    """Return the leading words that are not longer than one encoder position."""
    run = []
    for word in words:
        if word.end_sample - word.start_sample > SAMPLES_PER_POSITION:
            break
        run.append(word)
    return run


def common_prefix(one: Sequence[str], other: Sequence[str]) -> int:
    """Return how many leading elements are equal."""
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count
