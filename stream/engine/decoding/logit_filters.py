"""Rules that forbid or favour tokens in a transcript, by changing logits.

The design is that of `LogitFilter` in `openai/whisper`. A filter gets the logits of many positions,
which may belong to several rows or to a draft under verification, and the tokens before each
position; it changes the logits in place.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from stream.engine.checkpoints.vocabulary import SECONDS_PER_TIMESTAMP, Vocabulary

LATEST_FIRST_TIMESTAMP_S = 1.0
"""The latest value of the first timestamp, in seconds from the start of the window, as in OpenAI's
decoding."""


class LogitFilter(Protocol):
    """A rule that changes logits, usually to minus infinity, which forbids the token."""

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Change logits (n, vocab_size) in place; `before[i]` are the tokens before position i."""


class SuppressTokens:
    """Forbids symbols that occur in transcripts of noise, and all special tokens except the end."""

    def __init__(self, vocabulary: Vocabulary, timestamps: bool, device: torch.device) -> None:
        self.tokens = torch.tensor(vocabulary.suppressed, dtype=torch.long, device=device)
        last = vocabulary.timestamp_begin if timestamps else None
        self.special = slice(vocabulary.end_of_text + 1, last)

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Forbid the tokens everywhere."""
        logits[:, self.tokens] = -torch.inf
        logits[:, self.special] = -torch.inf


class SuppressAtStart:
    """Forbids a space and the end of the text as the first token of a transcript."""

    def __init__(self, vocabulary: Vocabulary, device: torch.device) -> None:
        tokens = vocabulary.suppressed_at_start
        self.tokens = torch.tensor(tokens, dtype=torch.long, device=device)

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Forbid the tokens at positions that have no token before them."""
        for position, tokens in enumerate(before):
            if not tokens:
                logits[position, self.tokens] = -torch.inf


class TimestampRules:
    """Enforces the order of timestamps.

    A transcript begins with a timestamp; timestamps never decrease, and come in pairs. A timestamp
    is chosen if all of them together are more probable than any text token.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.begin = vocabulary.timestamp_begin
        self.end_of_text = vocabulary.end_of_text
        self.no_timestamps = vocabulary.no_timestamps

    def apply(self, logits: Tensor, before: Sequence[Sequence[int]]) -> None:
        """Apply the rules to each position."""
        logits[:, self.no_timestamps] = -torch.inf
        for position, tokens in zip(logits, before, strict=True):
            self._pair(position, tokens)
            if not tokens:
                latest = self.begin + round(LATEST_FIRST_TIMESTAMP_S / SECONDS_PER_TIMESTAMP)
                position[: self.begin] = -torch.inf
                position[latest + 1 :] = -torch.inf
        together = logits[:, self.begin :].logsumexp(-1)  # (n,)
        logits[together > logits[:, : self.begin].amax(-1), : self.begin] = -torch.inf

    def _pair(self, position: Tensor, tokens: Sequence[int]) -> None:
        closes = bool(tokens) and tokens[-1] >= self.begin
        pair = len(tokens) < 2 or tokens[-2] >= self.begin
        if closes and pair:  # a pair is complete, so text must follow
            position[self.begin :] = -torch.inf
        elif closes:  # after half a pair, only the other half or the end is allowed
            position[: self.end_of_text] = -torch.inf
        stamps = [token for token in tokens if token >= self.begin]
        if stamps:  # a segment may start where the one before ended, but must end after its start
            position[self.begin : stamps[-1] + (not (closes and not pair))] = -torch.inf


def filters_for(
    vocabulary: Vocabulary, timestamps: bool, device: torch.device
) -> list[LogitFilter]:
    """Return the filters for transcripts of a model, with or without timestamps, on a device."""
    filters: list[LogitFilter] = [
        SuppressTokens(vocabulary, timestamps, device),
        SuppressAtStart(vocabulary, device),
    ]
    return [*filters, TimestampRules(vocabulary)] if timestamps else filters
