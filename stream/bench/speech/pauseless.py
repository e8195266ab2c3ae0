"""Speech that never pauses: recordings joined to long ones, with their pauses taken out.

A stream of it has no endpoint for minutes, and is cut where its length says so. That such a cut
neither doubles nor loses a word is heard best here.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.evaluate.material.recordings import Audio, Recording, at_16_khz, to_int16
from stream.evaluate.measures.speech_times import spoken_spans

AROUND = SAMPLE_RATE * 3 // 20
"""150 ms before and after vowels: the consonants beside them, and no more than a breath."""


def without_pauses(recordings: Iterable[Recording], seconds: float) -> list[Recording]:
    """Join recordings of clean speech, whose text is known, to ones of at least `seconds`.

    What is left over at the end and shorter is joined as well. Their audio is at 16 kHz.
    """
    return [joined(speech) for speech in speeches(recordings, seconds)]


def speeches(
    recordings: Iterable[Recording], seconds: float
) -> Iterator[list[tuple[Recording, NDArray[np.float32]]]]:
    """Yield the recordings of each speech, with their samples (n,) without pauses."""
    speech: list[tuple[Recording, NDArray[np.float32]]] = []
    for recording in recordings:
        speech.append((recording, pauseless(at_16_khz(recording.read()))))
        if sum(len(samples) for _, samples in speech) >= seconds * SAMPLE_RATE:
            yield speech
            speech = []
    if speech:
        yield speech


def pauseless(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n,) of clean speech without what is farther than `AROUND` from a vowel."""
    kept = np.zeros(len(samples), bool)
    for start, end in spoken_spans(samples):
        kept[max(0, start - AROUND) : end + AROUND] = True
    return samples[kept]


def joined(speech: Sequence[tuple[Recording, NDArray[np.float32]]]) -> Recording:
    """Return recordings as one."""
    first = speech[0][0]
    audio = Audio(to_int16(np.concatenate([samples for _, samples in speech])), SAMPLE_RATE)
    return Recording(
        name=f"{first.name} and {len(speech) - 1} more",
        kind="never pausing",
        source=first.source,
        text=" ".join(recording.text or "" for recording, _ in speech),
        read=lambda: audio,
    )
