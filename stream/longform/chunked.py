"""The chunked algorithm: chunks by themselves, as many at once as the engine takes.

Chunks are cut as the audio comes (`cutting`), answered in any order and joined in theirs
(`joining`). The last words of a chunk that was cut in the middle of speech wait for the next one,
which has heard them as well.
"""

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Hypothesis, Window, WindowKind, Word
from stream.core.vad import VoiceDetector
from stream.longform.cutting import PAD, Chunk, Cutter
from stream.longform.form import FileOptions, Place
from stream.longform.joining import join
from stream.longform.listener import Listener, Span
from stream.longform.results import Segment
from stream.longform.segmenting import Segmenter


class Chunked:
    """A `Form`."""

    def __init__(self, options: FileOptions, place: Place, detector: VoiceDetector) -> None:
        self.problems: list[str] = []
        self._options = options
        self._place = place
        self._listener = Listener(detector)
        self._cutter = Cutter(
            length=round(options.chunk_length_s * SAMPLE_RATE),
            stride=round(options.stride * SAMPLE_RATE),
        )
        self._start = 0
        """Everything before it is in a chunk, or holds no speech."""
        self._overlap: Span | None = None
        self._windows: list[Window] = []
        self._chunks: dict[int, Chunk] = {}
        """By window, those that wait for their hypothesis or for their turn; in order."""
        self._answers: dict[int, Hypothesis] = {}
        self._words: tuple[Word, ...] = ()
        """Of the last chunk in turn, those that the next one may change."""
        self._language = ""
        """Of these words."""
        self._segmenter = Segmenter(place.channel)
        self._segments: list[Segment] = []

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more at 16 kHz."""
        self._listener.receive_samples(samples)
        self._cut()

    def receive_end(self) -> None:
        """Take note that no more comes."""
        self._listener.receive_end()
        self._cut()
        self._finish()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer, and join what has its turn."""
        self._answers[hypothesis.window.id] = hypothesis
        while self._chunks and (first := next(iter(self._chunks))) in self._answers:
            self._join(self._chunks.pop(first), self._answers.pop(first))
        self._finish()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        windows, self._windows = self._windows, []
        return windows

    def segments(self) -> list[Segment]:
        """Return the segments that became certain, in order, each once."""
        segments, self._segments = self._segments, []
        return segments

    def _cut(self) -> None:
        """Cut all the chunks that can be cut by now."""
        listener = self._listener
        while True:
            speech = listener.speech(self._start, listener.heard_sample)
            if self._overlap is None:
                # Up to the first word there is nothing to hear. What has been judged last may yet
                # be the beginning of speech.
                quiet_to = speech[0][0] if speech else listener.heard_sample
                self._start = max(self._start, quiet_to - PAD)
            listener.forget_before(self._start)
            enough = listener.heard_sample - self._start >= self._cutter.longest_wait
            if not speech or not (enough or listener.ended):
                return
            chunk = self._cutter.cut(
                self._start, self._overlap, speech, listener.heard_sample, listener.ended
            )
            end = min(chunk.end_sample, listener.end_sample)
            self._ask(Chunk(chunk.start_sample, end, chunk.overlap))
            if listener.ended and not listener.speech(end, listener.heard_sample):
                self._start, self._overlap = end, None
            else:
                self._start, self._overlap = self._cutter.next_start(chunk, speech)

    def _ask(self, chunk: Chunk) -> None:
        window_id = next(self._place.window_ids)
        self._chunks[window_id] = chunk
        window = Window(
            session=self._place.session,
            id=window_id,
            channel=self._place.channel,
            utterance=window_id,
            kind=WindowKind.FILE,
            start_sample=chunk.start_sample,
            samples=self._listener.read(chunk.start_sample, chunk.end_sample),
            speech=tuple(self._listener.speech(chunk.start_sample, chunk.end_sample)),
            options=self._options.decoding(self._language),
        )
        self._windows.append(window)

    def _join(self, chunk: Chunk, hypothesis: Hypothesis) -> None:
        words = hypothesis.words
        if hypothesis.failure:
            place = f"{chunk.start_sample / SAMPLE_RATE:.0f} s"
            self.problems.append(f"The audio from {place} on failed: {hypothesis.failure}")
        elif chunk.overlap is not None:
            self._words, words = join(self._words, words, chunk.overlap)
        self._say_words()
        self._words = words
        if words:
            self._language = hypothesis.language

    def _finish(self) -> None:
        """Say the last words once nothing can change them."""
        following = next(iter(self._chunks.values())).overlap if self._chunks else self._overlap
        if following is None:
            self._say_words()
        if self._listener.ended and not self._chunks:
            self._segments += self._segmenter.receive_end()

    def _say_words(self) -> None:
        self._segments += self._segmenter.receive(self._words, self._language)
        self._words = ()
