"""Repeats a measurement with audio that differs in its last bits.

With int8 weights, a change of the last bit of a sample can change a rounding step, then a token,
then a word: a single word error rate has a random part. So recordings are played again, each time
louder by a millionth, and the mean is reported with its standard error.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from stream.core.windows import Hypothesis, Window
from stream.engine.whisper_transcriber import WhisperTranscriber

STEP = 1e-6
"""Difference of the gain between two repeats: eight times the spacing of float32 near one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over repeats, and its standard error."""

    mean: float
    error: float | None
    """Standard error of the mean; None after a single repeat."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Return the estimate from one value for each repeat."""
        error = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
        return cls(fmean(values), error)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.error is None else f" ± {self.error:.2f}")


class Louder:
    """A transcriber that makes all audio a little louder before it transcribes it."""

    def __init__(self, transcriber: WhisperTranscriber, repeat: int) -> None:
        """Multiply all samples by 1 + `repeat` millionths."""
        self._transcriber = transcriber
        self._gain = np.float32(1 + repeat * STEP)
        self.name, self.languages = transcriber.name, transcriber.languages
        self.at_once = transcriber.at_once
        self.memories = transcriber.memories

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return a hypothesis for each window."""
        louder = [replace(window, samples=window.samples * self._gain) for window in windows]
        found = self._transcriber.transcribe(louder)
        return [replace(one, window=w) for one, w in zip(found, windows, strict=True)]

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Return the hypothesis for up to 30 s of samples, (n_samples,), at full padding."""
        return self._transcriber.offline(samples * self._gain, language)
