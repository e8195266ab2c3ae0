"""A voice detector of two stages: webrtcvad with a noise floor, then Silero's network.

The first stage is very cheap and passes all speech, but also noise of doors, dogs and keys. While
it detects speech, and for half a second longer, the network decides. Otherwise the network does not
run, so a silent stream costs very little. When the network starts again, it first gets the last
half second of audio, and continues from the state in which it stopped: from an empty state it took
50 % more noise for speech.

The network was trained on speech of ordinary loudness and misses words that are 30 dB quieter. So
its input is amplified until the loudest of the last seconds is as loud as ordinary speech.

`distil-stream bench voice` measures the effect of the constants below; see docs/decisions/008.
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
"""The probability below which speech ends; between the two the decision does not change."""

FIRST_GATE_AGGRESSIVENESS = 0
FIRST_GATE_RISE_DB = 4.0
"""How far a frame must rise above the noise floor to be speech for the first stage. It is less than
the 6 dB of webrtcvad alone: in noise as loud as the speech, half of the words that were lost did
not rise by 6 dB."""

AWAKE_WINDOWS = 16
"""0.5 s: how long the network runs from a frame that is speech for the first stage."""

REPLAYED_WINDOWS = 16
"""0.5 s: how much of the preceding audio the network gets first when it starts again."""

LOUD_DBFS = -26.0
"""The level of a loud window of ordinary speech."""

MAX_GAIN_DB = 30.0

FALL_DB = 3.0 * WINDOW_SAMPLES / SAMPLE_RATE
"""Decay of the level of the loudest window, in dB for each window (3 dB a second). It is slow, so
that pauses are not amplified."""


class SileroGate:
    """A `VoiceDetector` that runs the network only during and shortly after webrtcvad's speech."""

    frame_samples = WINDOW_SAMPLES

    def __init__(self, weights: SileroWeights, enter: float = ENTER, leave: float = LEAVE) -> None:
        """Start in silence.

        Args:
            weights: weights of the network for 16 kHz or 8 kHz.
            enter: probability at which speech begins.
            leave: probability below which speech ends.
        """
        self.windows_judged = 0
        """Number of windows on which the network has run."""
        self._first = WebRtcVad(FIRST_GATE_AGGRESSIVENESS, FIRST_GATE_RISE_DB)
        self._network = Silero(weights)
        # Audio sent at 8 kHz has nothing above 4 kHz, so every second 16 kHz sample is enough.
        self._every = WINDOW_SAMPLES // weights.window_samples
        self._enter, self._leave = enter, leave
        self._unjudged = np.zeros(0, np.float32)
        """Samples that do not fill a frame of the first stage, whose length does not divide 512."""
        self._recent: deque[Array] = deque(maxlen=REPLAYED_WINDOWS)
        self._loudest = LOUD_DBFS - MAX_GAIN_DB
        self._awake = 0
        """Number of windows for which the network still runs."""
        self._speaking = False

    def is_speech(self, frame: Array) -> bool:
        """Return whether the next frame, (512,) at 16 kHz, holds speech."""
        return self.are_speech(frame[None])[0]

    def are_speech(self, frames: Array) -> list[bool]:
        """Return whether each of the next frames, (n, 512), holds speech.

        The network runs on all frames as one batch.
        """
        due: list[Array] = []
        own: list[int | None] = []
        """For each frame, its index in `due`; None if the network does not run."""
        for frame in frames:
            self._loudest = max(level_dbfs(frame), self._loudest - FALL_DB)
            if self._first_gate_opens(frame):
                if not self._awake:  # it starts with the last half second, at the current gain
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
        """Return whether a frame is speech, with hysteresis from the previous decision."""
        self._speaking = probability >= (self._leave if self._speaking else self._enter)
        return self._speaking

    def _first_gate_opens(self, frame: Array) -> bool:
        """Pass a frame to the first stage; return whether any of its own frames so completed is
        speech.
        """
        self._unjudged = np.concatenate([self._unjudged, frame])
        is_open = False
        while len(self._unjudged) >= self._first.frame_samples:
            is_open |= self._first.is_speech(self._unjudged[: self._first.frame_samples])
            self._unjudged = self._unjudged[self._first.frame_samples :]
        return is_open

    def _amplified(self, window: Array) -> Array:
        gain_db = min(max(LOUD_DBFS - self._loudest, 0.0), MAX_GAIN_DB)
        return window[:: self._every] * np.float32(10 ** (gain_db / 20))
