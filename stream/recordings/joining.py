"""Joins the words of two windows that overlap in the middle of speech.

Distil-Whisper joins its chunks in the same way: by the longest common subsequence of the words in
the overlap. The result changes from the first hypothesis to the second at the common word nearest
to the middle of the overlap, where both windows have equal context. If there is no common word, it
changes at the middle itself. If one hypothesis has no words in the overlap, those of the other are
used.
"""

from collections.abc import Sequence

from stream.core.overlap_merge import common_words, midpoint
from stream.core.transcript import monotone
from stream.core.windows import Word


def join(
    before: Sequence[Word], after: Sequence[Word], overlap: tuple[int, int]
) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Return the words to keep from the first window, and those to keep from the second.

    No word of the overlap is in both. `overlap` is the span of samples that both windows contain.
    """
    start, end = overlap
    middle = (start + end) // 2
    first = next((i for i, w in enumerate(before) if w.end_sample > start), len(before))
    shared_before = before[first:]
    shared_after = [word for word in after if word.start_sample < end]
    matches = common_words(shared_before, shared_after)
    if matches:
        left, right = min(matches, key=lambda m: abs(midpoint(shared_before[m[0]]) - middle))
        from_before, from_after = before[: first + left + 1], after[right + 1 :]
    elif not shared_before or not shared_after:
        from_before, from_after = before, after
    else:
        from_before = [word for word in before if midpoint(word) < middle]
        from_after = [word for word in after if midpoint(word) >= middle]
    floor = from_before[-1].end_sample if from_before else 0
    return tuple(from_before), monotone(from_after, floor)
