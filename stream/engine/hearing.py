"""What was heard in a stretch of audio: its words, placed in time, and what speaks against them.

Pure functions from a decoded row to words and verdicts; no model runs here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import Word
from stream.engine import guards
from stream.engine.alignment import SAMPLES_PER_POSITION
from stream.engine.placing import place_words, token_starts
from stream.engine.rows import PAST_SPEECH_TOKENS, DecodeResult, Ending
from stream.engine.spelling import Decode
from stream.engine.stretches import Stretch, length_s


class Fault(Enum):
    """A sign that a hypothesis is not what was said."""

    LOOP = "a phrase repeats without end"
    PAST_SPEECH = "words where no speech is"
    COMPRESSION = "the text repeats itself"
    UNSURE = "the words are guesses"
    TOO_MANY = "more words than the speech has time for"
    CROWDED = "words that were given no time"
    DIFFUSE = "words that were heard nowhere in particular"


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The words of a stretch, and what speaks against them."""

    words: tuple[Word, ...]
    result: DecodeResult
    faults: frozenset[Fault]


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
