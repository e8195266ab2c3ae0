"""The words of one utterance: committed ones that never change, tentative ones that may.

A word is committed when everything before it is, two consecutive hypotheses agree on it (local
agreement, Liu, Spanakis and Niehues 2020; Macháček, Dabre and Bojar 2023 for Whisper) and enough of
what follows it was heard: most of a second. Where the model is unsure of the word, or says another
each time, that is much longer; where it is very sure one hypothesis and half a second are enough:
such words change as seldom. The last word of a hypothesis waits for company: the model ends its
sentence where the audio ends, and "transcribe." may become "transcription of".

Of the tentative words those are shown that are likely to stay: what two hypotheses agree on, and
beyond it what the model is fairly sure of and heard to the end. What is shown is replaced when the
same is heard twice in its place: of two hypotheses that differ the next often returns to the first.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.overlap_merge import first_new_word, normalise
from stream.core.settings import SessionTuning
from stream.core.windows import Word

SENTENCE = 4
"""So many words that two hypotheses agree on do not vanish: a model that hears nothing in a long
window, as Whisper now and then does, has failed. In noise it is a word or two that come and go."""
RUN_UP = 2 * SAMPLE_RATE
"""Samples at the beginning of a window in which words were heard better before."""


class Transcript:
    """Takes hypotheses of growing or sliding windows; knows nothing of audio or windows.

    `context` are words of the utterance before, which this one's first windows hear again. What
    follows the last of them is this one's; where that is heard differently this time, what is heard
    before `start_sample` is theirs.
    """

    def __init__(
        self,
        context: Sequence[Word] = (),
        start_sample: int = 0,
        tuning: SessionTuning | None = None,
    ) -> None:
        self._context = tuple(context)
        self._start_sample = start_sample
        self._tuning = tuning or SessionTuning()
        self._agreed = 0  # leading tentative words that two hypotheses share,
        self._end_alike = False  # and whether both end there
        self._heard_to = 0
        self._seen: tuple[Word, ...] = ()  # what readers saw before the last hypothesis
        self.committed: tuple[Word, ...] = ()
        self.tentative: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """All words as they stand."""
        return self.committed + self.tentative

    @property
    def shown(self) -> tuple[Word, ...]:
        """The words behind the committed ones that are fit to be read."""
        if not self._holds:
            return self._likely
        floor = self.committed[-1].end_sample if self.committed else 0
        return monotone(self._seen[len(self.committed) :], floor)

    @property
    def _holds(self) -> bool:
        """Whether readers go on seeing what they see, against what was heard last.

        Where two hypotheses contradict each other, the next one as often as not returns to the
        first: what is seen goes when the same is heard twice in its place, or with the final.
        """
        same = agreement(self._seen, self.committed + self._likely)
        # So many words were heard twice; an end that was heard twice counts as one.
        heard_twice = len(self.committed) + self._agreed + self._end_alike
        return heard_twice <= same < len(self._seen)

    @property
    def _likely(self) -> tuple[Word, ...]:
        """The leading tentative words that are likely to stay."""
        edge = self._heard_to - samples_of_ms(self._tuning.edge_ms)
        count = self._agreed
        for word in self.tentative[count:]:
            begun = self.committed or count
            least = self._tuning.shown_from if begun else self._tuning.first_shown_from
            if word.confidence < least or word.end_sample > edge:
                break
            count += 1
        return self.tentative[:count]

    def receive(
        self, heard: Sequence[Word], window_start: int, window_end: int, *, commit: bool = True
    ) -> None:
        """Join a hypothesis to what stands, and commit the words that it makes certain.

        Without `commit` none are, as where it will be verified.
        """
        self._seen = self.committed + self.shown
        agreed = self.tentative[: self._agreed]
        kept = kept_from(agreed, window_start)
        fresh = kept + self._fresh(heard, window_start, kept)
        if not heard and len(agreed) >= SENTENCE and not self._guesses(agreed):
            fresh = agreed
        self._agreed = agreement(self.tentative, fresh)
        self._end_alike = self._agreed == len(self.tentative) == len(fresh)
        self._heard_to = window_end
        self.tentative = fresh
        if commit and not self._guesses(heard):
            self._commit(min(self._ripe(), len(fresh) - 1))

    def forget_tentative(self) -> None:
        """Let no word that is not committed count for what the next hypothesis agrees on."""
        self.tentative = ()
        self._agreed = 0

    def commit_before(self, sample: int) -> None:
        """Commit the tentative words that end by the sample: the window must be cut there."""
        count = 0
        while count < len(self.tentative) and self.tentative[count].end_sample <= sample:
            count += 1
        self._commit(count)

    def commit_all(self) -> None:
        """Commit what is tentative: no more audio can change it."""
        self._commit(len(self.tentative))

    def words_from(self, sample: int) -> tuple[Word, ...]:
        """Return the words that stand and end after the sample: all up to the last on which two
        hypotheses agree, context included."""
        standing = self._context + self.committed + self.tentative[: self._agreed]
        return tuple(word for word in standing if word.end_sample > sample)

    def _fresh(
        self, heard: Sequence[Word], window_start: int, kept: tuple[Word, ...]
    ) -> tuple[Word, ...]:
        before = self._context + self.committed + kept
        settled = [word for word in before if word.end_sample > window_start]
        fresh = heard[first_new_word(settled, heard, self._start_sample) :]
        last = before[-1:]
        # A word in the pause before the utterance is moved to its beginning.
        return monotone(fresh, max(self._start_sample, last[0].end_sample if last else 0))

    def _guesses(self, words: Sequence[Word]) -> bool:
        """Whether words are unsure on the whole, as what is heard in a crowd of voices."""
        sure = sum(word.confidence for word in words)
        return sure < self._tuning.guesses_below * len(words)

    def _ripe(self) -> int:
        """How many leading tentative words were heard with enough of what follows them."""
        for count, word in enumerate(self.tentative):
            delay_ms = self._delay_ms(word, agreed=count < self._agreed)
            if word.end_sample > self._heard_to - samples_of_ms(delay_ms):
                return count
        return len(self.tentative)

    def _delay_ms(self, word: Word, *, agreed: bool) -> int:
        """How much audio after a word is enough."""
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


def kept_from(agreed: tuple[Word, ...], window_start: int) -> tuple[Word, ...]:
    """Return the tentative words that stay as they are where a window begins among them.

    It does not hear the first of them, and the next ones without what was said before.
    """
    if not agreed or agreed[0].end_sample > window_start:
        return ()
    return tuple(word for word in agreed if word.end_sample <= window_start + RUN_UP)


def agreement(before: Sequence[Word], now: Sequence[Word]) -> int:
    """Return how many leading words two hypotheses share, case and punctuation aside."""
    count = 0
    for one, other in zip(before, now, strict=False):
        if normalise(one.text) != normalise(other.text):
            break
        count += 1
    return count


def monotone(words: Iterable[Word], floor: int) -> tuple[Word, ...]:
    """Return the words with times that never run backwards, from `floor` on."""
    kept = []
    for word in words:
        start = max(word.start_sample, floor)
        floor = max(word.end_sample, start)
        kept.append(replace(word, start_sample=start, end_sample=floor))
    return tuple(kept)


def text_of(words: Iterable[Word]) -> str:
    """Return the words as the model spells them, without the space before the first."""
    return "".join(word.text for word in words).strip()
