"""Two voice detectors in series: webrtcvad after a noise floor, and Silero's network after both.

The first gate is very cheap and passes all speech, but also doors, dogs and keys. While it is open,
and for half a second longer, the network decides; otherwise the network does not run, so a silent
stream is very cheap. When the network starts again, it first gets the last half second, in the
state that it had: without state it took half as much more noise for speech.

The network was trained on speech of ordinary loudness and misses words that are 30 dB quieter. So
its input is amplified until the loudest of the last seconds is as loud as ordinary speech.

`distil-stream bench voice` measures the effect of the constants here; see docs/decisions/008.
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
"""The probability below which speech ends; between the two the decision stays as it was."""

FIRST_GATE_AGGRESSIVENESS = 0
FIRST_GATE_RISE_DB = 4.0
"""The first gate passes more than webrtcvad alone: at the usual 6 dB it was closed for half of the
words that were lost in noise as loud as the speech."""

AWAKE_WINDOWS = 16
"""0.5 s: how long the network goes on after the first gate probabilities something."""

REPLAYED_WINDOWS = 16
"""0.5 s: how much earlier audio the network gets when it starts again."""

LOUD_DBFS = -26.0
"""The level of a loud window of ordinary speech."""

MAX_GAIN_DB = 30.0

FALL_DB = 3.0 * WINDOW_SAMPLES / SAMPLE_RATE
"""How fast the level of the loudest window decreases, 3 dB a second: pauses are not amplified."""


class SileroGate:
    """A `VoiceDetector`: webrtcvad, then the network."""

    frame_samples = WINDOW_SAMPLES

    def __init__(self, weights: SileroWeights, enter: float = ENTER, leave: float = LEAVE) -> None:
        """Take the network's weights and the two thresholds."""
        self.windows_judged = 0
        """How many windows the network has run on."""
        self._first = WebRtcVad(FIRST_GATE_AGGRESSIVENESS, FIRST_GATE_RISE_DB)
        self._network = Silero(weights)
        # Audio sent at 8 kHz has nothing above 4 kHz, so every second 16 kHz sample is enough.
        self._every = WINDOW_SAMPLES // weights.window_samples
        self._enter, self._leave = enter, leave
        self._unjudged = np.zeros(0, np.float32)
        """Samples that the first gate has not judged: its frames do not divide our windows."""
        self._recent: deque[Array] = deque(maxlen=REPLAYED_WINDOWS)
        self._loudest = LOUD_DBFS - MAX_GAIN_DB
        self._awake = 0
        """For how many more windows the network runs."""
        self._speaking = False

    def is_speech(self, frame: Array) -> bool:
        """Return whether the next frame, (512,) at 16 kHz, holds speech."""
        return self.are_speech(frame[None])[0]

    def are_speech(self, frames: Array) -> list[bool]:
        """Return whether each of the next frames, (n, 512), holds speech; the network runs once."""
        due: list[Array] = []
        own: list[int | None] = []
        """For each frame, its index in `due`; None if the network does not run."""
        for frame in frames:
            self._loudest = max(level_dbfs(frame), self._loudest - FALL_DB)
            if self._first_gate_opens(frame):
                if not self._awake:  # it starts with the last half second, at the present gain
                    due += [self._amplified(window) for window in self._recent]
                self._awake = AWAKE_WINDOWS
            own.append(len(due) if self._awake else None)
            if self._awake:
                self._awake -= 1
                due.append(self._amplified(frame))
            self._recent.append(frame)
        self.windows_judged += len(due)
        probabilities = self._network.probabilities(np.stack(due)).tolist() if due else []
        return [self._decide(0.0 if at is None else probabilities[at]) for at in own]

    def _decide(self, probability: float) -> bool:
        """Return whether a frame is speech, given the decision for the previous one."""
        self._speaking = probability >= (self._leave if self._speaking else self._enter)
        return self._speaking

    def _first_gate_opens(self, frame: Array) -> bool:
        """Feed the first gate the frames that are complete, and return whether any is speech."""
        self._unjudged = np.concatenate([self._unjudged, frame])
        is_open = False
        while len(self._unjudged) >= self._first.frame_samples:
            is_open |= self._first.is_speech(self._unjudged[: self._first.frame_samples])
            self._unjudged = self._unjudged[self._first.frame_samples :]
        return is_open

    def _amplified(self, window: Array) -> Array:
        gain_db = min(max(LOUD_DBFS - self._loudest, 0.0), MAX_GAIN_DB)
        return window[:: self._every] * np.float32(10 ** (gain_db / 20))
