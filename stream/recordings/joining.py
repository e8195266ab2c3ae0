"""Where two windows that overlap in the middle of speech join.

As Distil-Whisper joins its chunks: by the longest common sequence of the words on the overlap. The
two hypotheses change over at the common word nearest to the middle of the overlap, where each has
heard as much beyond it as the other; where they have no word in common, at the middle itself. Where
one heard nothing, the other is believed.
"""

from collections.abc import Sequence

from stream.core.overlap_merge import common_words, midpoint
from stream.core.transcript import monotone
from stream.core.windows import Word


def join(
    before: Sequence[Word], after: Sequence[Word], overlap: tuple[int, int]
) -> tuple[tuple[Word, ...], tuple[Word, ...]]:
    """Return what to keep of the words of two windows; `overlap` are the samples both heard."""
    start, end = overlap
    middle = (start + end) // 2
    first = next((i for i, w in enumerate(before) if w.end_sample > start), len(before))
    shared_before = before[first:]
    shared_after = [word for word in after if word.start_sample < end]
    matches = common_words(shared_before, shared_after)
    if matches:
        left, right = min(matches, key=lambda m: abs(midpoint(shared_before[m[0]]) - middle))
        kept, fresh = before[: first + left + 1], after[right + 1 :]
    elif not shared_before or not shared_after:
        kept, fresh = before, after
    else:
        kept = [word for word in before if midpoint(word) < middle]
        fresh = [word for word in after if midpoint(word) >= middle]
    floor = kept[-1].end_sample if kept else 0
    return tuple(kept), monotone(fresh, floor)
