"""Selects the spans of a window to decode: first all of it, then speech that no word covers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import DecodingOptions, Window, Word

MAX_SAMPLES = 30 * SAMPLE_RATE
"""The most samples that Whisper encodes, 30 s."""
UNCOVERED_S = 1.0
"""Speech after the last word is decoded separately if it is longer than this; the error of a word's
end is smaller."""
TAIL_S = 0.25
"""Speech after the last word that is shorter than this and followed by a pause belongs to that
word."""
LEAD_S = 0.2
"""Audio before uncovered speech that is decoded with it, as far as no word is there."""
LEAST_PROGRESS_S = 0.5
"""An uncovered tail that begins sooner in its span is not decoded: it is nearly the same span."""
PART_S = 6.0
"""The length of the parts into which a span is divided: with the silence after it, it is no longer
than the least that is encoded."""
CUT_SEARCH_S = 1.5
"""How far from its ideal place a cut between two parts may be."""
QUIET_S = 0.1
"""The length of the quiet place in which a span is cut."""
SKIPPED_S = 2.0
"""Speech between two words is decoded separately if it is longer than this."""


@dataclass(frozen=True, slots=True)
class AudioSpan:
    """A part of a window that is decoded separately; the first span is the whole window."""

    window: Window
    start_sample: int
    draft: tuple[int, ...] = ()
    stop_sample: int | None = None
    """The end of the span; None for the end of the window."""

    @property
    def end_sample(self) -> int:
        """The end of the audio that is decoded: that of the span, or 30 s after its start."""
        return min(self.requested_end_sample, self.start_sample + MAX_SAMPLES)

    @property
    def requested_end_sample(self) -> int:
        """The end of the span, which may be longer than the 30 s that Whisper encodes."""
        return self.window.end_sample if self.stop_sample is None else self.stop_sample

    @property
    def samples(self) -> NDArray[np.float32]:
        """The audio that is decoded, (n_samples,) at 16 kHz."""
        first = self.start_sample - self.window.start_sample
        return self.window.samples[first : first + self.end_sample - self.start_sample]

    @property
    def speech(self) -> tuple[tuple[int, int], ...]:
        """Where there is speech within the span, in absolute samples."""
        return speech_within(self.window.speech, self.start_sample, self.end_sample)

    @property
    def options(self) -> DecodingOptions:
        """The decoding options of the window."""
        return self.window.options


def uncovered_spans(span: AudioSpan, words: Sequence[Word]) -> Iterator[AudioSpan]:
    """Yield the spans with speech that the words do not cover; each is decoded separately."""
    if span.stop_sample is None:  # speech that was skipped twice is not decoded a third time
        yield from skipped_spans(span, words)
    tail = uncovered_tail(span, words)
    if tail is not None:
        yield tail


def skipped_spans(span: AudioSpan, words: Sequence[Word]) -> Iterator[AudioSpan]:
    """Yield the gaps between words that hold more than `SKIPPED_S` of speech.

    Whisper sometimes begins with the last sentence of a long window, or omits a sentence.
    """
    end = span.start_sample
    for word in words:
        between = speech_within(span.window.speech, end, word.start_sample)
        if length_s(between) > SKIPPED_S:
            yield AudioSpan(span.window, end, stop_sample=word.start_sample)
        end = word.end_sample


def uncovered_tail(span: AudioSpan, words: Sequence[Word]) -> AudioSpan | None:
    """Return the span after the last word; None if it holds at most `UNCOVERED_S` of speech.

    Its draft is the rest of the span's draft, if that begins with the tokens of the words. Without
    words, the uncovered speech is that after the 30 s that Whisper encodes.
    """
    end = words[-1].end_sample if words else span.end_sample
    uncovered = speech_within(span.window.speech, end, span.requested_end_sample)
    if length_s(uncovered) <= UNCOVERED_S:
        return None
    if len(uncovered) > 1 and length_s(uncovered[:1]) < TAIL_S:
        uncovered = uncovered[1:]
    start = max(end, uncovered[0][0] - round(LEAD_S * SAMPLE_RATE))
    if start - span.start_sample < LEAST_PROGRESS_S * SAMPLE_RATE:
        return None  # the new span would be nearly the same
    tokens = tuple(token for word in words for token in word.tokens)
    follows = span.draft[: len(tokens)] == tokens
    draft = span.draft[len(tokens) :] if follows else ()
    return replace(span, start_sample=start, draft=draft)


def parts(span: AudioSpan) -> tuple[AudioSpan, ...]:
    """Divide a span at quiet places into parts that are decoded by themselves; none if it is short.

    A phrase that is repeated many times makes the model loop; a part holds few copies.
    """
    first, end = span.start_sample, span.requested_end_sample
    count = round((end - first) / SAMPLE_RATE / PART_S)
    if count < 2 or span.stop_sample is not None:
        return ()
    search = round(CUT_SEARCH_S * SAMPLE_RATE)
    ideal = [first + (end - first) * i // count for i in range(1, count)]
    cuts = [quietest(span.window, place - search, place + search) for place in ideal]
    edges = [first, *cuts, end]
    return tuple(AudioSpan(span.window, start, stop_sample=stop) for start, stop in pairwise(edges))


def quietest(window: Window, start_sample: int, end_sample: int) -> int:
    """Return the middle of the quietest `QUIET_S` seconds between two samples of a window."""
    first = max(start_sample - window.start_sample, 0)
    samples = window.samples[first : end_sample - window.start_sample]
    n = round(QUIET_S * SAMPLE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    if len(energy) <= n:
        return (start_sample + end_sample) // 2
    return window.start_sample + first + int((energy[n:] - energy[:-n]).argmin()) + n // 2


def speech_within(
    speech: Sequence[tuple[int, int]], start_sample: int, end_sample: int
) -> tuple[tuple[int, int], ...]:
    """Return spans of speech, cut to [start_sample, end_sample)."""
    return tuple(
        (max(start, start_sample), min(end, end_sample))
        for start, end in speech
        if end > start_sample and start < end_sample
    )


def length_s(spans: Sequence[tuple[int, int]]) -> float:
    """Return the total length of spans of samples, in seconds."""
    return sum(end - start for start, end in spans) / SAMPLE_RATE
