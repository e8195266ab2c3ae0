"""Finds where two hypotheses of overlapping windows join.

The words on the overlap of two windows are in both hypotheses, and may differ. The join is found as
Distil-Whisper joins its chunks (Gandhi, von Platen and Rush 2023, section on long-form
transcription): by the longest common sequence of the words on the overlap. Words are compared
without case and punctuation, and two words match only if their times are close, so that the second
"very" of "very, very good" is not taken for the first.
"""

import unicodedata
from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word

SAME_WORD_TOLERANCE = SAMPLE_RATE
"""Samples by which the times of a word in two hypotheses may differ. Times from attention are off
by about 0.1 s, but at the edge of a window by several tenths of a second."""
PASSED_OVER = 0.5
"""A share of the number of context words. If a hypothesis has none of the words before the
utterance, and at most this share of other words in their place, the model passed over them."""


def normalise(text: str) -> str:
    """Return the word in lower case without punctuation; the word itself if nothing is left."""
    kept = "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LNM")
    return kept or text.strip()


def first_new_word(settled: Sequence[Word], hypothesis: Sequence[Word], start_sample: int) -> int:
    """Return the index in `hypothesis` of the first word that comes after all `settled` words.

    The index is the length of `hypothesis` if it has no new word.

    Args:
        settled: the words so far.
        hypothesis: the words of a later window, which may begin before the settled words end.
        start_sample: no new word is before this sample, unless it follows the last settled word
            in the hypothesis.
    """
    matches = common_words(settled, hypothesis)
    last_settled, last_found = matches[-1] if matches else (-1, -1)
    index = last_found + 1
    if settled and last_settled == len(settled) - 1:
        return index  # the order of the words counts, even if their times in a pause contradict it
    # Nothing is settled, or the hypothesis has other words in the place of the last settled words.
    # These other words are skipped by their times.
    end = max(start_sample, settled[-1].end_sample if settled else 0)
    first = index
    while index < len(hypothesis) and midpoint(hypothesis[index]) < end:
        index += 1
    if not matches and index <= PASSED_OVER * len(settled) and end == start_sample:
        # The model omitted the context, so the first words are new. Their times are wrong: the
        # alignment always begins at the start of the window, where the context is.
        return first
    return index


def common_words(settled: Sequence[Word], hypothesis: Sequence[Word]) -> list[tuple[int, int]]:
    """Return the common sequence with the greatest sum of match scores, as pairs of indices.

    Found by dynamic programming. `match_score` gives the score of a pair of equal words, so of two
    sequences of equal length the one whose times are closer is returned.
    """
    keys = [normalise(word.text) for word in settled]
    hypothesis_keys = [normalise(word.text) for word in hypothesis]
    rows, columns = len(settled), len(hypothesis)
    score = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            best = max(score[i + 1][j], score[i][j + 1])
            if keys[i] == hypothesis_keys[j]:
                best = max(best, score[i + 1][j + 1] + match_score(settled[i], hypothesis[j]))
            score[i][j] = best
    matches = []
    i = j = 0
    while i < rows and j < columns:
        if score[i][j] == score[i + 1][j]:
            i += 1
        elif score[i][j] == score[i][j + 1]:
            j += 1
        else:
            matches.append((i, j))
            i, j = i + 1, j + 1
    return matches


def match_score(one: Word, other: Word) -> float:
    """Return the score of two equal words: 1 at the same time, 0.5 at `SAME_WORD_TOLERANCE`.

    The score is 0 beyond the tolerance. The texts are not compared.
    """
    distance = abs(midpoint(one) - midpoint(other)) / SAME_WORD_TOLERANCE
    return 1.0 - distance / 2 if distance <= 1 else 0.0


def midpoint(word: Word) -> int:
    """Return the sample in the middle of a word."""
    return (word.start_sample + word.end_sample) // 2
