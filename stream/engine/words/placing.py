"""Moves words out of the silence between two spans of speech.

The path through the attention leads from one word to the next without gaps, so a word beside a
pause may be aligned to the pause, or to the end of the speech before it. A word in silence was
spoken in the neighbouring speech to which its tokens attend more.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.transcript import monotone
from stream.core.windows import Word
from stream.engine.words.alignment import EARLY_SAMPLES, SAMPLES_PER_POSITION

LEAST_PAUSE = round(0.25 * SAMPLE_RATE)
"""Samples of silence between two spans of speech; in a shorter pause no word is moved."""
NEAR = round(0.1 * SAMPLE_RATE)
"""Attention this near to a span of speech belongs to it, in samples."""
LEAST_SPOKEN = round(0.04 * SAMPLE_RATE)
"""A word with less speech than this is in silence, in samples."""
SLACK = round(0.2 * SAMPLE_RATE)
"""By how much the edge of a word may differ from that of detected speech, in samples."""
CLEARLY = 2.0
"""A word at the end of a span of speech is moved behind the pause only if its tokens attend to the
speech there more, by this factor."""

Speech = Sequence[tuple[int, int]]


def attention_by_span(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
    start_sample: int,
    speech: Speech,
    skipped: int = 0,
) -> list[float]:
    """Return for each span of speech how much attention the tokens of a word pay to it.

    Args:
        attention: of the word's tokens.
        start_sample: absolute sample of the first encoder position.
        speech: spans of speech, in absolute samples.
        skipped: number of leading positions that do not count.
    """
    weights = attention.mean((0, 1))
    weights[:skipped] = 0.0
    at = start_sample + EARLY_SAMPLES + np.arange(len(weights)) * SAMPLES_PER_POSITION
    return [float(weights[(at >= start - NEAR) & (at < end + NEAR)].sum()) for start, end in speech]


def place(
    words: Sequence[Word], attention: Sequence[Sequence[float]], speech: Speech
) -> tuple[Word, ...]:
    """Return the words with those in a pause moved to the speech before or after it.

    Args:
        words: in order of time.
        attention: for each word, that of its tokens by span of speech (`attention_by_span`).
        speech: spans of speech, in absolute samples.
    """
    placed = list(words)
    for after, ((_, pause_start), (pause_end, _)) in enumerate(pairwise(speech), start=1):
        if pause_end - pause_start < LEAST_PAUSE:
            continue
        first = next((i for i, w in enumerate(placed) if w.end_sample > pause_start), len(placed))
        while first and is_late(placed[first - 1], attention[first - 1], speech, after):
            first -= 1
        last = first
        while last < len(placed) and placed[last].start_sample < pause_end:
            last += 1
        in_pause = range(first, last)
        split = next(
            (i for i in in_pause if belongs_after(placed[i], attention[i], speech, after, i)), last
        )
        move_back(placed, range(first, split), pause_start)
        move_on(placed, range(split, last), pause_end)
    return monotone(placed, 0)


def belongs_after(
    word: Word, attention: Sequence[float], speech: Speech, after: int, index: int
) -> bool:
    """Return whether a word beside a pause was spoken after it.

    Args:
        word: a word that ends after the start of the pause and begins before its end.
        attention: that of its tokens, by span of speech.
        speech: spans of speech.
        after: index of the span after the pause.
        index: that of the word; the attention of the first one to its own sound is not known.
    """
    (_, pause_start), (pause_end, _) = speech[after - 1], speech[after]
    spoken_before = pause_start - word.start_sample
    spoken_after = word.end_sample - pause_end
    if max(spoken_before, spoken_after) < LEAST_SPOKEN:
        return attention[after] > attention[after - 1]
    if spoken_before >= LEAST_SPOKEN > spoken_after:
        return index > 0 and attention[after] > CLEARLY * attention[after - 1]
    return spoken_after > spoken_before


def is_late(word: Word, attention: Sequence[float], speech: Speech, after: int) -> bool:
    """Return whether a word just before a pause has next to no time and was spoken after it."""
    _, pause_start = speech[after - 1]
    brief = word.end_sample - word.start_sample < LEAST_SPOKEN
    at_end = word.end_sample >= pause_start - LEAST_SPOKEN
    return brief and at_end and attention[after] > CLEARLY * attention[after - 1]


def move_back(words: list[Word], which: range, pause_start: int) -> None:
    """Let words that reach far into a pause end at its start."""
    for i in which:
        word = words[i]
        if word.end_sample > pause_start + SLACK:
            start = min(word.start_sample, pause_start)
            words[i] = replace(word, start_sample=start, end_sample=pause_start)


def move_on(words: list[Word], which: range, pause_end: int) -> None:
    """Let words that begin far before the end of a pause begin at its end.

    Words that have no time there share that of the next word, by their letters.
    """
    for i in which:
        word = words[i]
        if word.start_sample < pause_end - SLACK:
            end = max(word.end_sample, pause_end)
            words[i] = replace(word, start_sample=pause_end, end_sample=end)
    moved = list(which)
    if not moved or words[moved[-1]].end_sample - pause_end >= LEAST_SPOKEN:
        return
    end = words[moved[-1] + 1].end_sample if moved[-1] + 1 < len(words) else pause_end
    sharing = [*moved, moved[-1] + 1] if moved[-1] + 1 < len(words) else moved
    letters = [len(words[i].text.strip()) for i in sharing]
    edges = pause_end + np.cumsum([0, *letters]) * (end - pause_end) // sum(letters)
    for i, (start, stop) in zip(sharing, pairwise(edges.tolist()), strict=True):
        words[i] = replace(words[i], start_sample=start, end_sample=stop)
