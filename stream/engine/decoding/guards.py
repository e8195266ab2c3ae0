"""Signs that a hypothesis is not what was said: pure functions of tokens, text and numbers.

Whisper fails in few ways: it repeats itself without end, it goes on after the speech, it is
unsure of every token, it hears words in noise. Each guard knows one of them.
"""

import zlib
from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

COMPRESSION_RATIO = 2.4
"""Text that zlib shrinks further repeats itself. OpenAI's threshold."""
MEAN_LOG_PROBABILITY = -1.0
"""Per token; below it the words are guesses. OpenAI's threshold."""
NO_SPEECH = 0.6
"""Probability of no speech above which unsure words are no words. OpenAI's threshold."""
LONGEST_LOOP = 24
"""Tokens in the longest phrase that counts as looping."""
LOOP_REPEATS = 4
LOOP_TOKENS = 16
"""A loop is a phrase said at least so often, and over so many tokens: "no, no, no, no" is none."""
TOKENS_PER_S = 14.0
"""Nobody speaks faster: 5 words a second make about 8 English tokens, 11 of dense scripts."""
TOKENS_BESIDE = 6
"""Tokens allowed whatever the speech lasts: marks, and an onset that the VAD missed."""

CROWD = 8
CROWD_S = 0.4
"""So many tokens in so little time were not spoken: said again without an end, or said twice, they
find no audio left, and the path through the attention crowds them together. In 270 transcripts of
90 sentences all with more than three inserted words did (docs/decisions/007)."""

DIFFUSE_NATS = {"base": 4.65}
"""By model: unsure words that were read from further around than this were read into a noise of
voices. Each model has its own alignment heads, so each is measured (docs/decisions/007)."""
SURE_LOG_PROBABILITY = -0.4
"""Per token: what the model is so sure of stays, however widely it looked. Words of less are heard
once more before they are final."""
DOUBT_NATS = 0.6
"""The limit falls by so much for each nat by which the mean log-probability is below that,"""
LEAP_NATS = 4.0
"""and by so much times the share of tokens that were found behind the one before."""
LEAP_POSITIONS = 5
"""So far behind, in encoder positions: 0.1 s."""
PHRASE_TOKENS = 8
"""Of fewer tokens those two say too little."""


def diffuse_nats(model: str) -> float:
    """The limit of `diffuse` for a model; none where it was not measured."""
    return DIFFUSE_NATS.get(model, inf)


def spread_nats(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """How widely the decoder looked while it spoke: the entropy of a token's attention, the mean.

    e to this power is a number of encoder positions: 33 (3.5 nats, 0.7 s) where one person speaks,
    100 and more where there is nothing to follow.
    """
    if not attention.shape[1]:
        return 0.0
    weights = attention.mean(0)
    return float(-(weights * np.log(weights + 1e-9)).sum(-1).mean())


def leaps_back(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """The share of tokens that were found well before the one before.

    The words of one speaker lie one behind the other; in a crowd the decoder looks here and there.
    """
    found = attention.mean(0).argmax(-1)
    return float((np.diff(found) < -LEAP_POSITIONS).sum()) / max(len(found) - 1, 1)


def diffuse(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
    mean_log_probability: float,
    limit_nats: float,
    *,
    repeats: bool = False,
) -> bool:
    """Whether words were heard nowhere in particular.

    The less sure the model is, the nearer together it must have looked, and the more in order. It
    is always sure of what it `repeats`.
    """
    doubt = SURE_LOG_PROBABILITY - mean_log_probability
    if doubt <= 0 and not repeats:
        return False
    if doubt > 0 and attention.shape[1] >= PHRASE_TOKENS:
        limit_nats -= DOUBT_NATS * doubt + LEAP_NATS * leaps_back(attention)
    return spread_nats(attention) > limit_nats


def loop_period(tokens: Sequence[int]) -> int:
    """The length of the phrase that repeats at the tail, in tokens; 0 if none does."""
    for period in range(1, LONGEST_LOOP + 1):
        length = max(LOOP_REPEATS * period, LOOP_TOKENS)
        if length > len(tokens):
            continue
        tail = tokens[-length:]
        if all(tail[i] == tail[i - period] for i in range(length - 1, period - 1, -1)):
            return period
    return 0


def without_loop(tokens: Sequence[int]) -> Sequence[int]:
    """The tokens up to where the phrase at the tail was first said in full."""
    period = loop_period(tokens)
    if not period:
        return tokens
    end = len(tokens)
    while end > period and tokens[end - 1] == tokens[end - 1 - period]:
        end -= 1
    return tokens[:end]


def compression_ratio(text: str) -> float:
    """Bytes of the text over its bytes compressed: about 1 for a sentence, 2.4 for a loop."""
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def too_many_tokens(tokens: int, speech_s: float) -> bool:
    """Whether so much cannot have been said in so much speech."""
    return tokens > TOKENS_BESIDE + TOKENS_PER_S * speech_s


def crowded(starts_s: Sequence[float]) -> list[bool]:
    """For each token whether it is one of a crowd.

    Args:
        starts_s: where each token begins, in seconds, and where the last one ends.
    """
    n_tokens = len(starts_s) - 1
    within = [False] * n_tokens
    for first in range(n_tokens - CROWD + 1):
        if starts_s[first + CROWD] - starts_s[first] < CROWD_S:
            within[first : first + CROWD] = [True] * CROWD
    return within
