"""Two gates in a row: webrtcvad behind the noise floor, and Silero's network behind both.

The first gate costs next to nothing and hears all speech, but also doors, dogs and keys. While it
hears something, and half a second longer, the network judges instead; it is asleep otherwise, so a
silent stream costs next to nothing. When it wakes it first hears the last half second, on top of
what it remembers: woken without a memory, it took half as much noise again for speech.

The network was trained on speech of ordinary loudness and misses words that are 30 dB below it. So
what it hears is amplified until the loudest of the last seconds is as loud as speech usually is.

`distil-stream bench voice` measures what the constants here are worth; see docs/decisions/008.
"""

from collections import deque

import numpy as np

from stream.core.audio import SAMPLE_RATE
from stream.core.silero import Array, Silero, SileroWeights
from stream.core.vad import WebRtcVad, level_dbfs

WINDOW_SAMPLES = 512
"""32 ms at 16 kHz."""

ENTER = 0.5
"""The probability at which speech begins."""

LEAVE = 0.35
"""The probability below which it is over; between the two it is what it was."""

FIRST_GATE_AGGRESSIVENESS = 0
FIRST_GATE_RISE_DB = 4.0
"""The first gate lets more pass than it does alone: in noise as loud as the speech, at its usual
6 dB, it closed on half of the words that were lost."""

AWAKE_WINDOWS = 16
"""0.5 s: how long the network goes on after the first gate heard something."""

REPLAYED_WINDOWS = 16
"""0.5 s: how much of the past the network hears when it wakes."""

LOUD_DBFS = -26.0
"""The level of a loud window of ordinary speech."""

MAX_GAIN_DB = 30.0

FALL_DB = 3.0 * WINDOW_SAMPLES / SAMPLE_RATE
"""How fast the loudest window is forgotten: 3 dB a second, so that a pause is not amplified."""


class SileroGate:
    """A `VoiceDetector`: webrtcvad, then the network."""

    frame_samples = WINDOW_SAMPLES

    def __init__(self, weights: SileroWeights, enter: float = ENTER, leave: float = LEAVE) -> None:
        """Take the network's weights and the two thresholds."""
        self.windows_judged = 0
        """How many windows the network has run on."""
        self._first = WebRtcVad(FIRST_GATE_AGGRESSIVENESS, FIRST_GATE_RISE_DB)
        self._network = Silero(weights)
        # What came at 8 kHz holds nothing above 4 kHz: of its 16 kHz every second sample is all.
        self._every = WINDOW_SAMPLES // weights.window_samples
        self._enter, self._leave = enter, leave
        self._unjudged = np.zeros(0, np.float32)
        """What the first gate has not heard: our windows are no multiple of its frames."""
        self._past: deque[Array] = deque(maxlen=REPLAYED_WINDOWS)
        self._loudest = LOUD_DBFS - MAX_GAIN_DB
        self._awake = 0
        """Windows until the network sleeps."""
        self._speaking = False

    def is_speech(self, frame: Array) -> bool:
        """Tell whether the next frame, (512,) at 16 kHz, holds speech."""
        return self.are_speech(frame[None])[0]

    def are_speech(self, frames: Array) -> list[bool]:
        """Tell it of each of the next frames, (n, 512); the network hears all it must at once."""
        due: list[Array] = []
        own: list[int | None] = []
        """For each frame, which of those due it is; None: the network sleeps."""
        for frame in frames:
            self._loudest = max(level_dbfs(frame), self._loudest - FALL_DB)
            if self._first_gate_hears(frame):
                if not self._awake:  # it wakes, and hears the last half second at the gain of now
                    due += [self._amplified(window) for window in self._past]
                self._awake = AWAKE_WINDOWS
            own.append(len(due) if self._awake else None)
            if self._awake:
                self._awake -= 1
                due.append(self._amplified(frame))
            self._past.append(frame)
        self.windows_judged += len(due)
        heard = self._network.probabilities(np.stack(due)).tolist() if due else []
        return [self._decide(0.0 if at is None else heard[at]) for at in own]

    def _decide(self, probability: float) -> bool:
        """Whether a frame is speech, by what the one before was."""
        self._speaking = probability >= (self._leave if self._speaking else self._enter)
        return self._speaking

    def _first_gate_hears(self, frame: Array) -> bool:
        """Let the first gate hear those of its frames that are complete by now."""
        self._unjudged = np.concatenate([self._unjudged, frame])
        heard = False
        while len(self._unjudged) >= self._first.frame_samples:
            heard |= self._first.is_speech(self._unjudged[: self._first.frame_samples])
            self._unjudged = self._unjudged[self._first.frame_samples :]
        return heard

    def _amplified(self, window: Array) -> Array:
        gain_db = min(max(LOUD_DBFS - self._loudest, 0.0), MAX_GAIN_DB)
        return window[:: self._every] * np.float32(10 ** (gain_db / 20))
