"""One utterance, from its onset to its final.

It is *open* while speech goes on, *closed* once its end is known, and *finished* when a hypothesis
covers all of it. Then it hands over to its successor, which has waited for that: the successor's
windows begin with the last words before it, because the model recognises a sentence better with the
previous one. An utterance that never pauses is *split*: it is closed in the middle of the speech
and keeps the words that are safely before that point; the others are left to its successor.
"""

from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.overlap_merge import midpoint
from stream.core.settings import SessionTuning
from stream.core.transcript import Transcript
from stream.core.windowing import Span, Windowing, context_sample, cut_sample
from stream.core.windows import DroppedWord, EngineTiming, Hypothesis, WindowKind, Word

SPLIT_GUARD = SAMPLE_RATE
"""Samples before a split in which a word may be incomplete, and is left to the successor."""


class Utterance:
    """Requests windows and takes hypotheses; it knows neither audio samples nor channels."""

    def __init__(
        self, index: int, start_sample: int, speech_sample: int, tuning: SessionTuning
    ) -> None:
        self.index = index
        self.start_sample = start_sample
        self.speech_sample = speech_sample
        """Where its speech begins, after the pre-roll."""
        self.end_sample: int | None = None
        """Where the audio to transcribe ends; None while open."""
        self.speech_end_sample = start_sample
        self.decided_sample = start_sample
        """When the end was decided, on the audio clock."""
        self.split = False
        self.finished = False
        self.revision = 0
        self.language = ""
        self.timing = EngineTiming()
        self._dropped: tuple[DroppedWord, ...] = ()  # by guards, from the hypotheses that stand
        self._dropped_before: tuple[DroppedWord, ...] = ()  # and before the last cut
        self.transcript = Transcript(tuning=tuning)
        self._tuning = tuning
        self._overlap = round(tuning.overlap_s * SAMPLE_RATE)
        self._context = round(tuning.context_s * SAMPLE_RATE)
        self._windowing: Windowing | None = None
        self._last_words: tuple[Word, ...] = ()  # the last hypothesis,
        self._last_start = start_sample  # and where its window began

    def begin(self, before: tuple[Word, ...] = ()) -> None:
        """Start to request windows, which include the words just `before` as their context."""
        start = context_sample(before, self.start_sample, self._context)
        self._start_windows(start, tuple(word for word in before if word.end_sample > start))

    def close(self, speech_end: int, decided: int, *, pause: bool, split: bool = False) -> None:
        """Set the end. After a pause, the silence at the end need not be transcribed in full."""
        tail = samples_of_ms(self._tuning.tail_ms)
        self.speech_end_sample = speech_end
        self.decided_sample = decided
        self.end_sample = min(decided, speech_end + tail) if pause else decided
        self.split = split
        self._finish_if_covered()

    def next_span(
        self, now: int, speech_end: int, hops: int | None, endpointing_ms: int
    ) -> Span | None:
        """Return the window that is due, or None.

        Args:
            now: the voice detector has judged the audio up to here.
            speech_end: of the speech so far.
            hops: how many hops of new audio make a partial due; None for no partials.
            endpointing_ms: silence that ends the utterance.
        """
        if self._windowing is None or self.finished:
            return None
        if self.end_sample is None:
            self.speech_end_sample = speech_end
            hop = None if hops is None else hops * self._hop
            tuning = self._tuning
            patience = samples_of_ms(max(tuning.tail_ms, endpointing_ms - tuning.final_ahead_ms))
            return self._windowing.open_span(now, speech_end, self.known, hop, patience)
        return self._windowing.closing_span(self.end_sample, self.known)

    @property
    def readable(self) -> bool:
        """Whether it has words to show."""
        return bool(self.transcript.committed or self.transcript.shown)

    @property
    def _hop(self) -> int:
        """New audio, in samples, that makes a partial due: less until there are words to show.

        Later, a longer hop is better: two hypotheses a second apart agree by chance less often. If
        no words were found for long, as in a noise of voices, a quarter of that audio is the hop.
        """
        tuning, words = self._tuning, self.transcript.words
        first_hop_ms = min(tuning.first_hop_ms, tuning.partial_hop_ms)
        hop_ms = tuning.partial_hop_ms if self.readable else first_hop_ms
        words_end = words[-1].end_sample if words else self.speech_sample
        wordless = self.covered_sample - words_end
        return max(samples_of_ms(hop_ms), min(wordless // 4, samples_of_ms(tuning.wordless_hop_ms)))

    @property
    def problems(self) -> tuple[str, ...]:
        """Codes of the guards that removed words, if no other words are in their place."""
        codes = {
            word.guard
            for word in (*self._dropped_before, *self._dropped)
            if self.start_sample <= word.sample < self.speech_end_sample
            and not any(
                known.start_sample <= word.sample < known.end_sample
                for known in self.transcript.words
            )
        }
        return tuple(sorted(codes))

    def draft(self, start_sample: int) -> tuple[int, ...]:
        """Return the tokens of known words and of the last hypothesis from a window's start on."""
        before = (word for word in self.known if midpoint(word) < self._last_start)
        words = (word for word in (*before, *self._last_words) if word.start_sample >= start_sample)
        return tuple(token for word in words for token in word.tokens)

    def receive(self, hypothesis: Hypothesis) -> None:
        """Take the hypothesis of one of this utterance's windows."""
        window = hypothesis.window
        if self._windowing is None or self.finished or window.end_sample < self.covered_sample:
            return  # a partial whose final has come first
        full = self._windowing.answered(window.start_sample, window.end_sample)
        if not hypothesis.failure:
            commit = self._tuning.commit_partials or window.kind is WindowKind.FINAL
            if hypothesis.language != self.language:
                self.transcript.forget_tentative()  # words of two languages do not agree
                # A language that was detected once may be wrong, however sure its words are.
                commit = commit and window.options.language != "auto"
            self._last_words, self._last_start = hypothesis.words, window.start_sample
            self.language = hypothesis.language
            self.timing = hypothesis.timing
            self._dropped = hypothesis.dropped
            self.transcript.receive(
                hypothesis.words, window.start_sample, window.end_sample, commit=commit
            )
        if full and not (self.end_sample and window.end_sample >= self.end_sample):
            self.transcript.commit_before(self._windowing.covered_sample - self._overlap)
            self._windowing.cut(self.known)
            self._dropped_before += self._dropped
            self._dropped = ()
        self._windowing.advance(self.known)
        self._finish_if_covered()

    def drop_context(self) -> None:
        """Begin no window before this utterance: its context is in another language."""
        if self._windowing is not None:
            self._windowing.start_sample = max(self.start_sample, self._windowing.start_sample)

    @property
    def known(self) -> tuple[Word, ...]:
        """The words that a later window may include, those of the context among them."""
        return self.transcript.words_from(self.needed_sample)

    @property
    def covered_sample(self) -> int:
        """Hypotheses cover the utterance up to here."""
        return self._windowing.covered_sample if self._windowing else self.start_sample

    @property
    def needed_sample(self) -> int:
        """No later window includes a sample before this one."""
        return self._windowing.start_sample if self._windowing else self.start_sample

    def hand_over(self, successor: "Utterance") -> None:
        """Let the next utterance begin, now that the words of this one are known."""
        if not self.split:
            successor.begin(self.transcript.words_from(0))
            return
        latest = (self.end_sample or 0) - self._context
        start = cut_sample(self.known, latest, self.needed_sample)
        context = self.transcript.words_from(start)
        context_end = context[-1].end_sample if context else start
        if context_end < successor.start_sample:  # later words are left to the successor
            successor.start_sample = successor.speech_sample = context_end
        successor._start_windows(start, context)

    def _start_windows(self, start_sample: int, context: tuple[Word, ...]) -> None:
        first_after = self.start_sample + samples_of_ms(self._tuning.pre_roll_ms)
        self.transcript = Transcript(context, self.start_sample, self._tuning)
        self._windowing = Windowing(start_sample, first_after, self._tuning)

    def _finish_if_covered(self) -> None:
        if self._windowing is None or self.end_sample is None:
            return
        if self._windowing.covered_sample >= self.end_sample:
            if self.split:
                self.transcript.commit_before(self.end_sample - SPLIT_GUARD)
                self.transcript.tentative = ()
            self.transcript.commit_all()
            self.finished = True
