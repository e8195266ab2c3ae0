"""Decides whether a frame of audio holds speech.

webrtcvad uses a mixture model of six sub-bands, and takes most noise for speech. So a frame must
also rise above the noise floor: the quietest frame of the last two seconds. Speech falls to the
floor many times in two seconds, between words and in the closures of its consonants; steady noise
never rises far above its own. `endpointing` decides whether frames are an utterance.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms; webrtcvad takes 10, 20 or 30 ms."""

SILENCE_DBFS = -70.0
"""A frame below this level is always silence."""

RISE_DB = 6.0
"""How far a frame must rise above the noise floor to be speech."""

FLOOR_FRAMES = 100
"""Number of frames, two seconds, of which the quietest is the noise floor."""

OPENING_FLOOR_DBFS = -50.0
"""The highest floor during the first two seconds: a stream may begin in the middle of a word."""


class VoiceDetector(Protocol):
    """Interface: decides frame by frame for one channel whether there is speech.

    A detector may have a state, so it needs all frames in order.
    """

    frame_samples: int

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Return whether the next frame, (frame_samples,) at 16 kHz, holds speech."""

    def are_speech(self, frames: NDArray[np.float32]) -> list[bool]:
        """Return whether each of the next frames, (n, frame_samples), holds speech."""


MakeDetector = Callable[[int], VoiceDetector]
"""A function that returns a new detector for a client's sample rate; whatever that rate is, the
detector gets its frames at 16 kHz."""


class WebRtcVad:
    """The WebRTC project's detector with an adaptive noise floor."""

    frame_samples = FRAME_SAMPLES

    def __init__(self, aggressiveness: int = 2, rise_db: float = RISE_DB) -> None:
        """Start without a noise floor.

        Args:
            aggressiveness: webrtcvad's mode, from 0 (most frames are speech) to 3.
            rise_db: how far a frame must rise above the noise floor to be speech.
        """
        self._vad = webrtcvad.Vad(aggressiveness)
        self._rise_db = rise_db
        self._levels: deque[float] = deque(maxlen=FLOOR_FRAMES)

    def is_speech(self, frame: NDArray[np.float32]) -> bool:
        """Return whether the next frame, (320,) at 16 kHz, holds speech."""
        # webrtcvad adapts to every frame, so it also gets those below the noise floor.
        # Files of floats can exceed full scale, and so can filtered audio: it must not wrap.
        scaled = np.clip(frame, -1, 1) * 32_767
        voiced = self._vad.is_speech(scaled.astype("<i2").tobytes(), SAMPLE_RATE)
        return self._rises(level_dbfs(frame)) and bool(voiced)

    def are_speech(self, frames: NDArray[np.float32]) -> list[bool]:
        """Return whether each of the next frames, (n, 320), holds speech."""
        return [self.is_speech(frame) for frame in frames]

    def _rises(self, level: float) -> bool:
        self._levels.append(level)
        floor = min(self._levels)
        if len(self._levels) < FLOOR_FRAMES:
            floor = min(floor, OPENING_FLOOR_DBFS)
        return level > max(floor + self._rise_db, SILENCE_DBFS)


def webrtc_vad(sample_rate: int, aggressiveness: int = 2) -> WebRtcVad:
    """Return a new `WebRtcVad`; it is a `MakeDetector`, and the sample rate makes no difference."""
    return WebRtcVad(aggressiveness)


def level_dbfs(frame: NDArray[np.float32]) -> float:
    """Return the root mean square level of a frame in dB of full scale, at least -120."""
    power = float(np.dot(frame, frame)) / len(frame)
    return 10 * float(np.log10(power + 1e-12))
