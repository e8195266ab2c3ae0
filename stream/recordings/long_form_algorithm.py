"""The base class of the long-form algorithms.

Its interface is that of a session: `receive_*` methods take samples and hypotheses,
`windows_to_transcribe` and `segments` return what is due. It does no I/O, reads no clock and does
not depend on a model. Subclasses decide which windows to request, when, and how to turn the
hypotheses into segments.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import DecodingOptions, Hypothesis, Window, WindowKind, Word
from stream.recordings.cutting import PAD
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment
from stream.recordings.segmenting import Segmenter
from stream.recordings.speech_track import Span, SpeechTrack


@dataclass(frozen=True, slots=True)
class WindowOrigin:
    """The session and channel of the windows, and the source of their ids."""

    session: str
    channel: int
    window_ids: Iterator[int]
    """Yields unique ids; shared by all channels of the session."""


class LongFormAlgorithm(ABC):
    """Turns the audio of one channel of a recording into segments."""

    def __init__(self, options: FileOptions, origin: WindowOrigin, track: SpeechTrack) -> None:
        self.problems: list[str] = []
        """One sentence for each window that could not be transcribed."""
        self._options = options
        self._origin = origin
        self._track = track
        self._start = 0
        """First sample of the next window; earlier audio is in a window or holds no speech."""
        self._language = ""
        """Code of the language of the latest hypothesis that had words; empty before the first."""
        self._windows: list[Window] = []
        self._segmenter = Segmenter(origin.channel)
        self._segments: list[Segment] = []

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Add samples, (n_samples,) at 16 kHz; makes windows due."""
        self._track.receive_samples(samples)
        self._request_windows()

    def receive_gap(self, n_samples: int) -> None:
        """Add a gap of `n_samples` at 16 kHz, for which there is no audio; makes windows due."""
        self._track.receive_gap(n_samples)
        self._request_windows()

    def receive_end(self) -> None:
        """End the audio; makes the last windows due."""
        self._track.receive_end()
        self._request_windows()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Add the words of a window's hypothesis to the segments; makes further windows due.

        If the window failed, a sentence is added to `problems`.
        """
        if hypothesis.failure:
            from_s = f"{hypothesis.window.start_sample / SAMPLE_RATE:.0f} s"
            self.problems.append(f"The audio from {from_s} on failed: {hypothesis.failure}")
        self._use_hypothesis(hypothesis)
        self._request_windows()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due since the last call."""
        windows, self._windows = self._windows, []
        return windows

    def segments(self) -> list[Segment]:
        """Return the segments that were completed since the last call, in order of time."""
        segments, self._segments = self._segments, []
        return segments

    @abstractmethod
    def _request_windows(self) -> None:
        """Make windows due for the audio so far; after the last window, complete the segments."""

    @abstractmethod
    def _use_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Add the words that a hypothesis, which may be a failed one, makes certain."""

    def _speech(self) -> list[Span]:
        """Return the spans of speech from the start of the next window on."""
        return self._track.speech(self._start, self._track.analysed_sample)

    def _skip_silence(self) -> None:
        """Move the start of the next window to `PAD` samples before the next speech.

        Without speech, the last `PAD` samples stay: an onset may be detected in them later.
        """
        speech = self._speech()
        silence_end = speech[0][0] if speech else self._track.analysed_sample
        self._start = max(self._start, silence_end - PAD)

    def _request_window(
        self, start: int, end: int, options: DecodingOptions, draft: tuple[int, ...] = ()
    ) -> Window:
        """Make a window of the samples [start, end) due, and return it."""
        window_id = next(self._origin.window_ids)
        window = Window(
            session=self._origin.session,
            id=window_id,
            channel=self._origin.channel,
            utterance=window_id,
            kind=WindowKind.FILE,
            start_sample=start,
            samples=self._track.read(start, end),
            speech=tuple(self._track.speech(start, end)),
            draft=draft,
            options=options,
        )
        self._windows.append(window)
        return window

    def _add_words(self, words: Sequence[Word], language: str) -> None:
        """Add certain words to the segments; `language` is the code of their language."""
        self._segments += self._segmenter.receive(words, language)

    def _end_segments(self) -> None:
        """Complete the segment of the remaining words."""
        self._segments += self._segmenter.receive_end()
