"""A transcriber without a model: it hears the words of a script, where the script puts them.

For tests, demonstrations and load tests of everything but the model. What it answers depends on a
window's place alone, so a stream's words can be predicted from its audio clock.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import EngineTiming, Hypothesis, Window, Word


class ScriptedTranscriber:
    """Answers each window with the scripted words that lie inside it, on any channel."""

    name = "scripted"
    languages: tuple[str, ...] = ("en",)
    at_once = 1

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = tuple(words)

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return one hypothesis a window, in order."""
        return [
            Hypothesis(window, self._heard(window), timing=EngineTiming()) for window in windows
        ]

    def _heard(self, window: Window) -> tuple[Word, ...]:
        """Words that are cut off by an edge of the window are not heard."""
        start, end = window.start_sample, window.end_sample
        return tuple(w for w in self.words if start <= w.start_sample and w.end_sample <= end)


def counting(seconds: int = 3600) -> list[Word]:
    """A script for any audio: a number every half second, "zero", "one", … "nine", "zero" …"""
    digits = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    half = SAMPLE_RATE // 2
    return [
        Word(f" {digits[i % 10]}", i * half, (i + 1) * half - 800, confidence=1.0, tokens=(i % 10,))
        for i in range(2 * seconds)
    ]
