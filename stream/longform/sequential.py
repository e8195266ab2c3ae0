"""The sequential algorithm: one window after the other, each with the text of the one before.

Whisper's own (Radford et al. 2022, section 3.8): a window reaches as far as the model hears, and
the next one begins where its last complete segment ended. There the model's timestamps say where
that is; here its words' times do, which are read from its attention and finer: the window moves to
the last pause or end of a sentence in its last part. What was heard beyond it is heard again, and
is the draft of the next window.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Hypothesis, Window, Word
from stream.core.transcript import monotone, text_of
from stream.core.vad import VoiceDetector
from stream.longform.cutting import PAD, natural_end
from stream.longform.form import Form, Place
from stream.longform.options import FileOptions
from stream.longform.segmenting import SENTENCE_ENDS

PROMPT_CHARACTERS = 600
"""Of what was said before; Whisper reads some 220 tokens."""
LEAST_PROGRESS = 0.3
"""A window moves on by this part of what it heard at least."""
PAUSE = SAMPLE_RATE // 4


class Sequential(Form):
    """One channel of a recording, window by window."""

    def __init__(self, options: FileOptions, place: Place, detector: VoiceDetector) -> None:
        super().__init__(options, place, detector)
        self._length = round(options.chunk_length_s * SAMPLE_RATE)
        self._out = False
        """Whether a window waits for its hypothesis."""
        self._draft: tuple[int, ...] = ()
        self._said = ""
        self._end_sample = 0
        """Of the last word."""

    def _take(self, hypothesis: Hypothesis) -> None:
        """Say what stands, and move the window."""
        window = hypothesis.window
        self._out = False
        words = monotone(hypothesis.words, self._end_sample)
        if words:
            self._language = hypothesis.language
        goes_on = any(a < window.end_sample < b for a, b in self._speech())
        count, self._start = len(words), window.end_sample
        if goes_on and words:
            count = complete(words, window)
            self._start = words[count - 1].end_sample
        self._draft = tuple(token for word in words[count:] for token in word.tokens)
        self._say(words[:count], self._language)
        if count:
            self._end_sample = words[count - 1].end_sample
            self._said = f"{self._said} {text_of(words[:count])}".strip()[-PROMPT_CHARACTERS:]

    def _ask(self) -> None:
        """Ask for the next window, once there is enough to hear and none is out."""
        if self._out:
            return
        listener = self._listener
        self._skip_silence()
        listener.forget_before(self._start)
        speech = self._speech()
        if not speech:
            if listener.ended:
                self._say_last()
            return
        limit = self._start + self._length
        end = natural_end(limit, speech, listener.heard_sample, listener.ended) or limit
        if end + PAD > listener.heard_sample and not listener.ended:
            return  # whether somebody speaks on there is not known yet
        prompt = f"{self._options.prompt} {self._said}".strip()
        options = self._options.decoding(self._language, prompt)
        self._window(self._start, min(end, listener.end_sample), options, self._draft)
        self._out = True


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
