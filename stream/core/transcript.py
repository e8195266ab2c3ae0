"""The words of one utterance: committed ones that never change, tentative ones that may.

A word is committed if everything before it is, if two consecutive hypotheses agree on it (local
agreement, Liu, Spanakis and Niehues 2020; Macháček, Dabre and Bojar 2023 for Whisper), and if a
hypothesis covers enough audio after it, most of a second. If the model's confidence in the word is
low, or if hypotheses do not agree on it, much more audio is needed. If the confidence is very high,
one hypothesis and half a second are enough, because such words change just as rarely. The last word
of a hypothesis is committed only after another word follows it: the model ends its sentence where
the audio ends, and "transcribe." may become "transcription of".

Only the tentative words that are likely to stay are shown: those on which two hypotheses agree, and
the words after them that have enough confidence and do not touch the end of the window. Shown words
are replaced only if two hypotheses agree on others in their place, because after one hypothesis
that differs, the next one often returns to the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.overlap_merge import first_new_word, normalise
from stream.core.settings import SessionTuning
from stream.core.windows import Word

SENTENCE = 4
"""Number of words. If two hypotheses agree on this many, an empty hypothesis does not remove them:
Whisper sometimes recognises nothing in a long window. Fewer words may have been noise."""
RUN_UP = 2 * SAMPLE_RATE
"""Samples at the beginning of a window in which the words of an earlier window are retained,
because that earlier window had more context before them."""


class Transcript:
    """Holds the words of an utterance, and updates them with the hypothesis of each window."""

    def __init__(
        self,
        context: Sequence[Word] = (),
        start_sample: int = 0,
        tuning: SessionTuning | None = None,
    ) -> None:
        """Start without words of the utterance.

        Args:
            context: words of the previous utterance, which the first windows of this utterance
                include. The words of this utterance are those after the last context word; if a
                hypothesis does not contain that word, those after `start_sample`.
            start_sample: first sample of the utterance.
            tuning: tuning of the server; None for the defaults.
        """
        self._context = tuple(context)
        self._start_sample = start_sample
        self._tuning = tuning or SessionTuning()
        self._agreed = 0  # number of leading tentative words that two hypotheses share
        self._end_alike = False  # whether both hypotheses end after these words
        self._covered_sample = 0
        self._seen: tuple[Word, ...] = ()  # committed and shown before the last hypothesis
        self.committed: tuple[Word, ...] = ()
        self.tentative: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, committed and tentative."""
        return self.committed + self.tentative

    @property
    def shown(self) -> tuple[Word, ...]:
        """The tentative words that are shown to the user."""
        if not self._keeps_shown:
            return self._likely
        floor = self.committed[-1].end_sample if self.committed else 0
        return monotone(self._seen[len(self.committed) :], floor)

    @property
    def _keeps_shown(self) -> bool:
        """Whether the words shown before stay on display instead of those of the last hypothesis.

        If two hypotheses differ, the next one returns to the first about half of the time. So shown
        words are replaced only if two hypotheses agree on others in their place, or by the final.
        """
        same = agreement(self._seen, self.committed + self._likely)
        # How many words two hypotheses agree on; an end that they agree on counts as one.
        agreed_twice = len(self.committed) + self._agreed + self._end_alike
        return agreed_twice <= same < len(self._seen)

    @property
    def _likely(self) -> tuple[Word, ...]:
        """The leading tentative words that are likely to stay."""
        edge = self._covered_sample - samples_of_ms(self._tuning.edge_ms)
        count = self._agreed
        for word in self.tentative[count:]:
            begun = self.committed or count
            least = self._tuning.shown_from if begun else self._tuning.first_shown_from
            if word.confidence < least or word.end_sample > edge:
                break
            count += 1
        return self.tentative[:count]

    def receive(
        self, hypothesis: Sequence[Word], window_start: int, window_end: int, *, commit: bool = True
    ) -> None:
        """Join a hypothesis to the words so far, and commit the words that it makes certain.

        Args:
            hypothesis: the words of a window.
            window_start: the first sample of the window.
            window_end: the sample after it.
            commit: whether words may be committed; False if a later hypothesis must confirm them.
        """
        self._seen = self.committed + self.shown
        agreed = self.tentative[: self._agreed]
        retained = retained_words(agreed, window_start)
        fresh = retained + self._new_words(hypothesis, window_start, retained)
        if not hypothesis and len(agreed) >= SENTENCE and not self._guesses(agreed):
            fresh = agreed
        self._agreed = agreement(self.tentative, fresh)
        self._end_alike = self._agreed == len(self.tentative) == len(fresh)
        self._covered_sample = window_end
        self.tentative = fresh
        if commit and not self._guesses(hypothesis):
            self._commit(min(self._n_certain(), len(fresh) - 1))

    def forget_tentative(self) -> None:
        """Drop the tentative words, so that the next hypothesis is not compared with them."""
        self.tentative = ()
        self._agreed = 0

    def commit_before(self, sample: int) -> None:
        """Commit the leading tentative words that end at or before the sample."""
        count = 0
        while count < len(self.tentative) and self.tentative[count].end_sample <= sample:
            count += 1
        self._commit(count)

    def commit_all(self) -> None:
        """Commit all tentative words, because no more audio can change them."""
        self._commit(len(self.tentative))

    def words_from(self, sample: int) -> tuple[Word, ...]:
        """Return the words that end after the sample and are unlikely to change.

        These are words of the context, committed words, and the leading tentative words on which
        two hypotheses agree.
        """
        standing = self._context + self.committed + self.tentative[: self._agreed]
        return tuple(word for word in standing if word.end_sample > sample)

    def _new_words(
        self, hypothesis: Sequence[Word], window_start: int, retained: tuple[Word, ...]
    ) -> tuple[Word, ...]:
        before = self._context + self.committed + retained
        settled = [word for word in before if word.end_sample > window_start]
        fresh = hypothesis[first_new_word(settled, hypothesis, self._start_sample) :]
        last = before[-1:]
        # A word whose time lies in the pause before the utterance is moved to `_start_sample`.
        return monotone(fresh, max(self._start_sample, last[0].end_sample if last else 0))

    def _guesses(self, words: Sequence[Word]) -> bool:
        """Return whether the mean confidence of words is below `guesses_below`.

        This happens in noise, such as that of many voices.
        """
        sure = sum(word.confidence for word in words)
        return sure < self._tuning.guesses_below * len(words)

    def _n_certain(self) -> int:
        """Return how many leading tentative words are followed by enough covered audio."""
        for count, word in enumerate(self.tentative):
            delay_ms = self._delay_ms(word, agreed=count < self._agreed)
            if word.end_sample > self._covered_sample - samples_of_ms(delay_ms):
                return count
        return len(self.tentative)

    def _delay_ms(self, word: Word, *, agreed: bool) -> int:
        """Return the milliseconds of audio that must be covered after a word to commit it."""
        tuning = self._tuning
        if word.confidence >= tuning.sure_from:
            return tuning.sure_delay_ms
        sure = agreed and word.confidence >= tuning.unsure_below
        return tuning.commit_delay_ms if sure else tuning.unsure_delay_ms

    def _commit(self, count: int) -> None:
        if count > 0:
            self.committed += self.tentative[:count]
            self.tentative = self.tentative[count:]
            self._agreed = max(self._agreed - count, 0)


def retained_words(agreed: tuple[Word, ...], window_start: int) -> tuple[Word, ...]:
    """Return the agreed words that the hypothesis of a later window must not change.

    These are the words before the window, and those in its first seconds (`RUN_UP`), for which the
    window has little context. Returns none if the window includes the first agreed word.
    """
    if not agreed or agreed[0].end_sample > window_start:
        return ()
    return tuple(word for word in agreed if word.end_sample <= window_start + RUN_UP)


def agreement(before: Sequence[Word], now: Sequence[Word]) -> int:
    """Return the number of leading words that are equal, ignoring case and punctuation."""
    count = 0
    for one, other in zip(before, now, strict=False):
        if normalise(one.text) != normalise(other.text):
            break
        count += 1
    return count


def monotone(words: Iterable[Word], floor: int) -> tuple[Word, ...]:
    """Return the words, with later times where needed, so that none overlaps the word before it.

    No word starts before the sample `floor`.
    """
    ordered = []
    for word in words:
        start = max(word.start_sample, floor)
        floor = max(word.end_sample, start)
        ordered.append(replace(word, start_sample=start, end_sample=floor))
    return tuple(ordered)


def text_of(words: Iterable[Word]) -> str:
    """Return the words as one text, as the model spells them, without space around it."""
    return "".join(word.text for word in words).strip()
