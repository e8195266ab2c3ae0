"""Buffers the audio of one channel of a recording, and finds the spans of speech in it."""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import BRIDGED, SAMPLES_PER_MS
from stream.core.endpointing import Endpointer
from stream.core.high_pass import HighPass
from stream.core.rolling_buffer import RollingBuffer
from stream.core.settings import SessionTuning
from stream.core.vad import VoiceDetector

ENDPOINTING_MS = 500

Span = tuple[int, int]
"""[start_sample, end_sample)"""


class SpeechTrack:
    """Holds the audio of one channel since the last `forget_before`, and its spans of speech."""

    def __init__(self, detector: VoiceDetector, tuning: SessionTuning) -> None:
        """Create an empty track; `tuning` sets the detection of onsets, as in a live stream."""
        self.analysed_sample = 0
        """The VAD has analysed all samples before this index."""
        self.ended = False
        self._audio = RollingBuffer()
        self._high_pass = HighPass()
        self._detector = detector
        self._min_speech = tuning.onset_ms * SAMPLES_PER_MS
        """Samples; shorter speech is ignored, as it begins no utterance of a live stream either."""
        self._endpointer = Endpointer(
            tuning.pre_roll_ms, tuning.onset_ms, ENDPOINTING_MS, detector.frame_samples
        )

    @property
    def end_sample(self) -> int:
        """Number of samples that were received."""
        return self._audio.end_sample

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Add samples, (n_samples,), and run the VAD on the frames that they complete."""
        self._audio.append(self._high_pass.feed(samples))
        self._analyse()

    def receive_gap(self, n_samples: int) -> None:
        """Add a gap of `n_samples` at 16 kHz; if it exceeds `BRIDGED`, speech ends before it."""
        if n_samples <= BRIDGED:
            self._audio.append(np.zeros(max(n_samples, 0), np.float32))
            self._analyse()
            return
        self._analyse_rest()
        self._endpointer.force_end()
        self._audio.skip(n_samples)
        self.analysed_sample = self._audio.end_sample
        self._endpointer.skip_to(self.analysed_sample)

    def receive_end(self) -> None:
        """End the audio: run the VAD on the last frame, padded with silence."""
        self._analyse_rest()
        self.ended = True

    def _analyse(self) -> None:
        n = self._detector.frame_samples
        whole_to = self._audio.end_sample - (self._audio.end_sample - self.analysed_sample) % n
        frames = self._audio.read(self.analysed_sample, whole_to).reshape(-1, n)
        for is_speech in self._detector.are_speech(frames):
            self._endpointer.feed(is_speech)
        self.analysed_sample = whole_to

    def _analyse_rest(self) -> None:
        """Run the VAD on the last samples, which do not fill a frame, padded with silence."""
        rest = self._audio.read(self.analysed_sample, self._audio.end_sample)
        if len(rest):
            frame = np.zeros(self._detector.frame_samples, np.float32)
            frame[: len(rest)] = rest
            self._endpointer.feed(self._detector.is_speech(frame))
        self.analysed_sample = self._audio.end_sample

    def speech(self, start: int, end: int) -> list[Span]:
        """Return the spans of speech within [start, end), in order of time."""
        spans = self._endpointer.speech_spans(start, min(end, self.analysed_sample))
        return [span for span in spans if span[1] - span[0] >= self._min_speech]

    def read(self, start: int, end: int) -> NDArray[np.float32]:
        """Return the samples [start, end), (n_samples,)."""
        return self._audio.read(start, end)

    def forget_before(self, sample: int) -> None:
        """Discard the audio and the spans of speech before a sample."""
        self._audio.discard_before(min(sample, self._audio.end_sample))
        self._endpointer.forget_before(sample)
