"""Tokens with their log-probabilities, as OpenAI's APIs write them."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class SpeltWord(Protocol):
    """A word whose tokens are known."""

    @property
    def tokens(self) -> tuple[int, ...]:
        """The tokens that spell it."""

    @property
    def log_probabilities(self) -> tuple[float, ...]:
        """Of each token; empty if they are not known."""


def logprobs(
    words: Sequence[SpeltWord], token_bytes: Callable[[int], bytes]
) -> list[dict[str, Any]]:
    """Return the tokens of words with their log-probabilities, as far as they are known.

    Args:
        words: the words.
        token_bytes: returns the bytes of UTF-8 that a token spells.
    """
    return [
        {
            "token": token_bytes(token).decode(errors="replace"),
            "bytes": list(token_bytes(token)),
            "logprob": round(log_probability, 6),
        }
        for word in words
        for token, log_probability in zip(word.tokens, word.log_probabilities, strict=False)
    ]
