"""Repeats a rehearsal with audio that differs in its last bits (see `measures/repeats.py`)."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream.core.windows import Hypothesis, Window
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.measures.repeats import gain_of


class Louder:
    """A transcriber that makes all audio a little louder before it transcribes it."""

    def __init__(self, transcriber: WhisperTranscriber, repeat: int) -> None:
        """Multiply all samples by 1 + `repeat` millionths."""
        self._transcriber = transcriber
        self._gain = np.float32(gain_of(repeat))
        self.name, self.languages = transcriber.name, transcriber.languages
        self.at_once = transcriber.at_once
        self.memories = transcriber.memories
        self.token_bytes = transcriber.token_bytes

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return a hypothesis for each window."""
        louder = [replace(window, samples=window.samples * self._gain) for window in windows]
        found = self._transcriber.transcribe(louder)
        return [replace(one, window=w) for one, w in zip(found, windows, strict=True)]

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Return the hypothesis for up to 30 s of samples, (n_samples,), at full padding."""
        return self._transcriber.offline(samples * self._gain, language)
