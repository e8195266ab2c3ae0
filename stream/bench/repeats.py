"""The same measurement, repeated with audio that differs in its last bits.

In int8 a last bit can become a step, a step another token, and a token a word: a single word error
rate is a draw. So recordings are played again, each time louder by a millionth, and what is
reported is the mean with its standard error.
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
"""Of the gain, from one repeat to the next: eight times the spacing of float32 numbers near one."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """The mean over repeats, and its standard error."""

    mean: float
    error: float | None
    """Of the mean; None after a single repeat, which says nothing of it."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Sum up one value a repeat."""
        error = stdev(values) / sqrt(len(values)) if len(values) > 1 else None
        return cls(fmean(values), error)

    def __str__(self) -> str:
        return f"{self.mean:.2f}" + ("" if self.error is None else f" ± {self.error:.2f}")


class Louder:
    """A transcriber that gets all audio a little louder."""

    def __init__(self, transcriber: WhisperTranscriber, repeat: int) -> None:
        """Multiply all samples by 1 + `repeat` millionths."""
        self._transcriber = transcriber
        self._gain = np.float32(1 + repeat * STEP)
        self.name, self.languages = transcriber.name, transcriber.languages
        self.at_once = transcriber.at_once

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return a hypothesis for each window, as the transcriber does."""
        louder = [replace(window, samples=window.samples * self._gain) for window in windows]
        found = self._transcriber.transcribe(louder)
        return [replace(one, window=w) for one, w in zip(found, windows, strict=True)]

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Return the hypothesis of up to 30 s, (n_samples,), as the transcriber does."""
        return self._transcriber.offline(samples * self._gain, language)
