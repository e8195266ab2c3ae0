"""The sequential algorithm: one window after the other, conditioned on the previous text.

This is Whisper's own algorithm (Radford et al. 2022, section 3.8): a window is as long as the
encoder's input, the model decodes timestamps around segments, and the next window begins where the
last complete segment ended. Words after that point are recognised again; their tokens are the draft
of the next window.
"""

from stream.core.audio import SAMPLE_RATE
from stream.core.transcript import monotone, text_of
from stream.core.windows import Hypothesis
from stream.engine.words.coverage import UNCOVERED_S, length_s
from stream.recordings.cutting import PAD, natural_end
from stream.recordings.long_form_algorithm import LongFormAlgorithm, WindowOrigin
from stream.recordings.options import FileOptions
from stream.recordings.speech_track import SpeechTrack

PROMPT_CHARACTERS = 200
"""Length of the previous text in the prompt: a sentence or two. Whisper accepts up to 220 tokens,
but an error in the prompt tends to be repeated in the next window (docs/decisions/014)."""
MIN_PROGRESS = SAMPLE_RATE
"""Smallest number of samples between the starts of two windows."""


class Sequential(LongFormAlgorithm):
    """Transcribes one channel of a recording, one window at a time."""

    def __init__(self, options: FileOptions, origin: WindowOrigin, track: SpeechTrack) -> None:
        super().__init__(options, origin, track)
        self._length = round(options.chunk * SAMPLE_RATE)
        self._window_pending = False
        """Whether a window is due or being transcribed."""
        self._draft: tuple[int, ...] = ()
        self._previous_text = ""
        self._end_sample = 0
        """End of the last word that was added."""

    def _use_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Add the words that are certain, and set the start and draft of the next window."""
        self._window_pending = False
        if self._previous_text and not hypothesis.words and not hypothesis.failure:
            # The previous text sometimes makes Whisper end the window at once. It is transcribed
            # again without that text; otherwise up to 30 s would be lost.
            self._previous_text = ""
            return
        words = monotone(hypothesis.words, self._end_sample)
        if words:
            self._language = hypothesis.language
        count, self._start = self._move(hypothesis)
        self._draft = tuple(token for word in words[count:] for token in word.tokens)
        self._add_words(words[:count], self._language)
        if count:
            self._end_sample = words[count - 1].end_sample
            self._previous_text = last_words(
                f"{self._previous_text} {text_of(words[:count])}".strip()
            )

    def _move(self, hypothesis: Hypothesis) -> tuple[int, int]:
        """Return the number of words that are certain, and the first sample of the next window."""
        window, words, cut = hypothesis.window, hypothesis.words, hypothesis.cut
        end, least = window.end_sample, window.start_sample + MIN_PROGRESS
        words_end = words[-1].end_sample if words else end
        spans = self._track.speech(words_end, end)
        left_out = length_s(spans) > UNCOVERED_S
        goes_on = any(a < end < b for a, b in self._speech())
        if cut is not None and cut.sample >= least and (left_out or goes_on):
            return cut.words, cut.sample
        if left_out and words_end >= least:
            return len(words), words_end
        if goes_on and words and words[-1].start_sample >= least:
            return len(words) - 1, words[-1].start_sample  # the last word may be incomplete
        return len(words), end

    def _request_windows(self) -> None:
        """Make the next window due, if there is enough audio and no window is pending."""
        if self._window_pending:
            return
        track = self._track
        self._skip_silence()
        track.forget_before(self._start)
        speech = self._speech()
        if not speech:
            if track.ended:
                self._end_segments()
            return
        limit = self._start + self._length
        end = natural_end(limit, speech, track.analysed_sample, track.ended) or limit
        if end + PAD > track.analysed_sample and not track.ended:
            return  # the VAD has not decided yet whether speech continues
        prompt = f"{self._options.prompt} {self._previous_text}".strip()
        options = self._options.decoding(self._language, prompt, timestamps=True)
        self._request_window(self._start, min(end, track.end_sample), options, self._draft)
        self._window_pending = True


def last_words(text: str) -> str:
    """Return the end of a text, at most `PROMPT_CHARACTERS` long and without a partial word."""
    if len(text) <= PROMPT_CHARACTERS:
        return text
    half, _, rest = text[-PROMPT_CHARACTERS - 1 :].partition(" ")
    return rest or half
