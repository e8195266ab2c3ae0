"""Transcribes a recording offline with the same model, padded to 30 s: the reference result."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis
from stream.evaluate.material.recordings import Audio, at_16_khz
from stream.evaluate.measures.record import TimedWord, Transcript

LONGEST_S = 28
"""Whisper encodes at most 30 s at once; a longer recording is cut into pieces of this length."""

CUT_WITHIN_S = 8
"""Seconds before the latest possible cut in which the quietest moment is searched."""

MOMENT = SAMPLE_RATE // 10
"""Samples over which loudness is measured."""


class OfflineTranscriber(Protocol):
    """Transcribes up to 30 s at full padding, without guards."""

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Transcribe samples (n_samples,) at 16 kHz."""


def offline_transcript(transcriber: OfflineTranscriber, audio: Audio) -> Transcript:
    """Return the transcript of a recording of any length; several channels are mixed to one."""
    texts: list[str] = []
    words: list[TimedWord] = []
    offset = 0
    for piece in pieces(at_16_khz(audio)):
        found = transcriber.offline(piece).words
        texts.append("".join(word.text for word in found).strip())
        words += [
            TimedWord(
                word.text.strip(),
                (offset + word.start_sample) / SAMPLE_RATE,
                (offset + word.end_sample) / SAMPLE_RATE,
                word.confidence,
            )
            for word in found
        ]
        offset += len(piece)
    return Transcript(" ".join(texts), tuple(words))


def pieces(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Cut samples (n_samples,) at quiet moments into pieces of at most `LONGEST_S`."""
    longest, within = LONGEST_S * SAMPLE_RATE, CUT_WITHIN_S * SAMPLE_RATE
    while len(samples) > longest:
        moments = samples[longest - within : longest].reshape(-1, MOMENT)  # (n_moments, MOMENT)
        quietest = int(np.argmin(np.square(moments).sum(axis=1)))
        cut = longest - within + quietest * MOMENT + MOMENT // 2
        yield samples[:cut]
        samples = samples[cut:]
    yield samples
