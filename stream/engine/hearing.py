"""What was heard in a stretch of audio: its words, placed in time, and what speaks against them.

Pure functions from a decoded row to words and verdicts; no model runs here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import exp, inf

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import DecodingOptions, Window, Word
from stream.engine import guards
from stream.engine.alignment import EARLY_SAMPLES, SAMPLES_PER_POSITION, token_positions
from stream.engine.alignment_edges import set_edges
from stream.engine.rows import PAST_SPEECH_TOKENS, DecodeResult, Ending
from stream.engine.spelling import BROKEN, Decode, graphemes, split_words, spoken_tokens

UNCOVERED_S = 1.0
"""Speech without words that is worth a window of its own; word ends are off by less."""
TAIL_S = 0.25
"""So much speech after the last word, and a pause, is still that word."""
FIRST_LOOK_POSITIONS = 25
LEAST_PROGRESS_S = 0.5
LEAD_S = 0.2
"""Audio before the uncovered speech that goes with it, if no word is there."""
PASSED_OVER_S = 2.0
"""Speech without words between two words that is worth a window of its own."""
LONGEST_WORD_S = 3.0
"""What lasts longer is no word: it was given the time of what the model passed over."""
WORD_S = 0.5
"""What a word is left with then, on each side of where the decoder looked most."""

MAX_SAMPLES = 30 * SAMPLE_RATE
"""Whisper hears at most 30 s."""


class Fault(Enum):
    """A sign that a hypothesis is not what was said."""

    LOOP = "a phrase repeats without end"
    PAST_SPEECH = "words where no speech is"
    COMPRESSION = "the text repeats itself"
    UNSURE = "the words are guesses"
    TOO_MANY = "more words than the speech has time for"
    CROWDED = "words that were given no time"
    DIFFUSE = "words that were heard nowhere in particular"


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a window that is decoded in one go; at first all of it."""

    window: Window
    start_sample: int
    draft: tuple[int, ...] = ()
    stop_sample: int | None = None
    """Where it ends, if not with its window."""

    @property
    def end_sample(self) -> int:
        """Where it ends, or where Whisper hears no further."""
        return min(self.wanted_to_sample, self.start_sample + MAX_SAMPLES)

    @property
    def wanted_to_sample(self) -> int:
        """Where what is to be heard ends, whether or not Whisper reaches so far."""
        return self.window.end_sample if self.stop_sample is None else self.stop_sample

    @property
    def samples(self) -> NDArray[np.float32]:
        """(n_samples,) at 16 kHz."""
        first = self.start_sample - self.window.start_sample
        return self.window.samples[first : first + self.end_sample - self.start_sample]

    @property
    def speech(self) -> tuple[tuple[int, int], ...]:
        """Spans of speech within the stretch, in absolute samples."""
        return speech_within(self.window, self.start_sample, self.end_sample)

    @property
    def options(self) -> DecodingOptions:
        """What the client asked of the words."""
        return self.window.options


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The words of a stretch, and what speaks against them."""

    words: tuple[Word, ...]
    result: DecodeResult
    faults: frozenset[Fault]


def speech_within(
    window: Window, start_sample: int, end_sample: int
) -> tuple[tuple[int, int], ...]:
    """The window's spans of speech, or parts of them, from one sample to another."""
    return tuple(
        (max(start, start_sample), min(end, end_sample))
        for start, end in window.speech
        if end > start_sample and start < end_sample
    )


def length_s(spans: Sequence[tuple[int, int]]) -> float:
    """Seconds in spans of samples."""
    return sum(end - start for start, end in spans) / SAMPLE_RATE


def read(
    stretch: Stretch,
    result: DecodeResult,
    decode: Decode,
    text_end: int,
    diffuse_nats: float = inf,
) -> Heard:
    """Make words of a decoded row and judge them.

    Args:
        stretch: what was decoded.
        result: what the model said.
        decode: tokens to text.
        text_end: tokens from here on are special ones, timestamps among them.
        diffuse_nats: of the model, as `guards.spread_nats` counts it.
    """
    if result.no_speech > guards.NO_SPEECH and (
        result.mean_log_probability < guards.MEAN_LOG_PROBABILITY
    ):
        return Heard((), result, frozenset())
    starts = token_starts(stretch, result)
    words = place_words(stretch, result, starts, decode, text_end)
    faults = judge(stretch, result, starts, "".join(word.text for word in words))
    unsure = result.mean_log_probability < guards.SURE_LOG_PROBABILITY
    if unsure and spread(result) > diffuse_nats:
        faults |= {Fault.DIFFUSE}
    return Heard(words, result, faults)


def spread(result: DecodeResult) -> float:
    """How widely the decoder looked for its words, in nats; 0 where that is not known."""
    if result.attention is None:
        return 0.0
    return guards.spread_nats(result.attention[:, : len(result.tokens)])


def place_words(
    stretch: Stretch,
    result: DecodeResult,
    starts: Sequence[int],
    decode: Decode,
    text_end: int,
) -> tuple[Word, ...]:
    """The words of a row at absolute samples: in order, within the stretch."""
    spoken = [i for i, token in enumerate(result.tokens) if token < text_end]
    words: list[Word] = []
    looked: list[int] = []
    taken = 0
    for piece in split_words([result.tokens[i] for i in spoken], decode):
        if BROKEN in piece.text:
            break  # the row ended within a character
        rows = spoken[taken : taken + len(piece.tokens)]
        taken += len(piece.tokens)
        last = rows[spoken_tokens(piece, decode) - 1]
        confidence = sum(exp(result.log_probabilities[i]) for i in rows) / len(rows)
        words.append(Word(piece.text, starts[rows[0]], starts[last + 1], confidence, piece.tokens))
        looked.append(looked_at(stretch, result, rows))
    placed = within_speech(words, stretch.speech)
    placed = set_edges(placed, stretch.samples, stretch.start_sample)
    if result.mean_log_probability > guards.SURE_LOG_PROBABILITY:
        placed = tuple(as_long_as_a_word(w, at) for w, at in zip(placed, looked, strict=True))
    return tuple(part for word in placed for part in by_grapheme(word))


def looked_at(stretch: Stretch, result: DecodeResult, rows: Sequence[int]) -> int:
    """The absolute sample that the decoder looked at most while it chose the tokens of some rows.

    Not at the very beginning, where every first token looks as well as at its own sound.
    """
    if result.attention is None:
        return stretch.start_sample
    first = FIRST_LOOK_POSITIONS if rows[0] == 0 else 0
    weights = result.attention[:, rows].mean((0, 1))[first:]
    position = first + int(weights.argmax()) if len(weights) else 0
    return stretch.start_sample + EARLY_SAMPLES + position * SAMPLES_PER_POSITION


def as_long_as_a_word(word: Word, looked_at_sample: int) -> Word:
    """The word, or the part of it that the decoder looked at, where it lasts too long to be one.

    The path through the attention knows no gaps: what the model passed over goes to a neighbour.
    """
    if word.end_sample - word.start_sample <= LONGEST_WORD_S * SAMPLE_RATE:
        return word
    half = round(WORD_S * SAMPLE_RATE)
    start, end = (clamp(looked_at_sample + side, word) for side in (-half, half))
    return replace(word, start_sample=start, end_sample=end)


def by_grapheme(word: Word) -> Iterator[Word]:
    """The word, or its graphemes where its script has no spaces; each takes an equal time.

    One token may spell several of them: it goes with the first, so that all tokens in a row are
    still what the model said.
    """
    parts = graphemes(word.text)
    length = word.end_sample - word.start_sample
    for i, text in enumerate(parts):
        yield replace(
            word,
            text=text,
            start_sample=word.start_sample + length * i // len(parts),
            end_sample=word.start_sample + length * (i + 1) // len(parts),
            tokens=() if i else word.tokens,
        )


def within_speech(words: list[Word], speech: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """The words, the silence before the first and after the last taken off them.

    The path through the attention begins and ends in the corners, so the first word takes up the
    silence before it.
    """
    if words and speech:
        first = words[0]
        words[0] = replace(first, start_sample=clamp(speech[0][0], first))
        last = words[-1]
        words[-1] = replace(last, end_sample=clamp(speech[-1][1], last))
    return tuple(words)


def clamp(sample: int, word: Word) -> int:
    """The sample, or the end of the word that is nearer to it."""
    return max(word.start_sample, min(sample, word.end_sample))


def token_starts(stretch: Stretch, result: DecodeResult) -> list[int]:
    """The absolute sample at which each token begins, and after the last one where it ends."""
    if result.attention is None:
        positions = [0] * len(result.tokens)
    else:
        positions = token_positions(result.attention).tolist()
    first = stretch.start_sample + EARLY_SAMPLES
    starts = [first + p * SAMPLES_PER_POSITION for p in positions]
    starts += [stretch.end_sample] * (len(result.tokens) + 1 - len(starts))
    return [min(start, stretch.end_sample) for start in starts]


def judge(
    stretch: Stretch, result: DecodeResult, starts: Sequence[int], text: str
) -> frozenset[Fault]:
    """All that speaks against a result."""
    too_many = guards.too_many_tokens(len(result.tokens), length_s(stretch.speech))
    signs = {
        Fault.LOOP: result.ending is Ending.LOOP,
        Fault.PAST_SPEECH: result.ending is Ending.PAST_SPEECH,
        Fault.COMPRESSION: guards.compression_ratio(text) > guards.COMPRESSION_RATIO,
        Fault.UNSURE: result.mean_log_probability < guards.MEAN_LOG_PROBABILITY,
        Fault.TOO_MANY: too_many or result.ending is Ending.BUDGET,
        Fault.CROWDED: any(guards.crowded([start / SAMPLE_RATE for start in starts])),
    }
    return frozenset(fault for fault, seen in signs.items() if seen)


def better(first: Heard, second: Heard) -> Heard:
    """Of two attempts the one with fewer faults; then the one that was surer of its tokens."""
    if len(first.faults) != len(second.faults):
        return min(first, second, key=lambda heard: len(heard.faults))
    return max(first, second, key=lambda heard: heard.result.mean_log_probability)


def without_invention(heard: Heard) -> Heard:
    """The words less what a fault that is still there says was never spoken."""
    tokens = [token for word in heard.words for token in word.tokens]
    words = heard.words
    if Fault.LOOP in heard.faults:
        words = words_within(words, len(guards.without_loop(tokens)))
    elif Fault.PAST_SPEECH in heard.faults:
        words = words_within(words, len(tokens) - PAST_SPEECH_TOKENS)
    elif Fault.CROWDED in heard.faults:
        # Of a phrase said twice one copy has its time and the other none.
        words = tuple(w for w in words if w.end_sample - w.start_sample > SAMPLES_PER_POSITION)
    elif heard.faults & {Fault.TOO_MANY, Fault.COMPRESSION}:
        words = ()
    if heard.faults & {Fault.UNSURE, Fault.DIFFUSE}:
        words = ()  # guesses: what noise is given, and speech that is beyond the model
    return replace(heard, words=words)


def words_within(words: Sequence[Word], n_tokens: int) -> tuple[Word, ...]:
    """The words that are complete in the first tokens."""
    kept = []
    for word in words:
        n_tokens -= len(word.tokens)
        if n_tokens < 0:
            break
        kept.append(word)
    return tuple(kept)


def unheard(stretch: Stretch, heard: Heard) -> Iterator[Stretch]:
    """What is still to be decoded of a stretch, each part on its own."""
    yield from passed_over(stretch, heard)
    rest = rest_of(stretch, heard)
    if rest is not None:
        yield rest


def passed_over(stretch: Stretch, heard: Heard) -> Iterator[Stretch]:
    """The speech before a word, back to the word before it, where there is much of it.

    Now and then Whisper begins with the last sentence of a long window, or leaves one out.
    """
    end = stretch.start_sample
    for word in heard.words:
        between = speech_within(stretch.window, end, word.start_sample)
        if length_s(between) > PASSED_OVER_S:
            yield Stretch(stretch.window, end, (), word.start_sample)
        end = word.end_sample


def rest_of(stretch: Stretch, heard: Heard) -> Stretch | None:
    """The speech after the last word, where there is much of it."""
    end = heard.words[-1].end_sample if heard.words else stretch.end_sample
    uncovered = speech_within(stretch.window, end, stretch.wanted_to_sample)
    if length_s(uncovered) <= UNCOVERED_S:
        return None
    if len(uncovered) > 1 and length_s(uncovered[:1]) < TAIL_S:
        uncovered = uncovered[1:]
    start = max(end, uncovered[0][0] - round(LEAD_S * SAMPLE_RATE))
    if start - stretch.start_sample < LEAST_PROGRESS_S * SAMPLE_RATE:
        return None  # its rest would be much the same stretch once more
    said = tuple(token for word in heard.words for token in word.tokens)
    follows = stretch.draft[: len(said)] == said
    draft = stretch.draft[len(said) :] if follows else ()
    return replace(stretch, start_sample=start, draft=draft)
