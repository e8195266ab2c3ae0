"""Makes speech without pauses: joins recordings to long ones, and removes their pauses.

A stream of such speech has no endpoint for minutes, so it is cut when its maximum length is
reached. It shows best whether such a cut doubles or loses words.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import Audio, Recording, at_16_khz, to_int16
from stream.evaluate.measures.speech_times import spoken_spans

AROUND = SAMPLE_RATE * 3 // 20
"""150 ms are kept before and after vowels: enough for the consonants beside them."""


def without_pauses(recordings: Iterable[Recording], seconds: float) -> list[Recording]:
    """Join recordings of clean speech with known text to recordings of at least `seconds`.

    The last one can be shorter. The audio of the results is at 16 kHz.
    """
    return [joined(speech) for speech in speeches(recordings, seconds)]


def speeches(
    recordings: Iterable[Recording], seconds: float
) -> Iterator[list[tuple[Recording, NDArray[np.float32]]]]:
    """Yield the recordings that are joined to one, with their samples (n,) without pauses."""
    speech: list[tuple[Recording, NDArray[np.float32]]] = []
    for recording in recordings:
        speech.append((recording, pauseless(at_16_khz(recording.read()))))
        if sum(len(samples) for _, samples in speech) >= seconds * SAMPLE_RATE:
            yield speech
            speech = []
    if speech:
        yield speech


def pauseless(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return samples (n,) of clean speech without those farther than `AROUND` from a vowel."""
    near = np.zeros(len(samples), bool)
    for start, end in spoken_spans(samples):
        near[max(0, start - AROUND) : end + AROUND] = True
    return samples[near]


def joined(speech: Sequence[tuple[Recording, NDArray[np.float32]]]) -> Recording:
    """Return recordings with their samples as one recording."""
    first = speech[0][0]
    audio = Audio(to_int16(np.concatenate([samples for _, samples in speech])), SAMPLE_RATE)
    return Recording(
        name=f"{first.name} and {len(speech) - 1} more",
        kind="never pausing",
        source=first.source,
        text=" ".join(recording.text or "" for recording, _ in speech),
        read=lambda: audio,
    )
