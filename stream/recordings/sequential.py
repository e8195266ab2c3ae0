"""The sequential algorithm: one window after the other, each with the text of the one before.

Whisper's own (Radford et al. 2022, section 3.8): a window reaches as far as the model hears, the
model writes timestamps around what it takes for segments, and the next window begins where the last
complete one ended. What was heard beyond it is heard again, and is the draft of the next window.
"""

from stream.core.audio import SAMPLE_RATE
from stream.core.transcript import monotone, text_of
from stream.core.vad import VoiceDetector
from stream.core.windows import Hypothesis
from stream.engine.words.coverage import UNCOVERED_S, length_s
from stream.recordings.algorithm import Form, Place
from stream.recordings.cutting import PAD, natural_end
from stream.recordings.options import FileOptions

PROMPT_CHARACTERS = 200
"""Of what was said before: a sentence or two. Whisper reads up to 220 tokens, but what one window
got wrong is taken up by those that read it (docs/decisions/014)."""
LEAST_PROGRESS = SAMPLE_RATE
"""A window moves on by so much at least."""


class Sequential(Form):
    """One channel of a recording, window by window."""

    def __init__(self, options: FileOptions, place: Place, detector: VoiceDetector) -> None:
        super().__init__(options, place, detector)
        self._length = round(options.chunk * SAMPLE_RATE)
        self._out = False
        """Whether a window waits for its hypothesis."""
        self._draft: tuple[int, ...] = ()
        self._said = ""
        self._end_sample = 0
        """Of the last word."""

    def _take(self, hypothesis: Hypothesis) -> None:
        """Say what stands, and move the window."""
        self._out = False
        if self._said and not hypothesis.words and not hypothesis.failure:
            # Now and then the text before it makes Whisper end at once: 30 s would be lost.
            self._said = ""
            return
        words = monotone(hypothesis.words, self._end_sample)
        if words:
            self._language = hypothesis.language
        count, self._start = self._move(hypothesis)
        self._draft = tuple(token for word in words[count:] for token in word.tokens)
        self._say(words[:count], self._language)
        if count:
            self._end_sample = words[count - 1].end_sample
            self._said = last_words(f"{self._said} {text_of(words[:count])}".strip())

    def _move(self, hypothesis: Hypothesis) -> tuple[int, int]:
        """Return how many words stand, and where the next window begins."""
        window, words, cut = hypothesis.window, hypothesis.words, hypothesis.cut
        end, least = window.end_sample, window.start_sample + LEAST_PROGRESS
        heard_to = words[-1].end_sample if words else end
        spans = self._listener.speech(heard_to, end)
        left_out = length_s(spans) > UNCOVERED_S
        goes_on = any(a < end < b for a, b in self._speech())
        if cut is not None and cut.sample >= least and (left_out or goes_on):
            return cut.words, cut.sample
        if left_out and heard_to >= least:
            return len(words), heard_to
        if goes_on and words and words[-1].start_sample >= least:
            return len(words) - 1, words[-1].start_sample  # it may be cut off
        return len(words), end

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
        options = self._options.decoding(self._language, prompt, timestamps=True)
        self._window(self._start, min(end, listener.end_sample), options, self._draft)
        self._out = True


def last_words(text: str) -> str:
    """Return the end of a text, from the beginning of a word on: half of one would be taken up."""
    if len(text) <= PROMPT_CHARACTERS:
        return text
    half, _, rest = text[-PROMPT_CHARACTERS - 1 :].partition(" ")
    return rest or half
