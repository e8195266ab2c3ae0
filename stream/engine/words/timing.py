"""Where in the audio the words of a decoded row were said."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import exp

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.engine.decoding import guards
from stream.engine.decoding.rows import DecodeResult
from stream.engine.words.alignment import EARLY_SAMPLES, SAMPLES_PER_POSITION, token_positions
from stream.engine.words.alignment_edges import set_edges
from stream.engine.words.coverage import Stretch
from stream.engine.words.spelling import BROKEN, Decode, graphemes, split_words, spoken_tokens

FIRST_LOOK_POSITIONS = 25
"""Half a second where the first token looks whatever it is, as well as at its own sound."""
LONGEST_WORD_S = 3.0
"""What lasts longer is no word: it was given the time of what the model passed over."""
WORD_S = 0.5
"""What a word is left with then, on each side of where the decoder looked most."""


def place_words(
    stretch: Stretch,
    result: DecodeResult,
    starts: Sequence[int],
    decode: Decode,
) -> tuple[Word, ...]:
    """The words of a row at absolute samples: in order, within the stretch."""
    words: list[Word] = []
    looked: list[int] = []
    taken = 0
    for piece in split_words(result.tokens, decode):
        if BROKEN in piece.text:
            break  # the row ended within a character
        rows = range(taken, taken + len(piece.tokens))
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
    """The absolute sample that the decoder looked at most while it chose some tokens."""
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
