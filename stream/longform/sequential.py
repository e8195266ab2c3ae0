"""The sequential algorithm: one window after the other, each with the text of the one before.

Whisper's own (Radford et al. 2022, section 3.8): a window reaches as far as the model hears, and
the next one begins where its last complete segment ended. There the model's timestamps say where
that is; here its words' times do, which are read from its attention and finer: the window moves to
the last pause or end of a sentence in its last part. What was heard beyond it is heard again, and
is the draft of the next window.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Hypothesis, Window, WindowKind, Word
from stream.core.transcript import monotone, text_of
from stream.core.vad import VoiceDetector
from stream.longform.cutting import LONG_PAUSE_S, PAD
from stream.longform.form import FileOptions, Place
from stream.longform.listener import Listener
from stream.longform.results import Segment
from stream.longform.segmenting import SENTENCE_ENDS, Segmenter

PROMPT_CHARACTERS = 600
"""Of what was said before; Whisper reads some 220 tokens."""
LEAST_PROGRESS = 0.3
"""A window moves on by this part of what it heard at least."""
PAUSE = SAMPLE_RATE // 4


class Sequential:
    """A `Form`."""

    def __init__(self, options: FileOptions, place: Place, detector: VoiceDetector) -> None:
        self.problems: list[str] = []
        self._options = options
        self._place = place
        self._listener = Listener(detector)
        self._length = round(options.chunk_length_s * SAMPLE_RATE)
        self._start = 0
        """Where the next window begins, or the one that is out."""
        self._out: Window | None = None
        """The window that waits for its hypothesis."""
        self._windows: list[Window] = []
        self._draft: tuple[int, ...] = ()
        self._said = ""
        self._language = ""
        self._end_sample = 0
        """Of the last word."""
        self._segmenter = Segmenter(place.channel)
        self._segments: list[Segment] = []

    def receive_samples(self, samples: NDArray[np.float32]) -> None:
        """Take (n_samples,) more at 16 kHz."""
        self._listener.receive_samples(samples)
        self._ask()

    def receive_end(self) -> None:
        """Take note that no more comes."""
        self._listener.receive_end()
        self._ask()

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer, and move the window."""
        window = hypothesis.window
        self._out = None
        if hypothesis.failure:
            place = f"{window.start_sample / SAMPLE_RATE:.0f} s"
            self.problems.append(f"The audio from {place} on failed: {hypothesis.failure}")
        words = monotone(hypothesis.words, self._end_sample)
        if words:
            self._language = hypothesis.language
        goes_on = any(a < window.end_sample < b for a, b in self._speech())
        count, self._start = len(words), window.end_sample
        if goes_on and words:
            count = complete(words, window)
            self._start = words[count - 1].end_sample
        self._draft = tuple(token for word in words[count:] for token in word.tokens)
        self._say(words[:count])
        self._ask()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the window that became due, once."""
        windows, self._windows = self._windows, []
        return windows

    def segments(self) -> list[Segment]:
        """Return the segments that became certain, in order, each once."""
        segments, self._segments = self._segments, []
        return segments

    def _speech(self) -> list[tuple[int, int]]:
        return self._listener.speech(self._start, self._listener.heard_sample)

    def _ask(self) -> None:
        """Ask for the next window, once there is enough to hear and none is out."""
        if self._out is not None:
            return
        listener = self._listener
        speech = self._speech()
        quiet_to = speech[0][0] if speech else listener.heard_sample
        self._start = max(self._start, quiet_to - PAD)
        listener.forget_before(self._start)
        if not speech:
            if listener.ended:
                self._segments += self._segmenter.receive_end()
            return
        end = self._end(speech)
        if end + PAD > listener.heard_sample and not listener.ended:
            return  # whether somebody speaks on there is not known yet
        end = min(end, listener.end_sample)
        self._out = Window(
            session=self._place.session,
            id=next(self._place.window_ids),
            channel=self._place.channel,
            utterance=0,
            kind=WindowKind.FILE,
            start_sample=self._start,
            samples=listener.read(self._start, end),
            speech=tuple(listener.speech(self._start, end)),
            draft=self._draft,
            options=self._options.decoding(self._language, self._prompt()),
        )
        self._windows.append(self._out)

    def _end(self, speech: Sequence[tuple[int, int]]) -> int:
        """Where a window ends: as far as the model hears, or in a long silence."""
        limit = self._start + self._length
        begins = [span[0] for span in speech[1:]] + [self._listener.heard_sample]
        for (_, before), after in zip(speech, begins, strict=True):
            if before < limit and after - before >= LONG_PAUSE_S * SAMPLE_RATE:
                return min(before + PAD, limit)
        if self._listener.ended and speech[-1][1] <= limit:
            return speech[-1][1] + PAD
        return limit

    def _prompt(self) -> str:
        """What the model reads before the window: the client's text, and the last that was said."""
        return f"{self._options.prompt} {self._said[-PROMPT_CHARACTERS:]}".strip()

    def _say(self, words: Sequence[Word]) -> None:
        self._segments += self._segmenter.receive(words, self._language)
        if words:
            self._end_sample = words[-1].end_sample
            self._said = f"{self._said[-PROMPT_CHARACTERS:]} {text_of(words)}".strip()


def complete(words: Sequence[Word], window: Window) -> int:
    """Return how many words of a window that was cut off in speech stand: up to a good place.

    At least one; the last word was cut off, or may have been.
    """
    floor = window.start_sample + LEAST_PROGRESS * len(window.samples)
    for i in range(len(words) - 1, 0, -1):
        before, after = words[i - 1], words[i]
        if before.end_sample < floor:
            break
        ends = before.text.endswith(SENTENCE_ENDS)
        if ends or after.start_sample - before.end_sample >= PAUSE:
            return i
    return max(len(words) - 1, 1)
