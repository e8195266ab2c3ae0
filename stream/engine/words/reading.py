"""Makes readings of decoded rows: the words with their times, and the faults found in them.

All functions are pure; no model runs here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from math import inf
from statistics import median

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Cut, DroppedWord, WindowKind, Word
from stream.engine.decoding import guards
from stream.engine.decoding.rows import PAST_SPEECH_TOKENS, DecodeResult, Ending
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import AudioSpan, length_s
from stream.engine.words.repetition import (
    Repetition,
    lacks_copies,
    repeated_words,
    repetitions,
    without_audio,
)
from stream.engine.words.spelling import Decode
from stream.engine.words.timing import timed_words, token_starts


class Fault(Enum):
    """A sign that a hypothesis is wrong."""

    LOOP = "a phrase repeats without end"
    PAST_SPEECH = "words after the end of the speech"
    COMPRESSION = "the text repeats itself"
    DOUBTFUL = "a low probability of the words"
    UNSURE = "a very low probability of the words: they are guesses"
    TOO_MANY = "more words than the speech has time for"
    CROWDED = "words that are aligned to no audio"
    DIFFUSE = "words whose attention is spread over many voices"
    LACKING = "a phrase that was spoken more often than it was recognised"
    REPEATED = "copies of a phrase for which there is no audio"

    @property
    def code(self) -> str:
        """Its name in `problems` of a final and in the metrics."""
        return self.name.lower()


NO_SPEECH = "no_speech"
"""The code of the guard that removes improbable words where the model itself finds no speech."""


REPEATS = frozenset({Fault.LOOP, Fault.COMPRESSION, Fault.CROWDED, Fault.LACKING})
"""Faults of a text that repeats itself, but not as often as it was spoken."""


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The words of a span, and the faults found in them."""

    words: tuple[Word, ...]
    result: DecodeResult
    faults: frozenset[Fault]
    cut: Cut | None = None
    """Where the last complete segment ends, if the model wrote timestamps and the last segment is
    not complete."""
    dropped: tuple[DroppedWord, ...] = ()
    """The words that a guard removed."""
    diffusion_nats: float = -inf
    """How diffuse the attention of the words is (`guards.diffusion_nats`)."""
    peaks: tuple[int, ...] = ()
    """The absolute sample at which the attention of each word peaks."""
    may_be_speech: bool = False
    """Whether its words are not removed if they are guesses (`guards.may_be_speech`)."""
    problems: tuple[str, ...] = ()
    """Codes of the faults of words that were not removed, because nothing would be left."""

    @property
    def repeats(self) -> bool:
        """Whether it is sure of words that it repeats more or less often than they were spoken."""
        return self.confident and bool(self.faults & REPEATS)

    @property
    def confident(self) -> bool:
        """Whether the probability of the words is not low."""
        return self.result.mean_log_probability > guards.SURE_LOG_PROBABILITY


def read(
    span: AudioSpan,
    result: DecodeResult,
    decode: Decode,
    timestamp_begin: int,
    diffuse_nats: float = inf,
) -> Reading:
    """Return the words of a decoded row, and the faults found in them.

    Args:
        span: the span that was decoded.
        result: the decoded row.
        decode: returns the text of tokens.
        timestamp_begin: the first id of a timestamp token; all ids from there on are timestamps.
        diffuse_nats: the model's limit for `guards.diffusion_nats`; infinity disables that guard.
    """
    plain = without_timestamps(result, timestamp_begin)
    starts = token_starts(span, plain)
    words, peaks = timed_words(span, plain, starts, decode)
    speech_s = length_s(span.speech)
    if guards.is_no_speech(result.no_speech, result.mean_log_probability, speech_s):
        return Reading((), result, frozenset(), dropped=dropped_words(words, NO_SPEECH))
    faults = faults_of(span, plain, starts, "".join(word.text for word in words))
    repeats = bool(faults & {Fault.LOOP, Fault.COMPRESSION})
    if repeats and is_spoken_repetition(span, plain, words):
        # Its attention is not judged: each copy draws the attention of all of them.
        faults, repeats = faults - {Fault.COMPRESSION}, False
    confident = plain.mean_log_probability > guards.SURE_LOG_PROBABILITY
    if confident and lacks_copies(words, span.speech):
        faults |= {Fault.LACKING}
    if without_audio(words, span.speech):
        faults |= {Fault.REPEATED}
    nats = diffusion_nats(plain, repeats=repeats)
    if nats > diffuse_nats:
        faults |= {Fault.DIFFUSE}
    cut = cut_of(span, result.tokens, words, timestamp_begin)
    final = span.window.kind is not WindowKind.PARTIAL
    speech = final and guards.may_be_speech(len(plain.tokens), speech_s, nats, diffuse_nats)
    return Reading(
        words, result, faults, cut, diffusion_nats=nats, peaks=peaks, may_be_speech=speech
    )


def without_timestamps(result: DecodeResult, timestamp_begin: int) -> DecodeResult:
    """Return the result without its timestamp tokens."""
    rows = [i for i, token in enumerate(result.tokens) if token < timestamp_begin]
    if len(rows) == len(result.tokens):
        return result
    tokens = tuple(result.tokens[i] for i in rows)
    rows += range(len(result.tokens), len(result.log_probabilities))  # that of the end token
    return replace(
        result,
        tokens=tokens,
        log_probabilities=tuple(result.log_probabilities[i] for i in rows),
        attention=None if result.attention is None else result.attention[:, rows],
    )


def cut_of(
    span: AudioSpan, tokens: Sequence[int], words: Sequence[Word], timestamp_begin: int
) -> Cut | None:
    """Return the end of the last complete segment; None if no incomplete segment follows it.

    Two timestamps in a row are the end of a segment and the start of the next one. If the tokens
    end with a single timestamp, all segments are complete; without two timestamps in a row, there
    is only one segment. (The rules are those of openai/whisper.)
    """
    stamped = [token >= timestamp_begin for token in tokens]
    if stamped[-2:] == [False, True]:
        return None
    pairs = [i for i in range(len(tokens) - 1) if stamped[i] and stamped[i + 1]]
    if not pairs:
        return None
    complete = words_within(words, stamped[: pairs[-1]].count(False))
    position = tokens[pairs[-1]] - timestamp_begin  # a timestamp is an encoder position
    sample = span.start_sample + position * SAMPLES_PER_POSITION
    return Cut(len(complete), min(sample, span.end_sample))


def diffusion_nats(result: DecodeResult, *, repeats: bool) -> float:
    """Return how diffuse the words' attention is; minus infinity if there is no attention."""
    if result.attention is None:
        return -inf
    attention = result.attention[:, : len(result.tokens)]
    return guards.diffusion_nats(attention, result.mean_log_probability, repeats=repeats)


def faults_of(
    span: AudioSpan, result: DecodeResult, starts: Sequence[int], text: str
) -> frozenset[Fault]:
    """Return the faults of a result that are found without a limit that depends on the model.

    Args:
        span: the span that was decoded.
        result: the decoded row, without timestamps.
        starts: absolute samples of its tokens, from `token_starts`.
        text: the text of its tokens.
    """
    too_many = guards.too_many_tokens(len(result.tokens), length_s(span.speech))
    signs = {
        Fault.LOOP: result.ending is Ending.LOOP,
        Fault.PAST_SPEECH: result.ending is Ending.PAST_SPEECH,
        Fault.COMPRESSION: guards.compression_ratio(text) > guards.COMPRESSION_RATIO,
        Fault.DOUBTFUL: result.mean_log_probability < guards.SURE_LOG_PROBABILITY,
        Fault.UNSURE: result.mean_log_probability < guards.MEAN_LOG_PROBABILITY,
        Fault.TOO_MANY: too_many or result.ending is Ending.BUDGET,
        Fault.CROWDED: any(guards.crowded([start / SAMPLE_RATE for start in starts])),
    }
    return frozenset(fault for fault, found in signs.items() if found)


def better(first: Reading, second: Reading) -> Reading:
    """Return the reading with fewer faults, or of equal ones that with the higher log-probability.

    If these are equal as well, `first` is returned.
    """
    if len(first.faults) != len(second.faults):
        return min(first, second, key=lambda reading: len(reading.faults))
    return max(first, second, key=lambda reading: reading.result.mean_log_probability)


def is_spoken_repetition(span: AudioSpan, result: DecodeResult, words: Sequence[Word]) -> bool:
    """Return whether a text repeats itself because a speaker did: there is audio for each copy."""
    confident = result.mean_log_probability > guards.SURE_LOG_PROBABILITY
    repeated = any(repetitions(words))
    return confident and repeated and not without_audio(words, span.speech)


def without_invented_words(reading: Reading, speech: Sequence[tuple[int, int]]) -> Reading:
    """Return the reading without the words that its faults show to be invented.

    If a guard would remove all words although there is time for them in the speech, they are kept
    with its code in `problems`. Guesses and words of many voices are removed all the same, unless
    the guesses may be speech.

    Args:
        reading: of a span.
        speech: the spans of speech in it, in absolute samples.
    """
    words, guard, problem = reading.words, Fault.DOUBTFUL, None
    for fault, remove in REMOVALS.items():
        if fault in reading.faults:
            words, guard = remove(reading, speech), fault
            break
    if not words and has_time(reading, speech):
        words, problem = reading.words, guard
    for guess in (Fault.UNSURE, Fault.DIFFUSE):
        if guess in reading.faults and words:
            if guess is Fault.UNSURE and reading.may_be_speech:
                problem = guess
                continue
            words, guard, problem = (), guess, None  # noise, or many voices
    kept = set(map(id, words))
    removed = [word for word in reading.words if id(word) not in kept]
    cut = reading.cut
    if cut is not None:
        cut = replace(cut, words=sum(id(word) in kept for word in reading.words[: cut.words]))
    return replace(
        reading,
        words=words,
        cut=cut,
        dropped=dropped_words(removed, guard.code),
        problems=() if problem is None else (problem.code,),
    )


def has_time(reading: Reading, speech: Sequence[tuple[int, int]]) -> bool:
    """Return whether the words of a reading can be spoken in the time of the detected speech."""
    n_tokens = sum(len(word.tokens) for word in reading.words)
    return not guards.too_many_tokens(n_tokens, length_s(speech))


def dropped_words(words: Iterable[Word], guard: str) -> tuple[DroppedWord, ...]:
    """Return the words as dropped ones; `guard` is the code of the guard that removed them."""
    return tuple(DroppedWord(guard, (w.start_sample + w.end_sample) // 2) for w in words)


Speech = Sequence[tuple[int, int]]


def without_loop(reading: Reading, speech: Speech) -> tuple[Word, ...]:
    """Return the words up to the loop, and its copies that have audio.

    The last copy is left out in any case: the row was stopped, and its end is unknown. The speech
    after the words is decoded by itself.
    """
    tokens = [token for word in reading.words for token in word.tokens]
    last = next(reversed(list(repetitions(reading.words))), None)
    at_end = last is not None and last.end > len(reading.words) - last.period
    if last is None or not at_end or not reading.confident:
        return words_within(reading.words, len(guards.without_loop(tokens)))
    silent = without_audio(reading.words, speech)
    end = last.first + last.period * copies_that_follow(reading, last)
    complete = enumerate(reading.words[:end])
    return tuple(word for i, word in complete if i not in silent)


def copies_that_follow(reading: Reading, loop: Repetition) -> int:
    """Return the number of leading copies of a loop of which each attends to later audio.

    The last copy does not count, unless there is only one.
    """
    least = guards.LEAST_POSITIONS * SAMPLES_PER_POSITION
    for number in range(1, loop.copies - 1 if reading.peaks else 0):
        one, following = loop.copy(number - 1), loop.copy(number)
        n_tokens = sum(len(reading.words[i].tokens) for i in following)
        on = median(reading.peaks[i] for i in following) - median(reading.peaks[i] for i in one)
        if on < n_tokens * least:
            return number
    return loop.copies - 1


def without_late_words(reading: Reading, speech: Speech) -> tuple[Word, ...]:
    """Return the words without those of the last `PAST_SPEECH_TOKENS` tokens.

    These attended past the end of the speech; the decoding of the row was ended for that reason.
    """
    n_tokens = sum(len(word.tokens) for word in reading.words)
    return words_within(reading.words, n_tokens - PAST_SPEECH_TOKENS)


def without_crowd(reading: Reading, speech: Speech) -> tuple[Word, ...]:
    """Return the words that are aligned to some audio.

    Of a phrase that repeats one copy is aligned to its audio, and the other to none.
    """
    return tuple(w for w in reading.words if w.end_sample - w.start_sample > SAMPLES_PER_POSITION)


def without_copies(reading: Reading, speech: Speech) -> tuple[Word, ...]:
    """Return the words without the copies of a phrase that have no audio."""
    silent = without_audio(reading.words, speech)
    return tuple(word for i, word in enumerate(reading.words) if i not in silent)


def without_repeats(reading: Reading, speech: Speech) -> tuple[Word, ...]:
    """Return the words without the copies of a phrase that have no audio; none if too many stay."""
    if reading.confident:
        silent = without_audio(reading.words, speech)
    else:
        silent = frozenset(repeated_words(reading.words))
    kept = tuple(word for i, word in enumerate(reading.words) if i not in silent)
    n_tokens = sum(len(word.tokens) for word in kept)
    return () if guards.too_many_tokens(n_tokens, length_s(speech)) else kept


REMOVALS: Mapping[Fault, Callable[[Reading, Speech], tuple[Word, ...]]] = {
    Fault.LOOP: without_loop,
    Fault.PAST_SPEECH: without_late_words,
    Fault.CROWDED: without_crowd,
    Fault.TOO_MANY: without_repeats,
    Fault.COMPRESSION: without_repeats,
    Fault.REPEATED: without_copies,
}
"""What the guards of repetitions and of words after the speech leave; the first one decides."""


def words_within(words: Sequence[Word], n_tokens: int) -> tuple[Word, ...]:
    """Return the words that are complete within the first `n_tokens` tokens."""
    complete = []
    for word in words:
        n_tokens -= len(word.tokens)
        if n_tokens < 0:
            break
        complete.append(word)
    return tuple(complete)
