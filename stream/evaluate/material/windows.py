"""Makes windows for an engine from whole recordings."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.endpointing import Endpointer
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.vad import WebRtcVad
from stream.core.windows import Window, WindowKind


def as_window(number: int, samples: NDArray[np.float32]) -> Window:
    """Return a whole recording, (n_samples,) at 16 kHz, as a final window with its VAD spans."""
    detector, tuning = WebRtcVad(), SessionTuning()
    ends = Endpointer(
        tuning.pre_roll_ms,
        tuning.onset_ms,
        StreamSettings().endpointing_ms,
        detector.frame_samples,
    )
    for first in range(0, len(samples) - detector.frame_samples + 1, detector.frame_samples):
        ends.feed(detector.is_speech(samples[first : first + detector.frame_samples]))
    speech = tuple(ends.speech_spans(0, len(samples)))
    return Window("margins", number, 0, number, WindowKind.FINAL, 0, samples, speech)


def beginning(window: Window, seconds: float) -> Window:
    """Return the first seconds of a window, and the speech spans within them."""
    end = round(seconds * SAMPLE_RATE)
    speech = tuple((start, min(stop, end)) for start, stop in window.speech if start < end)
    return replace(window, samples=window.samples[:end], speech=speech)
