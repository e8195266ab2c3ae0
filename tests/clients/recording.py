"""A recording that the scripted engine knows the words of: two bursts of noise among silence.

Noise is speech to WebRTC's detector, and the scripted transcriber says what it hears in it.
"""

import numpy as np

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Word
from stream.engine.scripted import ScriptedTranscriber

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


def samples(rate: int = SAMPLE_RATE, channels: int = 1) -> np.ndarray:
    """float32 (n_samples, channels), in -1..1."""
    noise = np.random.default_rng(0).normal(0, 0.2, (round(SECONDS * rate), channels))
    loud = np.zeros(len(noise), bool)
    for start, end in BURSTS.values():
        loud[round(start * rate) : round(end * rate)] = True
    return (noise.clip(-1, 1) * loud[:, None]).astype(np.float32)


def pcm(rate: int = SAMPLE_RATE, channels: int = 1) -> bytes:
    """The same as 16-bit samples, channels interleaved."""
    return (samples(rate, channels) * 32767).astype("<i2").tobytes()


async def frames(data: bytes, size: int = 3200):
    """In pieces of `size` bytes."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
