"""The audio of one channel of a recording as it is read, and where in it there is speech."""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLES_PER_MS
from stream.core.endpointing import Endpointer
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning
from stream.core.vad import VoiceDetector

ENDPOINTING_MS = 500

Span = tuple[int, int]
"""[start_sample, end_sample)"""


class SpeechTrack:
    """Stores the audio that is still needed; memory does not grow with the recording."""

    def __init__(self, detector: VoiceDetector, tuning: SessionTuning) -> None:
        """Detect speech as the live streams of the same tuning do."""
        self.judged_sample = 0
        """The detector has judged everything before it."""
        self.ended = False
        self._audio = RollingBuffer()
        self._detector = detector
        self._least_speech = tuning.onset_ms * SAMPLES_PER_MS
        """Samples; shorter speech would not begin an utterance of a live stream either."""
        self._endpointer = Endpointer(
            tuning.pre_roll_ms, tuning.onset_ms, ENDPOINTING_MS, detector.frame_samples
        )

    @property
    def end_sample(self) -> int:
        """How much audio there is."""
        return self._audio.end_sample

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more."""
        self._audio.append(samples)
        n = self._detector.frame_samples
        whole_to = self._audio.end_sample - (self._audio.end_sample - self.judged_sample) % n
        frames = self._audio.read(self.judged_sample, whole_to).reshape(-1, n)
        for is_speech in self._detector.are_speech(frames):
            self._endpointer.feed(is_speech)
        self.judged_sample = whole_to

    def receive_end(self) -> None:
        """Take note that no more comes: silence fills the detector's last frame."""
        rest = self._audio.read(self.judged_sample, self._audio.end_sample)
        if len(rest):
            frame = np.zeros(self._detector.frame_samples, np.float32)
            frame[: len(rest)] = rest
            self._endpointer.feed(self._detector.is_speech(frame))
        self.judged_sample = self._audio.end_sample
        self.ended = True

    def speech(self, start: int, end: int) -> list[Span]:
        """Return the spans of speech within [start, end), in order."""
        spans = self._endpointer.speech_spans(start, min(end, self.judged_sample))
        return [span for span in spans if span[1] - span[0] >= self._least_speech]

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return the samples [start, end), (n_samples,)."""
        return self._audio.read(start, end)

    def forget_before(self, sample: int) -> None:
        """Discard audio that is not needed any more."""
        self._audio.discard_before(min(sample, self._audio.end_sample))
        self._endpointer.forget_before(sample)
