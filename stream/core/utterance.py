"""One utterance, from its onset to its final.

It is *open* while speech goes on, *closed* once its end is known, and *finished* when a hypothesis
covers all of it. The next utterance requests no windows until this one is finished: its windows
begin with the last words of this one, because the model recognises a sentence better with the
previous one. An utterance that is too long without a pause is *split*: it is closed in the middle
of the speech and contains the words that end at least a second before that point; the next
utterance gets the later words.
"""

from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.overlap_merge import midpoint
from stream.core.settings import SessionTuning
from stream.core.transcript import Transcript
from stream.core.window_planning import Span, Windowing, context_sample, cut_sample
from stream.core.windows import DroppedWord, EngineTiming, Hypothesis, WindowKind, Word

SPLIT_GUARD = SAMPLE_RATE
"""Samples before a split; a word in them may be incomplete, so the next utterance gets it."""


class Utterance:
    """Determines the windows of one utterance, and collects its words from their hypotheses.

    It handles sample indices, but no audio.
    """

    def __init__(
        self, index: int, start_sample: int, speech_sample: int, tuning: SessionTuning
    ) -> None:
        self.index = index
        self.start_sample = start_sample
        self.speech_sample = speech_sample
        """The sample at which the speech begins, after the pre-roll."""
        self.end_sample: int | None = None
        """The sample at which the audio to transcribe ends; None while the utterance is open."""
        self.speech_end_sample = start_sample
        self.decided_sample = start_sample
        """Number of samples that had been classified when the end was decided."""
        self.split = False
        self.finished = False
        self.revision = 0
        self.language = ""
        self.timing = EngineTiming()
        self._dropped: tuple[DroppedWord, ...] = ()  # by guards, from the last hypothesis
        self._kept: set[str] = set()  # codes of guards whose words were kept
        self._dropped_before: tuple[DroppedWord, ...] = ()  # by guards, before the last cut
        self.transcript = Transcript(tuning=tuning)
        self._tuning = tuning
        self._overlap = round(tuning.overlap_s * SAMPLE_RATE)
        self._context = round(tuning.context_s * SAMPLE_RATE)
        self._context_pause = round(tuning.context_pause_s * SAMPLE_RATE)
        self._windowing: Windowing | None = None
        self._last_words: tuple[Word, ...] = ()  # of the last hypothesis
        self._last_start = start_sample  # of the window of that hypothesis

    def begin(self, before: tuple[Word, ...] = ()) -> None:
        """Start to request windows.

        Args:
            before: last words of the previous utterance; the windows include those that are recent
                enough as context.
        """
        start = context_sample(before, self.start_sample, self._context, self._context_pause)
        self._start_windows(start, tuple(word for word in before if word.end_sample > start))

    def close(self, speech_end: int, decided: int, *, pause: bool, split: bool = False) -> None:
        """Set the end of the utterance.

        Args:
            speech_end: the sample after the last speech.
            decided: the sample at which the end was decided.
            pause: whether silence ended the utterance; then only `tail_ms` of that silence are
                transcribed. Otherwise all audio up to `decided` is.
            split: whether speech goes on in the next utterance.
        """
        tail = samples_of_ms(self._tuning.tail_ms)
        self.speech_end_sample = speech_end
        self.decided_sample = decided
        self.end_sample = min(decided, speech_end + tail) if pause else decided
        self.split = split
        self._finish_if_covered()

    def next_span(
        self, now: int, speech_end: int, hops: int | None, endpointing_ms: int
    ) -> Span | None:
        """Return the span of the window that is due, and record it as in flight; None if none is.

        Args:
            now: sample up to which the voice detector has classified the audio.
            speech_end: the sample after the last speech so far.
            hops: factor of the usual amount of new audio that makes a partial due; None for no
                partials.
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
        """Whether the utterance has words to show."""
        return bool(self.transcript.committed or self.transcript.shown)

    @property
    def _hop(self) -> int:
        """New audio, in samples, that makes a partial due: less until there are words to show.

        After that, a longer hop is better: hypotheses a second apart agree by chance less often. If
        no words were recognised for a long time, as in a noise of voices, the hop is a quarter of
        that time, at most `wordless_hop_ms`.
        """
        tuning, words = self._tuning, self.transcript.words
        first_hop_ms = min(tuning.first_hop_ms, tuning.partial_hop_ms)
        hop_ms = tuning.partial_hop_ms if self.readable else first_hop_ms
        words_end = words[-1].end_sample if words else self.speech_sample
        wordless = self.covered_sample - words_end
        return max(samples_of_ms(hop_ms), min(wordless // 4, samples_of_ms(tuning.wordless_hop_ms)))

    @property
    def problems(self) -> tuple[str, ...]:
        """Codes of the guards that removed words without a replacement.

        They include those of guards whose words were kept because nothing would have been left.
        """
        codes = {
            word.guard
            for word in (*self._dropped_before, *self._dropped)
            if self.start_sample <= word.sample < self.speech_end_sample
            and not any(
                known.start_sample <= word.sample < known.end_sample
                for known in self.transcript.words
            )
        }
        return tuple(sorted(codes | self._kept))

    def draft(self, start_sample: int) -> tuple[int, ...]:
        """Return the draft for a window that starts at this sample.

        The draft is the tokens of the known words and of the last hypothesis within the window.
        """
        before = (word for word in self.known if midpoint(word) < self._last_start)
        words = (word for word in (*before, *self._last_words) if word.start_sample >= start_sample)
        return tuple(token for word in words for token in word.tokens)

    def receive(self, hypothesis: Hypothesis) -> None:
        """Take the hypothesis of one of this utterance's windows."""
        window = hypothesis.window
        if self._windowing is None or self.finished or window.end_sample < self.covered_sample:
            return  # a partial that arrives after the final that includes it
        full = self._windowing.answered(window.start_sample, window.end_sample)
        if not hypothesis.failure:
            commit = self._tuning.commit_partials or window.kind is WindowKind.FINAL
            if hypothesis.language != self.language:
                self.transcript.forget_tentative()  # words of two languages do not agree
                # A language that was detected only once may be wrong, even if the confidence of the
                # words is high.
                commit = commit and window.options.language != "auto"
            self._last_words, self._last_start = hypothesis.words, window.start_sample
            self.language = hypothesis.language
            self.timing = hypothesis.timing
            self._dropped = hypothesis.dropped
            self._kept = set(hypothesis.problems)
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
        """Start no later window before the utterance: the context is in another language."""
        if self._windowing is not None:
            self._windowing.start_sample = max(self.start_sample, self._windowing.start_sample)

    @property
    def known(self) -> tuple[Word, ...]:
        """The words of utterance and context that a later window may include."""
        return self.transcript.words_from(self.needed_sample)

    @property
    def covered_sample(self) -> int:
        """The sample up to which hypotheses cover the utterance."""
        return self._windowing.covered_sample if self._windowing else self.start_sample

    @property
    def needed_sample(self) -> int:
        """The first sample that a later window may include."""
        return self._windowing.start_sample if self._windowing else self.start_sample

    def hand_over(self, successor: "Utterance") -> None:
        """Let the next utterance request windows, with the last words of this one as context.

        After a split, the successor also takes over the words after the split.
        """
        if not self.split:
            successor.begin(self.transcript.words_from(0))
            return
        latest = (self.end_sample or 0) - self._context
        start = cut_sample(self.known, latest, self.needed_sample)
        context = self.transcript.words_from(start)
        context_end = context[-1].end_sample if context else start
        if context_end < successor.start_sample:
            # Words between the context and the split are the successor's: it begins earlier.
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
