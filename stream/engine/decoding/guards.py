"""Guards: detect signs that a hypothesis is wrong, from its tokens, text and numbers.

Whisper fails in a few ways: it repeats a phrase without end, it continues after the end of the
speech, it gives every token a low probability, it outputs words for noise. Each guard detects one
of these. All functions are pure.
"""

import zlib
from collections.abc import Sequence
from math import inf, isinf

import numpy as np
from numpy.typing import NDArray

LEAST_POSITIONS = 1.8
"""Encoder positions for each token of a phrase. A copy of the phrase that attends to audio less far
after the audio of the copy before it was not spoken: this is half of the time that the fastest
speech (`TOKENS_PER_S`) takes."""

COMPRESSION_RATIO = 2.4
"""A text with a higher compression ratio repeats itself (OpenAI's threshold)."""
MEAN_LOG_PROBABILITY = -1.0
"""Words with a lower mean log-probability per token are guesses (OpenAI's threshold)."""
NO_SPEECH = 0.6
"""Words of low probability are dropped if the probability of no speech is above this (OpenAI's
threshold)."""
BRIEF_S = 0.3
"""Seconds of detected speech. With less, words below `SURE_LOG_PROBABILITY` are dropped if the
model itself finds no speech: a click or a breath is recognised as "Okay."."""
LONGEST_LOOP = 24
"""Number of tokens in the longest phrase that counts as a loop."""
LOOP_REPEATS = 4
LOOP_TOKENS = 16
"""A loop is a phrase that repeats at least `LOOP_REPEATS` times and over at least `LOOP_TOKENS`
tokens; so "no, no, no, no" is not a loop."""
TOKENS_PER_S = 14.0
"""Most tokens for a second of speech. No speaker reaches it: 5 words a second are about 8 tokens in
English, and 11 in scripts that need many tokens."""
EXTRA_TOKENS = 6
"""Tokens that are allowed in addition, for punctuation and for an onset that the VAD missed."""

CROWD = 8
CROWD_S = 0.4
"""`CROWD` tokens within `CROWD_S` seconds were not spoken: tokens of a repeated phrase have no
audio of their own, so the path through the attention puts them close together. In 270 transcripts
of 90 sentences, all with more than three inserted words had such a crowd (docs/decisions/007)."""

SURE_LOG_PROBABILITY = -0.4
"""Mean log-probability per token. Words with a higher one are not removed because of diffuse
attention. Words with a lower one are decoded a second time before they are final."""
DOUBT_NATS = 0.6
"""By how much `diffusion_nats` is raised for each nat by which the mean log-probability is below
`SURE_LOG_PROBABILITY`."""
LEAP_NATS = 4.0
"""By how much `diffusion_nats` is raised if all tokens leap back; in proportion if only some do."""
LEAP_POSITIONS = 5
"""A token leaps back if the peak of its attention is more than this number of encoder positions
(0.1 s) before that of the previous token."""
GUESS_TOKENS = 4
"""Fewer tokens of very low probability are noise: "Oh", "You", "Thank you."."""
GUESS_TOKENS_PER_S = 1.0
"""Guesses of fewer tokens for each second of speech are babble, of which the model recognises next
to nothing."""
SHORT_GUESS_NATS = 0.3
"""By how much the limit of `diffusion_nats` is lower for guesses of less than `PHRASE_TOKENS`."""
PHRASE_TOKENS = 8
"""With fewer tokens `diffusion_nats` is not raised, because the mean log-probability and the
fraction that leaps back are unreliable then."""


def spread_nats(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """Return the mean entropy of the tokens' attention over time, in nats; 0 without tokens.

    exp(entropy) is the typical number of encoder positions to which a token attends: 33 (3.5 nats,
    0.7 s) for a single speaker, and 100 or more for a noise of many voices.
    """
    if not attention.shape[1]:
        return 0.0
    weights = attention.mean(0)
    return float(-(weights * np.log(weights + 1e-9)).sum(-1).mean())


def leaps_back(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
) -> float:
    """Return the fraction of tokens whose attention peaks well before that of the previous token.

    The words of one speaker follow each other in time; in a noise of many voices, the peaks are in
    any order.
    """
    peaks = attention.mean(0).argmax(-1)
    return float((np.diff(peaks) < -LEAP_POSITIONS).sum()) / max(len(peaks) - 1, 1)


def diffusion_nats(
    attention: NDArray[np.float32],  # (n_heads, n_tokens, n_positions)
    mean_log_probability: float,
    *,
    repeats: bool = False,
) -> float:
    """Return a measure, in nats, of how diffuse the attention of some words is; less is better.

    It is `spread_nats`, raised for a low log-probability and for tokens that leap back. If the
    log-probability is high, the result is minus infinity: such words pass any limit.

    Args:
        attention: attention of the words' tokens.
        mean_log_probability: mean log-probability of these tokens.
        repeats: whether the text repeats itself. Such text always has a high log-probability, so
            its attention is judged even then.
    """
    doubt = SURE_LOG_PROBABILITY - mean_log_probability
    if doubt <= 0 and not repeats:
        return -inf
    nats = spread_nats(attention)
    if doubt > 0 and attention.shape[1] >= PHRASE_TOKENS:
        nats += DOUBT_NATS * doubt + LEAP_NATS * leaps_back(attention)
    return nats


def is_no_speech(probability: float, mean_log_probability: float, speech_s: float) -> bool:
    """Return whether the words are doubtful and the model itself finds no speech in the window.

    Args:
        probability: the model's probability that there is no speech.
        mean_log_probability: mean log-probability of the words' tokens.
        speech_s: length of the speech that the VAD detected, in seconds.
    """
    least = SURE_LOG_PROBABILITY if speech_s < BRIEF_S else MEAN_LOG_PROBABILITY
    return probability > NO_SPEECH and mean_log_probability < least


def may_be_speech(tokens: int, speech_s: float, nats: float, limit_nats: float) -> bool:
    """Return whether words of very low probability may be speech that is hard to recognise.

    Args:
        tokens: number of the words' tokens.
        speech_s: length of the speech that the VAD detected, in seconds.
        nats: `diffusion_nats` of the words.
        limit_nats: limit of `diffusion_nats` that was measured for the model; infinity if none was.
            Then the result is False, because guesses cannot be distinguished from babble.
    """
    if tokens < max(GUESS_TOKENS, GUESS_TOKENS_PER_S * speech_s) or isinf(limit_nats):
        return False
    if too_many_tokens(tokens, speech_s):
        return False
    return nats <= limit_nats - (SHORT_GUESS_NATS if tokens < PHRASE_TOKENS else 0.0)


def loop_period(tokens: Sequence[int]) -> int:
    """Return the length in tokens of the phrase that loops at the end; 0 if there is no loop."""
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
    """Return the tokens with only the first occurrence of the phrase that loops at the end."""
    period = loop_period(tokens)
    if not period:
        return tokens
    end = len(tokens)
    while end > period and tokens[end - 1] == tokens[end - 1 - period]:
        end -= 1
    return tokens[:end]


def compression_ratio(text: str) -> float:
    """Return the size of the text divided by its compressed size.

    It is about 1 for a sentence, and 2.4 or more for a text that repeats itself.
    """
    data = text.encode()
    return len(data) / len(zlib.compress(data))


def too_many_tokens(tokens: int, speech_s: float) -> bool:
    """Return whether there are more tokens than can be spoken in `speech_s` seconds."""
    return tokens > EXTRA_TOKENS + TOKENS_PER_S * speech_s


def crowded(starts_s: Sequence[float]) -> list[bool]:
    """Return for each token whether it is one of `CROWD` tokens within `CROWD_S`.

    Args:
        starts_s: time at which each token begins, and that at which the last one ends.
    """
    n_tokens = len(starts_s) - 1
    within = [False] * n_tokens
    for first in range(n_tokens - CROWD + 1):
        if starts_s[first + CROWD] - starts_s[first] < CROWD_S:
            within[first : first + CROWD] = [True] * CROWD
    return within
