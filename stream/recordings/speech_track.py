"""The audio of one channel of a recording as it is read, and where in it there is speech."""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.endpointing import Endpointer
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning
from stream.core.vad import VoiceDetector

TUNING = SessionTuning()
ENDPOINTING_MS = 500
LEAST_SPEECH = TUNING.onset_ms * SAMPLE_RATE // 1000

Span = tuple[int, int]
"""[start_sample, end_sample)"""


class Listener:
    """Keeps what is still needed; memory does not grow with the recording."""

    def __init__(self, detector: VoiceDetector) -> None:
        self.heard_sample = 0
        """Everything before it was judged."""
        self.ended = False
        self._audio = RollingBuffer()
        self._detector = detector
        self._endpointer = Endpointer(
            TUNING.pre_roll_ms, TUNING.onset_ms, ENDPOINTING_MS, detector.frame_samples
        )

    @property
    def end_sample(self) -> int:
        """How much audio there is."""
        return self._audio.end_sample

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more."""
        self._audio.append(samples)
        n = self._detector.frame_samples
        whole_to = self._audio.end_sample - (self._audio.end_sample - self.heard_sample) % n
        frames = self._audio.read(self.heard_sample, whole_to).reshape(-1, n)
        for is_speech in self._detector.are_speech(frames):
            self._endpointer.feed(is_speech)
        self.heard_sample = whole_to

    def receive_end(self) -> None:
        """Take note that no more comes: silence fills the detector's last frame."""
        rest = self._audio.read(self.heard_sample, self._audio.end_sample)
        if len(rest):
            frame = np.zeros(self._detector.frame_samples, np.float32)
            frame[: len(rest)] = rest
            self._endpointer.feed(self._detector.is_speech(frame))
        self.heard_sample = self._audio.end_sample
        self.ended = True

    def speech(self, start: int, end: int) -> list[Span]:
        """Return the spans of speech within [start, end), in order."""
        spans = self._endpointer.speech_spans(start, min(end, self.heard_sample))
        # Shorter speech would not begin an utterance of a live stream either.
        return [span for span in spans if span[1] - span[0] >= LEAST_SPEECH]

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return the samples [start, end), (n_samples,)."""
        return self._audio.read(start, end)

    def forget_before(self, sample: int) -> None:
        """Let go of audio that is not needed any more."""
        self._audio.discard_before(min(sample, self._audio.end_sample))
        self._endpointer.forget_before(sample)
