"""Tells a repetition that was spoken from one that the model invented.

People repeat themselves: a refrain, a countdown, "please hold". So does the model, without end. The
audio decides: each copy of a phrase takes about as long as the others, and copies that were not
spoken find no audio, so that the path through the attention crowds their words together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low

from stream.core.overlap_merge import normalise
from stream.core.windows import Word
from stream.engine.decoding.guards import TOKENS_PER_S
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import length_s, speech_within

LONGEST_PHRASE = 48
"""Words in the longest phrase whose copies are compared."""
LETTERS_PER_S = 25.0
"""Most letters for a second of a phrase that is repeated. Fast speech has about 20; the copies that
a model invents share the time of one."""
LEAST_WORDS = 3
"""Words in the shortest phrase of which a missing copy is found by the time of the others."""
LEAST_SHARE = 0.5
"""A copy in less time than this share of the usual time of a copy was not spoken."""
NO_TIME = SAMPLES_PER_POSITION
"""Samples; a word that is not longer has no audio of its own."""
SHARE_OF_TWO = 1.6
"""A copy in more than this share of the usual time may hold a second one."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """A phrase that is repeated: `copies` times `period` words, from word `first` on."""

    first: int
    period: int
    copies: int

    @property
    def end(self) -> int:
        """The index of the word after the last copy."""
        return self.first + self.period * self.copies

    def copy(self, number: int) -> range:
        """Return the indices of the words of a copy."""
        start = self.first + number * self.period
        return range(start, start + self.period)


def repetitions(words: Sequence[Word]) -> Iterator[Repetition]:
    """Yield the repetitions in a text, from left to right, without overlaps."""
    texts = [normalise(word.text) for word in words]
    first = 0
    while first < len(texts):
        found = longest_from(texts, first)
        if found is None:
            first += 1
            continue
        yield found
        first = found.end


def longest_from(texts: Sequence[str], first: int) -> Repetition | None:
    """Return the repetition from `first` on that covers most words, of the shortest phrase."""
    best: Repetition | None = None
    for period in range(1, min(LONGEST_PHRASE, (len(texts) - first) // 2) + 1):
        same = 0
        while (
            first + period + same < len(texts)
            and texts[first + same] == texts[first + period + same]
        ):
            same += 1
        copies = 1 + same // period
        if copies > 1 and (best is None or copies * period > best.copies * best.period):
            best = Repetition(first, period, copies)
    return best


@dataclass(frozen=True, slots=True)
class Account:
    """The audio of the copies of a phrase."""

    without_audio: frozenset[int]
    """Indices of the words of copies for which there is no audio."""
    copies_left: float
    """How many more copies there is audio for than were recognised."""


def without_audio(words: Sequence[Word], speech: Sequence[tuple[int, int]]) -> frozenset[int]:
    """Return the indices of the words of copies for which there is no audio.

    Args:
        words: of a span, with their times.
        speech: the spans of speech in it, in absolute samples.
    """
    silent = frozenset(copies_at_end(words))
    for repetition in repetitions(words):
        silent |= account(words, repetition, speech).without_audio
    return silent


def copies_at_end(words: Sequence[Word]) -> range:
    """Return the indices of the last words, if they have no time and repeat the words before them.

    They may be a part of a copy: "my card, yes, my card, yes, my card" has two copies of four words
    and a rest, which needs time as well.
    """
    texts = [normalise(word.text) for word in words]
    first = len(words)
    while first and words[first - 1].end_sample - words[first - 1].start_sample <= NO_TIME:
        first -= 1
    for length in range(min(len(words) - first, first), 1, -1):
        if is_copy(texts, first, length):
            return range(first, first + length)
    return range(0)


def is_copy(texts: Sequence[str], first: int, length: int) -> bool:
    """Return whether `length` words from `first` on are equal to those before them."""
    return texts[first : first + length] == texts[first - length : first]


def lacks_copies(words: Sequence[Word], speech: Sequence[tuple[int, int]]) -> bool:
    """Return whether a phrase was spoken more often than it was recognised.

    The path through the attention then gives the audio of a missing copy to the one beside it.
    Phrases of one or two words are too short to tell.
    """
    return any(
        repetition.period >= LEAST_WORDS
        and account(words, repetition, speech).copies_left > LEAST_SHARE
        for repetition in repetitions(words)
    )


def account(
    words: Sequence[Word], repetition: Repetition, speech: Sequence[tuple[int, int]]
) -> Account:
    """Compare the copies of a phrase with the audio that they are aligned to.

    A copy may share the audio of the one before it, if that one is as long as two.
    """
    copies = [repetition.copy(number) for number in range(repetition.copies)]
    times = [
        length_s(speech_within(speech, words[copy[0]].start_sample, words[copy[-1]].end_sample))
        for copy in copies
    ]
    least = least_s([words[i] for i in copies[0]])
    possible = [time for time in times if time >= least]
    if not possible:
        return Account(frozenset(i for copy in copies[1:] for i in copy), 0.0)
    usual = median_low(possible)
    silent: set[int] = set()
    spare = 0.0
    for copy, time in zip(copies, times, strict=True):
        share = time / usual
        if share >= LEAST_SHARE or copy == copies[0]:
            spare += share - 1 if share >= SHARE_OF_TWO else 0
        elif spare + share >= LEAST_SHARE:
            spare += share - 1
        else:
            silent.update(copy)
    return Account(frozenset(silent), spare)


def least_s(phrase: Sequence[Word]) -> float:
    """Return the shortest time in which a phrase can be spoken, in seconds."""
    tokens = sum(len(word.tokens) for word in phrase)
    letters = sum(len(normalise(word.text)) for word in phrase)
    return max(tokens / TOKENS_PER_S, letters / LETTERS_PER_S)


def repeated_words(words: Sequence[Word]) -> Iterator[int]:
    """Yield the indices of the words of all copies but the first of each repetition."""
    for repetition in repetitions(words):
        for number in range(1, repetition.copies):
            yield from repetition.copy(number)
