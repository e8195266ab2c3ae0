"""A transcriber without a model: it returns the words of a script at the times of the script.

It serves tests, demonstrations and load tests of everything but the model. Its hypotheses depend
only on the position of a window, so the words of a stream can be predicted from its audio clock.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import EngineTiming, Hypothesis, Window, Word


class ScriptedTranscriber:
    """Returns the scripted words that lie inside each window, on any channel."""

    name = "scripted"
    languages: tuple[str, ...] = ("en",)
    at_once = 1
    memories = None

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = tuple(words)

    def token_bytes(self, token: int) -> bytes:
        """Return no bytes: the tokens of a script are numbers."""
        return b""

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis for each window, in order."""
        return [
            Hypothesis(window, self._words_in(window), timing=EngineTiming()) for window in windows
        ]

    def _words_in(self, window: Window) -> tuple[Word, ...]:
        """Return the words inside a window, without those that cross its edges."""
        start, end = window.start_sample, window.end_sample
        return tuple(w for w in self.words if start <= w.start_sample and w.end_sample <= end)


def counting(seconds: int = 3600) -> list[Word]:
    """Return a script for any audio: a digit every half second, "zero", "one", … "nine", "zero"…"""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    half = SAMPLE_RATE // 2
    return [
        Word(f" {digits[i % 10]}", i * half, (i + 1) * half - 800, confidence=1.0, tokens=(i % 10,))
        for i in range(2 * seconds)
    ]
