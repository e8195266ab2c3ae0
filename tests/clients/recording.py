"""A recording that the scripted engine knows the words of: two bursts of a made voice, and silence.

It says no words, and the scripted transcriber says what it hears. Webrtcvad takes it for speech at
once wherever it begins; Silero's network, which knows people, is up to a second late when a stream
begins in the middle of it. So servers that hear it go by the first.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from stream.config import ServerConfig
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Window, Word
from stream.engine.scripted import ScriptedTranscriber


def config(**settings: Any) -> ServerConfig:
    """Of a server that hears a made voice, on a free port."""
    return ServerConfig(port=0, vad="webrtc", **settings)


SECONDS = 7.0
BURSTS = {"one two three four": (0.5, 2.5), "five six seven eight": (4.0, 6.0)}
"""What is said, and from when to when, in seconds."""


def words() -> list[Word]:
    """Half a second each, from the beginning of their burst."""
    script = []
    for text, (start, _) in BURSTS.items():
        for i, word in enumerate(text.split()):
            at = round((start + i / 2) * SAMPLE_RATE)
            script.append(Word(f" {word}", at, at + SAMPLE_RATE // 2 - 800, 0.9, (len(script),)))
    return script


def transcriber() -> ScriptedTranscriber:
    return ScriptedTranscriber(words())


def moved(samples: int, script: Sequence[Word] | None = None) -> tuple[Word, ...]:
    """A script, later by so many samples; this recording's, unless another is given."""
    return tuple(
        replace(
            word, start_sample=word.start_sample + samples, end_sample=word.end_sample + samples
        )
        for word in (words() if script is None else script)
    )


class FromFirstSound(ScriptedTranscriber):
    """Hears the script from the first sound on: a microphone on a busy machine is late to begin."""

    def __init__(self) -> None:
        super().__init__(())
        self.late_samples = 0
        """How much later than in the recording everything is heard."""

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        if not self.words:
            first = windows[0]
            sound = first.start_sample + int(np.argmax(np.abs(first.samples) > 0.05))
            self.late_samples = sound - words()[0].start_sample
            self.words = moved(self.late_samples)
        return super().transcribe(windows)


class Bilingual(FromFirstSound):
    """Knows a second language."""

    languages = ("en", "de")


class Successor(ScriptedTranscriber):
    """Hears the script from a place on: of a server that a stream goes on with in mid-recording."""

    def __init__(self, begin_sample: Callable[[], int]) -> None:
        super().__init__(words())
        self.begin_sample = begin_sample

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        self.words = moved(-self.begin_sample())
        return super().transcribe(windows)


def voice(rate: int, seconds: float) -> np.ndarray:
    """(n_samples,): vowels that glide into each other, six syllables a second."""
    t = np.arange(round(seconds * rate)) / rate
    pitch = 120 * (1 + 0.08 * np.sin(4.4 * t))
    first, second = 500 + 250 * np.sin(8.2 * t), 1500 + 500 * np.sin(11.9 * t)  # formants, Hz
    sound = np.zeros_like(t)
    for k in range(1, 28):
        strength = 1 / (1 + ((120 * k - first) / 120) ** 2)
        strength += 0.5 / (1 + ((120 * k - second) / 150) ** 2)
        sound += strength / k**0.3 * np.sin(2 * np.pi * k * np.cumsum(pitch) / rate)
    sound *= 0.15 + 0.85 * np.abs(np.sin(6 * np.pi * t))
    return 0.3 * sound / np.abs(sound).max()


def samples(rate: int = SAMPLE_RATE, channels: int = 1) -> np.ndarray:
    """float32 (n_samples, channels), in -1..1."""
    recording = np.zeros((round(SECONDS * rate), channels), np.float32)
    for start, end in BURSTS.values():
        sound = voice(rate, end - start)
        recording[round(start * rate) :][: len(sound)] = sound[:, None]
    return recording


def pcm(rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    """The same as 16-bit samples, channels interleaved."""
    return (samples(rate, channels) * 32767).astype("<i2").tobytes()


async def frames(data: bytes, size: int = 3200):
    """In pieces of `size` bytes."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
