"""What every long-form algorithm has: an object between two ports, audio and engine.

`receive_*` in, `*_to_transcribe` and `segments` out, as a session has it; it does no I/O, reads no
clock, and knows no model. What algorithms differ in is what they ask for, and when, and what they
make of the answers.
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
class Place:
    """Whose windows these are."""

    session: str
    channel: int
    window_ids: Iterator[int]
    """Of the whole session."""


class Form(ABC):
    """One channel of a recording."""

    def __init__(self, options: FileOptions, place: Place, track: SpeechTrack) -> None:
        self.problems: list[str] = []
        """Windows that could not be transcribed, a sentence each."""
        self._options = options
        self._place = place
        self._track = track
        self._start = 0
        """Where the next window begins: all before it is in one, or holds no speech."""
        self._language = ""
        """That was heard last."""
        self._windows: list[Window] = []
        self._segmenter = Segmenter(place.channel)
        self._segments: list[Segment] = []

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more at 16 kHz."""
        self._track.receive_samples(samples)
        self._ask()

    def receive_end(self) -> None:
        """Take note that no more comes."""
        self._track.receive_end()
        self._ask()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""
        if hypothesis.failure:
            place = f"{hypothesis.window.start_sample / SAMPLE_RATE:.0f} s"
            self.problems.append(f"The audio from {place} on failed: {hypothesis.failure}")
        self._take(hypothesis)
        self._ask()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        windows, self._windows = self._windows, []
        return windows

    def segments(self) -> list[Segment]:
        """Return the segments that became certain, in order, each once."""
        segments, self._segments = self._segments, []
        return segments

    @abstractmethod
    def _ask(self) -> None:
        """Ask for what is due by now; say what became certain by there being no more."""

    @abstractmethod
    def _take(self, hypothesis: Hypothesis) -> None:
        """Say what an answer, which may have failed, makes certain."""

    def _speech(self) -> list[Span]:
        """What was heard from the start on."""
        return self._track.speech(self._start, self._track.judged_sample)

    def _skip_silence(self) -> None:
        """Begin shortly before the next speech; what was judged last may yet be its beginning."""
        speech = self._speech()
        quiet_to = speech[0][0] if speech else self._track.judged_sample
        self._start = max(self._start, quiet_to - PAD)

    def _window(
        self, start: int, end: int, options: DecodingOptions, draft: tuple[int, ...] = ()
    ) -> Window:
        """Make a window of the samples [start, end), and let it be due."""
        window_id = next(self._place.window_ids)
        window = Window(
            session=self._place.session,
            id=window_id,
            channel=self._place.channel,
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

    def _say(self, words: Sequence[Word], language: str) -> None:
        """Make segments of words that are certain."""
        self._segments += self._segmenter.receive(words, language)

    def _say_last(self) -> None:
        """Make a segment of what is left."""
        self._segments += self._segmenter.receive_end()
