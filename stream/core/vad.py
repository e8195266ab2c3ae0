"""Does a frame of audio hold speech?

webrtcvad answers with a mixture model of six sub-bands, and calls most noise speech. So a frame
must also rise above the noise floor: the quietest frame of the last two seconds. Speech dips to the
floor many times in two seconds, between words and in the closures of its consonants; steady noise
never rises far above its own. Whether frames make an utterance is for `endpointing` to say.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms, of the 10, 20 and 30 that webrtcvad takes."""

SILENCE_DBFS = -70.0
"""A quieter frame is silence, whatever is in it."""

RISE_DB = 6.0
"""How far speech rises above the noise floor."""

FLOOR_FRAMES = 100
"""Two seconds: the span whose quietest frame is the noise floor."""

OPENING_FLOOR_DBFS = -50.0
"""The highest floor until two seconds are heard: a stream may open in mid-word."""


class VoiceDetector(Protocol):
    """What decides frame by frame; it may keep a state, and serves one channel."""

    frame_samples: int

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Tell whether the next frame, (frame_samples,) at 16 kHz, holds speech."""

    def are_speech(self, frames: NDArray[np.float32]) -> list[bool]:
        """Tell it of each of the next frames, (n, frame_samples)."""


MakeDetector = Callable[[int], VoiceDetector]
"""Takes the sample rate at which a client sends; the detector itself hears 16 kHz."""


class WebRtcVad:
    """The WebRTC project's detector behind an adaptive noise floor."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, aggressiveness: int = 2, rise_db: float = RISE_DB) -> None:
        """Take 0 (calls much speech) to 3 (calls little), and the rise above the noise floor."""
        self._vad = webrtcvad.Vad(aggressiveness)
        self._rise_db = rise_db
        self._levels: deque[float] = deque(maxlen=FLOOR_FRAMES)

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Tell whether the next frame, (320,) at 16 kHz, holds speech."""
        # webrtcvad adapts to every frame, so it hears those too that the floor rules out.
        voiced = self._vad.is_speech((frame * 32_767).astype("<i2").tobytes(), SAMPLE_RATE)
        return self._rises(level_dbfs(frame)) and bool(voiced)

    def are_speech(self, frames: NDArray[np.float32]) -> list[bool]:
        """Tell it of each of the next frames, (n, 320)."""
        return [self.is_speech(frame) for frame in frames]

    def _rises(self, level: float) -> bool:
        self._levels.append(level)
        floor = min(self._levels)
        if len(self._levels) < FLOOR_FRAMES:
            floor = min(floor, OPENING_FLOOR_DBFS)
        return level > max(floor + self._rise_db, SILENCE_DBFS)


def webrtc_vad(sample_rate: int, aggressiveness: int = 2) -> WebRtcVad:
    """Return the same detector for any rate, as a `MakeDetector` does."""
    return WebRtcVad(aggressiveness)


def level_dbfs(frame: NDArray[np.float32]) -> float:
    """Return the root mean square level of a frame, in decibels of full scale; silence is -120."""
    power = float(np.dot(frame, frame)) / len(frame)
    return 10 * float(np.log10(power + 1e-12))
