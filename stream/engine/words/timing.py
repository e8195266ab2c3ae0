"""Determines the times of the words of a decoded row."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.engine.decoding import guards
from stream.engine.decoding.rows import DecodeResult
from stream.engine.words.alignment import EARLY_SAMPLES, SAMPLES_PER_POSITION, token_positions
from stream.engine.words.alignment_edges import set_edges
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.placing import attention_by_span, place
from stream.engine.words.spelling import BROKEN, Decode, graphemes, split_words, spoken_tokens

FIRST_TOKEN_POSITIONS = 25
"""Encoder positions at the start (half a second) to which the first token always attends, besides
its own sound."""
LONGEST_WORD_S = 3.0
"""A word longer than this was aligned to audio that the model skipped."""
WORD_S = 0.5
"""Such a word is shortened to this many seconds on each side of the peak of its attention."""


def timed_words(
    span: AudioSpan,
    result: DecodeResult,
    starts: Sequence[int],
    decode: Decode,
) -> tuple[tuple[Word, ...], tuple[int, ...]]:
    """Return the words of a row with absolute times, in order and within the span.

    Also returns the absolute sample at which the attention of each word peaks.

    Args:
        span: the span that was decoded.
        result: the decoded row, without timestamps.
        starts: absolute samples of its tokens, from `token_starts`.
        decode: returns the text of tokens.
    """
    words: list[Word] = []
    peaks: list[int] = []
    attention: list[list[float]] = []
    taken = 0
    for piece in split_words(result.tokens, decode):
        if BROKEN in piece.text:
            break  # the row ended within a character
        rows = range(taken, taken + len(piece.tokens))
        taken += len(piece.tokens)
        last = rows[spoken_tokens(piece, decode) - 1]
        confidence = sum(exp(result.log_probabilities[i]) for i in rows) / len(rows)
        log_probabilities = tuple(result.log_probabilities[i] for i in rows)
        words.append(
            Word(
                piece.text,
                starts[rows[0]],
                starts[last + 1],
                confidence,
                piece.tokens,
                log_probabilities,
            )
        )
        peaks.append(peak_sample(span, result, rows))
        if result.attention is not None:
            own = result.attention[:, rows]
            skipped = FIRST_TOKEN_POSITIONS if rows[0] == 0 else 0
            attention.append(attention_by_span(own, span.start_sample, span.speech, skipped))
    timed = within_speech(words, span.speech)
    timed = set_edges(timed, span.samples, span.start_sample)
    if attention:
        timed = place(timed, attention, span.speech)
    if result.mean_log_probability > guards.SURE_LOG_PROBABILITY:
        timed = tuple(with_limited_length(w, peak) for w, peak in zip(timed, peaks, strict=True))
    split = [
        (part, peak)
        for word, peak in zip(timed, peaks, strict=True)
        for part in split_graphemes(word)
    ]
    return tuple(word for word, _ in split), tuple(peak for _, peak in split)


def peak_sample(span: AudioSpan, result: DecodeResult, rows: Sequence[int]) -> int:
    """Return the absolute sample at which the mean attention of the tokens in `rows` peaks.

    Without recorded attention, it is the start of the span.
    """
    if result.attention is None:
        return span.start_sample
    first = FIRST_TOKEN_POSITIONS if rows[0] == 0 else 0
    weights = result.attention[:, rows].mean((0, 1))[first:]
    position = first + int(weights.argmax()) if len(weights) else 0
    return span.start_sample + EARLY_SAMPLES + position * SAMPLES_PER_POSITION


def with_limited_length(word: Word, peak: int) -> Word:
    """Return the word, shortened to `WORD_S` around the peak of its attention if it is too long.

    The alignment path has no gaps, so audio that the model skipped becomes part of a neighbouring
    word.

    Args:
        word: word with absolute times.
        peak: the absolute sample from `peak_sample`.
    """
    if word.end_sample - word.start_sample <= LONGEST_WORD_S * SAMPLE_RATE:
        return word
    half = round(WORD_S * SAMPLE_RATE)
    start, end = (clamp(peak + side, word) for side in (-half, half))
    return replace(word, start_sample=start, end_sample=end)


def within_speech(words: list[Word], speech: Sequence[tuple[int, int]]) -> tuple[Word, ...]:
    """Return the words without the silence at the start of the first and the end of the last.

    The alignment path covers the whole span, so the first word includes the silence before it, and
    the last one that after it.
    """
    if words and speech:
        first = words[0]
        words[0] = replace(first, start_sample=clamp(speech[0][0], first))
        last = words[-1]
        words[-1] = replace(last, end_sample=clamp(speech[-1][1], last))
    return tuple(words)


def clamp(sample: int, word: Word) -> int:
    """Return the sample if it is within the word, otherwise the nearer end of the word."""
    return max(word.start_sample, min(sample, word.end_sample))


def token_starts(span: AudioSpan, result: DecodeResult) -> list[int]:
    """Return the absolute sample at which each token begins, and the end of the last one."""
    if result.attention is None:
        positions = [0] * len(result.tokens)
    else:
        positions = token_positions(result.attention).tolist()
    first = span.start_sample + EARLY_SAMPLES
    starts = [first + p * SAMPLES_PER_POSITION for p in positions]
    starts += [span.end_sample] * (len(result.tokens) + 1 - len(starts))
    return [min(start, span.end_sample) for start in starts]


def split_graphemes(word: Word) -> Iterator[Word]:
    """Yield the word; or, if its script has no spaces, its graphemes as words of equal duration.

    The first grapheme gets all tokens of the word, because a token may spell several graphemes.
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
            log_probabilities=() if i else word.log_probabilities,
        )
