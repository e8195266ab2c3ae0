"""What was heard in a stretch of audio: its words, placed in time, and what speaks against them.

Pure functions from a decoded row to words and verdicts; no model runs here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Cut, Word
from stream.engine.decoding import guards
from stream.engine.decoding.rows import PAST_SPEECH_TOKENS, DecodeResult, Ending
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import Stretch, length_s
from stream.engine.words.spelling import Decode
from stream.engine.words.timing import place_words, token_starts


class Fault(Enum):
    """A sign that a hypothesis is not what was said."""

    LOOP = "a phrase repeats without end"
    PAST_SPEECH = "words where no speech is"
    COMPRESSION = "the text repeats itself"
    DOUBTFUL = "the model is not sure of the words"
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
    cut: Cut | None = None
    """Where the model wrote timestamps and broke off in the middle of a segment."""


def read(
    stretch: Stretch,
    result: DecodeResult,
    decode: Decode,
    timestamp_begin: int,
    diffuse_nats: float = inf,
) -> Heard:
    """Make words of a decoded row and judge them.

    Args:
        stretch: what was decoded.
        result: what the model said.
        decode: tokens to text.
        timestamp_begin: tokens from here on are timestamps.
        diffuse_nats: the model's limit, as `guards.diffuse` takes it.
    """
    if result.no_speech > guards.NO_SPEECH and (
        result.mean_log_probability < guards.MEAN_LOG_PROBABILITY
    ):
        return Heard((), result, frozenset())
    said = without_timestamps(result, timestamp_begin)
    starts = token_starts(stretch, said)
    words = place_words(stretch, said, starts, decode)
    faults = judge(stretch, said, starts, "".join(word.text for word in words))
    repeats = bool(faults & {Fault.LOOP, Fault.COMPRESSION})
    if is_diffuse(said, diffuse_nats, repeats):
        faults |= {Fault.DIFFUSE}
    return Heard(words, result, faults, cut_of(stretch, result.tokens, words, timestamp_begin))


def without_timestamps(result: DecodeResult, timestamp_begin: int) -> DecodeResult:
    """The result as if the model had written its text alone."""
    lines = [i for i, token in enumerate(result.tokens) if token < timestamp_begin]
    if len(lines) == len(result.tokens):
        return result
    tokens = tuple(result.tokens[i] for i in lines)
    lines += range(len(result.tokens), len(result.log_probabilities))  # of the end
    return replace(
        result,
        tokens=tokens,
        log_probabilities=tuple(result.log_probabilities[i] for i in lines),
        attention=None if result.attention is None else result.attention[:, lines],
    )


def cut_of(
    stretch: Stretch, tokens: Sequence[int], words: Sequence[Word], timestamp_begin: int
) -> Cut | None:
    """Where the last complete segment ended, if another one began after it.

    A timestamp ends a segment and the next begins it. Where a single one comes last nothing is
    said after it, and without two in a row all is one segment. (After openai/whisper.)
    """
    stamped = [token >= timestamp_begin for token in tokens]
    if stamped[-2:] == [False, True]:
        return None
    pairs = [i for i in range(len(tokens) - 1) if stamped[i] and stamped[i + 1]]
    if not pairs:
        return None
    complete = words_within(words, stamped[: pairs[-1]].count(False))
    position = tokens[pairs[-1]] - timestamp_begin  # a timestamp is an encoder position
    sample = stretch.start_sample + position * SAMPLES_PER_POSITION
    return Cut(len(complete), min(sample, stretch.end_sample))


def is_diffuse(result: DecodeResult, limit_nats: float, repeats: bool) -> bool:
    """Whether the words were heard nowhere in particular; not where that is not known."""
    if result.attention is None:
        return False
    attention = result.attention[:, : len(result.tokens)]
    return guards.diffuse(attention, result.mean_log_probability, limit_nats, repeats=repeats)


def judge(
    stretch: Stretch, result: DecodeResult, starts: Sequence[int], text: str
) -> frozenset[Fault]:
    """All that speaks against a result."""
    too_many = guards.too_many_tokens(len(result.tokens), length_s(stretch.speech))
    signs = {
        Fault.LOOP: result.ending is Ending.LOOP,
        Fault.PAST_SPEECH: result.ending is Ending.PAST_SPEECH,
        Fault.COMPRESSION: guards.compression_ratio(text) > guards.COMPRESSION_RATIO,
        Fault.DOUBTFUL: result.mean_log_probability < guards.SURE_LOG_PROBABILITY,
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
    cut = heard.cut
    if cut is not None:
        cut = replace(cut, words=sum(word in words for word in heard.words[: cut.words]))
    return replace(heard, words=words, cut=cut)


def words_within(words: Sequence[Word], n_tokens: int) -> tuple[Word, ...]:
    """The words that are complete in the first tokens."""
    kept = []
    for word in words:
        n_tokens -= len(word.tokens)
        if n_tokens < 0:
            break
        kept.append(word)
    return tuple(kept)
