"""Which parts of a window are decoded in one go: all of it, and then what its words leave out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import DecodingOptions, Window, Word

MAX_SAMPLES = 30 * SAMPLE_RATE
"""Whisper hears at most 30 s."""
UNCOVERED_S = 1.0
"""Speech without words that is worth a window of its own; word ends are off by less."""
TAIL_S = 0.25
"""So much speech after the last word, and a pause, is still that word."""
LEAD_S = 0.2
"""Audio before the uncovered speech that goes with it, if no word is there."""
LEAST_PROGRESS_S = 0.5
PASSED_OVER_S = 2.0
"""Speech without words between two words that is worth a window of its own."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window that is decoded in one go; at first all of it."""

    window: Window
    start_sample: int
    draft: tuple[int, ...] = ()
    stop_sample: int | None = None
    """Where it ends, if not with its window."""

    @property
    def end_sample(self) -> int:
        """Where it ends, or where Whisper hears no further."""
        return min(self.wanted_to_sample, self.start_sample + MAX_SAMPLES)

    @property
    def wanted_to_sample(self) -> int:
        """Where what is to be heard ends, whether or not Whisper reaches so far."""
        return self.window.end_sample if self.stop_sample is None else self.stop_sample

    @property
    def samples(self) -> NDArray[np.float32]:
        """(n_samples,) at 16 kHz."""
        first = self.start_sample - self.window.start_sample
        return self.window.samples[first : first + self.end_sample - self.start_sample]

    @property
    def speech(self) -> tuple[tuple[int, int], ...]:
        """Spans of speech within the stretch, in absolute samples."""
        return speech_within(self.window, self.start_sample, self.end_sample)

    @property
    def options(self) -> DecodingOptions:
        """What the client asked of the words."""
        return self.window.options


def unheard(stretch: Stretch, words: Sequence[Word]) -> Iterator[Stretch]:
    """What is still to be decoded of a stretch, each part on its own."""
    if stretch.stop_sample is None:  # what is passed over twice is left
        yield from passed_over(stretch, words)
    rest = rest_of(stretch, words)
    if rest is not None:
        yield rest


def passed_over(stretch: Stretch, words: Sequence[Word]) -> Iterator[Stretch]:
    """The speech before a word, back to the word before it, where there is much of it.

    Now and then Whisper begins with the last sentence of a long window, or leaves one out.
    """
    end = stretch.start_sample
    for word in words:
        between = speech_within(stretch.window, end, word.start_sample)
        if length_s(between) > PASSED_OVER_S:
            yield Stretch(stretch.window, end, stop_sample=word.start_sample)
        end = word.end_sample


def rest_of(stretch: Stretch, words: Sequence[Word]) -> Stretch | None:
    """The speech after the last word, where there is much of it."""
    end = words[-1].end_sample if words else stretch.end_sample
    uncovered = speech_within(stretch.window, end, stretch.wanted_to_sample)
    if length_s(uncovered) <= UNCOVERED_S:
        return None
    if len(uncovered) > 1 and length_s(uncovered[:1]) < TAIL_S:
        uncovered = uncovered[1:]
    start = max(end, uncovered[0][0] - round(LEAD_S * SAMPLE_RATE))
    if start - stretch.start_sample < LEAST_PROGRESS_S * SAMPLE_RATE:
        return None  # its rest would be much the same stretch once more
    said = tuple(token for word in words for token in word.tokens)
    follows = stretch.draft[: len(said)] == said
    draft = stretch.draft[len(said) :] if follows else ()
    return replace(stretch, start_sample=start, draft=draft)


def speech_within(
    window: Window, start_sample: int, end_sample: int
) -> tuple[tuple[int, int], ...]:
    """The window's spans of speech, or parts of them, from one sample to another."""
    return tuple(
        (max(start, start_sample), min(end, end_sample))
        for start, end in window.speech
        if end > start_sample and start < end_sample
    )


def length_s(spans: Sequence[tuple[int, int]]) -> float:
    """Seconds in spans of samples."""
    return sum(end - start for start, end in spans) / SAMPLE_RATE
