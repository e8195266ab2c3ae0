"""Recordings that can be predicted: noise where words are, silence where none are."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Cut, Hypothesis, Window, Word
from stream.engine.scripted import ScriptedTranscriber
from stream.recordings.algorithm_by_name import new_algorithm
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment
from tests.core.rehearsal import square_wave

SECOND = SAMPLE_RATE
WORD_S = 0.4
FRAME = 320
SENTENCE = 5
"""Words."""


class LoudnessDetector:
    """Speech is what is not silent: exact, so that a test knows what there is to cut."""

    frame_samples = FRAME

    def __init__(self, sample_rate: int) -> None:
        pass

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        return bool(np.abs(frame).max() > 0.01)

    def are_speech(self, frames: NDArray[np.float32]) -> list[bool]:
        return [self.is_speech(frame) for frame in frames]


def speak(*turns: tuple[float, float]) -> tuple[NDArray[np.float32], list[Word]]:
    """Speech from second to second: samples (n_samples,), and its words, "w0", "w1", …"""
    end = turns[-1][1] + 1.0
    samples = np.zeros(round(end * SECOND), np.float32)
    words: list[Word] = []
    for start, stop in turns:
        first, last = round(start * SECOND), round(stop * SECOND)
        samples[first:last] = square_wave(last - first, 0.1)
        at = start
        while at + WORD_S <= stop + 1e-6:
            first, last = round(at * SECOND), round((at + WORD_S) * SECOND)
            words.append(Word(f" w{len(words)}", first, last, 0.9, (len(words),)))
            at += WORD_S
    return samples, words


def last_sentence(words: Sequence[Word]) -> Cut | None:
    """Where the last complete sentence ends, if another one begins after it."""
    complete = [i + 1 for i, word in enumerate(words) if word.tokens[0] % SENTENCE == SENTENCE - 1]
    if not complete or complete[-1] == len(words):
        return None
    return Cut(complete[-1], words[complete[-1] - 1].end_sample)


class Rehearsal:
    """Drives a form with a script, block by block."""

    def __init__(self, words: Sequence[Word], **options: object) -> None:
        self.transcriber = ScriptedTranscriber(words)
        origin = WindowOrigin("file", 0, count())
        self.algorithm: LongFormAlgorithm = new_algorithm(
            FileOptions(**options), origin, LoudnessDetector
        )
        self.windows: list[Window] = []
        self.segments: list[Segment] = []

    def play(self, samples: NDArray[np.float32], block: int = SECOND) -> "Rehearsal":
        for start in range(0, len(samples), block):
            self.algorithm.receive_samples(samples[start : start + block])
            self.answer()
        self.algorithm.receive_end()
        self.answer()
        return self

    def play_with_gaps(
        self, pieces: Sequence[NDArray[np.float32]], gaps: Sequence[int]
    ) -> "Rehearsal":
        """Play pieces with a gap, in samples, after each."""
        for samples, gap in zip(pieces, gaps, strict=True):
            for start in range(0, len(samples), SECOND):
                self.algorithm.receive_samples(samples[start : start + SECOND])
                self.answer()
            self.algorithm.receive_gap(gap)
            self.answer()
        self.algorithm.receive_end()
        self.answer()
        return self

    def answer(self) -> None:
        while windows := self.algorithm.windows_to_transcribe():
            self.windows += windows
            for hypothesis in self.hypotheses(windows):
                self.algorithm.receive_hypothesis(hypothesis)
            self.segments += self.algorithm.segments()
        self.segments += self.algorithm.segments()

    def hypotheses(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [
            replace(h, cut=last_sentence(h.words)) if h.window.options.timestamps else h
            for h in self.transcriber.transcribe(windows)
        ]

    @property
    def said(self) -> list[str]:
        return [word.text.strip() for segment in self.segments for word in segment.words]
