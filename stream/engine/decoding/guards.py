"""Signs that a hypothesis is wrong: pure functions of tokens, text and numbers.

Whisper fails in a few ways: it repeats a phrase without end, it continues after the end of the
speech, it gives every token a low probability, it reads words into noise. Each guard detects one of
them.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST_POSITIONS = 1.8
"""Encoder positions by which a token of a repeated phrase must be later than a period ago, for each
token of the phrase: half of the time of the fastest speech, `TOKENS_PER_S`."""

COMPRESSION_RATIO = 2.4
"""A text with a higher compression ratio repeats itself. OpenAI's threshold."""
MEAN_LOG_PROBABILITY = -1.0
"""Mean per token, below which words are guesses. OpenAI's threshold."""
NO_SPEECH = 0.6
"""Probability of no speech above which words of low probability are dropped. OpenAI's threshold."""
LONGEST_LOOP = 24
"""Tokens in the longest phrase that counts as looping."""
LOOP_REPEATS = 4
LOOP_TOKENS = 16
"""A loop is a phrase that repeats at least `LOOP_REPEATS` times and over `LOOP_TOKENS` tokens:
"no, no, no, no" is none."""
TOKENS_PER_S = 14.0
"""More than any speaker: 5 words a second make about 8 English tokens, or 11 in dense scripts."""
EXTRA_TOKENS = 6
"""Tokens allowed in addition: punctuation, and an onset that the VAD missed."""

CROWD = 8
CROWD_S = 0.4
"""`CROWD` tokens within `CROWD_S` were not spoken: tokens of a phrase that repeats have no audio
left to align with, and the path through the attention crowds them together. In 270 transcripts of
90 sentences all with more than three inserted words had such a crowd (docs/decisions/007)."""

SURE_LOG_PROBABILITY = -0.4
"""Mean per token. Words of a higher one stay, however diffuse their attention is. Words of a lower
one are decoded once more before they are final."""
DOUBT_NATS = 0.6
"""How much the limit falls for each nat by which the mean log-probability is below
`SURE_LOG_PROBABILITY`."""
LEAP_NATS = 4.0
"""How much the limit falls if all tokens leap back, in proportion to the share that do."""
LEAP_POSITIONS = 5
"""A token leaps back if its attention peaks so far before the previous token's, in encoder
positions: 0.1 s."""
PHRASE_TOKENS = 8
"""For fewer tokens the limit does not fall, because both measures are unreliable."""


def spread_nats(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """Return the mean entropy of the tokens' attention over time, in nats.

    e to this power is a number of encoder positions: 33 (3.5 nats, 0.7 s) for a single speaker, and
    100 or more for a noise of many voices.
    """
    if not attention.shape[1]:
        return 0.0
    weights = attention.mean(0)
    return float(-(weights * np.log(weights + 1e-9)).sum(-1).mean())


def leaps_back(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """Return the share of tokens whose attention peaks well before the previous token's.

    The words of one speaker follow each other in time; in many voices the peaks are in any order.
    """
    peaks = attention.mean(0).argmax(-1)
    return float((np.diff(peaks) < -LEAP_POSITIONS).sum()) / max(len(peaks) - 1, 1)


def diffuse(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
    mean_log_probability: float,
    limit_nats: float,
    *,
    repeats: bool = False,
) -> bool:
    """Return whether the attention of some words is too diffuse for them to have been spoken.

    The lower the log-probability is, the narrower the attention must be, and the more in order.
    Text that `repeats` always has a high log-probability, so its attention is judged in any case.
    """
    doubt = SURE_LOG_PROBABILITY - mean_log_probability
    if doubt <= 0 and not repeats:
        return False
    if doubt > 0 and attention.shape[1] >= PHRASE_TOKENS:
        limit_nats -= DOUBT_NATS * doubt + LEAP_NATS * leaps_back(attention)
    return spread_nats(attention) > limit_nats


def loop_period(tokens: Sequence[int]) -> int:
    """Return the length of the phrase that repeats at the end, in tokens; 0 if none does."""
    for period in range(1, LONGEST_LOOP + 1):
        length = max(LOOP_REPEATS * period, LOOP_TOKENS)
        if length > len(tokens):
            continue
        tail = tokens[-length:]
        if all(tail[i] == tail[i - period] for i in range(length - 1, period - 1, -1)):
            return period
    return 0


def follows_audio(positions: Sequence[int], period: int) -> bool:
    """Return whether the last copy of a phrase attends to later audio than the copy before it.

    A speaker who repeats a phrase takes time for each copy; a model that loops does not move on.

    Args:
        positions: the encoder position that each token attends to most; two periods at least.
        period: the length of the phrase, in tokens.
    """
    last, before = np.median(positions[-period:]), np.median(positions[-2 * period : -period])
    return bool(last - before >= period * LEAST_POSITIONS)


def without_loop(tokens: Sequence[int]) -> Sequence[int]:
    """Return the tokens up to the first full occurrence of the phrase that repeats at the end."""
    period = loop_period(tokens)
    if not period:
        return tokens
    end = len(tokens)
    while end > period and tokens[end - 1] == tokens[end - 1 - period]:
        end -= 1
    return tokens[:end]


def compression_ratio(text: str) -> float:
    """Return the text's bytes over its compressed bytes: about 1 for a sentence, 2.4 for a loop."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def too_many_tokens(tokens: int, speech_s: float) -> bool:
    """Return whether the tokens are more than can be spoken in `speech_s` seconds of speech."""
    return tokens > EXTRA_TOKENS + TOKENS_PER_S * speech_s


def crowded(starts_s: Sequence[float]) -> list[bool]:
    """Return for each token whether it is one of `CROWD` tokens within `CROWD_S`.

    Args:
        starts_s: where each token begins, in seconds, and where the last one ends.
    """
    n_tokens = len(starts_s) - 1
    within = [False] * n_tokens
    for first in range(n_tokens - CROWD + 1):
        if starts_s[first + CROWD] - starts_s[first] < CROWD_S:
            within[first : first + CROWD] = [True] * CROWD
    return within
