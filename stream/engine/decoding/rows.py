"""One row of a decoding batch: its request, its tokens so far, and its result.

A row accepts its own number of draft tokens and ends on its own; other rows do not affect it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream.engine.decoding.draft import DraftCursor
from stream.engine.decoding.guards import follows_audio, loop_period
from stream.engine.decoding.logit_filters import LogitFilter
from stream.engine.network.transfers import send

SEED = 2022
"""Seed of the random generator of each row, so that sampling depends only on the row."""
PAST_SPEECH_TOKENS = 8
"""Number of consecutive tokens that attend past the end of the speech after which a row is ended,
because such tokens are invented."""


class Ending(Enum):
    """The reason why the decoding of a row ended."""

    END_OF_TEXT = "end of text"
    BUDGET = "token budget"
    LOOP = "loop"
    PAST_SPEECH = "attention past the speech"


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """How one row of the batch is decoded."""

    max_new_tokens: int
    """Most tokens to decode, the end token included."""
    language: str = "en"
    """Language code of the vocabulary, or `auto`; an English-only model ignores it."""
    expected_language: str = ""
    """With `auto`: the language that is probable a priori; empty for none."""
    language_from: int = 0
    """With `auto`: the first encoder position of the audio from which the language is detected."""
    task: str = "transcribe"
    prompt: tuple[int, ...] = ()
    """Tokens of text that precedes the transcript as context."""
    draft: tuple[int, ...] = ()
    """Tokens of the draft, which are verified."""
    timestamps: bool = False
    """Whether the model generates timestamp tokens."""
    rules: tuple[LogitFilter, ...] = ()
    """Rules for this row only, such as the key terms of its client."""
    speech_positions: int = 1500
    """Encoder position of the end of the speech; attention after it is a sign of invented words."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodeResult:
    """The decoded tokens of one row."""

    tokens: tuple[int, ...]
    """Text tokens, and timestamps if they were requested; without the end token."""
    log_probabilities: tuple[float, ...]
    """Log-probability of each token, and of the end token if the row reached it."""
    language: str
    no_speech: float
    """Probability, at the first position, that there is no speech."""
    ending: Ending
    passes: int
    """Number of decoder passes in which this row was computed."""
    drafted: int
    accepted: int
    attention: NDArray[np.float32] | None
    """(n_alignment_heads, len(log_probabilities), n_positions): each token's cross-attention."""

    @property
    def mean_log_probability(self) -> float:
        """Mean log-probability of the tokens and of the end token, if the row reached it."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


@dataclass(slots=True, eq=False)
class Row:
    """A row while it is decoded."""

    request: DecodeRequest
    language: str
    opening: list[int]
    """The tokens before the first one that the model chooses."""
    cursor: DraftCursor
    """The draft of the request, and the position reached in it."""
    n_positions: int
    """Number of encoder positions of the row that are not padding."""
    end_of_text: int
    filters: Sequence[LogitFilter] = ()
    """Rules for all transcripts of the model; rows with equal rules share one object."""
    proposed: list[int] = field(init=False)
    """Tokens that the next pass verifies; at first the whole draft."""
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    no_speech: float = 0.0
    ending: Ending | None = None
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
    last_accepted: int = 0
    """Number of tokens of the last proposal that were accepted."""
    all_accepted: bool = False
    """Whether the whole last proposal was accepted."""
    past_speech: int = 0
    """Number of consecutive tokens, up to the last, that attended past the end of the speech."""
    positions: list[int] = field(default_factory=list)
    """The encoder position that each text token attends to most."""
    attention: NDArray[np.float32] | None = None
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(SEED))

    def __post_init__(self) -> None:
        self.proposed = self.cursor.proposal(self.request.max_new_tokens - 1)

    @property
    def known(self) -> int:
        """Number of the row's tokens in the cache: all except the last one; 0 at first."""
        return len(self.opening) + len(self.tokens) - 1 if self.tokens else 0

    @property
    def has_room(self) -> bool:
        """Whether the token budget allows one more proposed token."""
        return len(self.tokens) + len(self.proposed) < self.request.max_new_tokens

    def context(self) -> list[int]:
        """Return the input before the proposal in the next pass: the opening or the last token."""
        return [self.tokens[-1]] if self.tokens else self.opening

    def next_input(self) -> list[int]:
        """Return the input tokens of the next pass."""
        return self.context() + self.proposed

    def columns(self) -> range:
        """Return the columns of the next input after each of which a token is chosen."""
        first = len(self.context()) - 1
        return range(first, first + 1 + len(self.proposed))

    def before(self) -> list[list[int]]:
        """Return the chosen tokens before each of `columns`, as if the proposal were correct."""
        return [self.tokens + self.proposed[:i] for i in range(len(self.proposed) + 1)]

    def draw(self, probabilities: Tensor) -> int:
        """Sample a token from probabilities, (vocab_size,) on the CPU."""
        return int(torch.multinomial(probabilities, 1, generator=self.generator))

    def accept(self, choices: Sequence[tuple[int, float, int]]) -> None:
        """Append the choices of a pass, up to and including the first that was not proposed.

        Then set the next proposal from the draft, unless the row has ended.

        Args:
            choices: for each of `columns`, the token, its log-probability, and the encoder position
                to which it attends most.
        """
        proposed, self.proposed = self.proposed, []
        self.passes += 1
        self.drafted += len(proposed)
        before = self.accepted
        for i, (token, log_probability, position) in enumerate(choices):
            self.append(token, log_probability, position)
            agreed = i < len(proposed) and proposed[i] == token
            self.accepted += agreed
            if self.ending is not None or not agreed:
                break
        self.last_accepted = self.accepted - before
        if self.ending is None:
            self.cursor.advance(len(proposed), self.last_accepted, self.tokens[-1])
            left = self.request.max_new_tokens - len(self.tokens) - 1
            self.proposed = self.cursor.proposal(left)
        self.all_accepted = self.last_accepted == len(proposed)

    def text(self) -> list[int]:
        """Return the tokens without timestamps, for the detection of loops."""
        if not self.request.timestamps:
            return self.tokens
        return [token for token in self.tokens if token < self.end_of_text]

    def append(self, token: int, log_probability: float, position: int) -> None:
        """Append one token and end the row if needed; an end token only ends it.

        Args:
            token: id of the token.
            log_probability: its log-probability.
            position: the encoder position to which it attends most.
        """
        self.log_probabilities.append(log_probability)
        if token == self.end_of_text:
            self.ending = Ending.END_OF_TEXT
            return
        self.tokens.append(token)
        past = position > self.request.speech_positions
        self.past_speech = self.past_speech + 1 if past else 0
        if token < self.end_of_text:
            self.positions.append(position)
        period = loop_period(self.text())
        if period and not follows_audio(self.positions, period):
            self.ending = Ending.LOOP
        elif self.past_speech >= PAST_SPEECH_TOKENS:
            self.ending = Ending.PAST_SPEECH
        elif len(self.tokens) >= self.request.max_new_tokens:
            self.ending = Ending.BUDGET

    def record_attention(self, alignment: Tensor) -> None:
        """Copy the attention of each token of this row from the alignment of the cache.

        `alignment` is (n_heads, max_tokens, n_positions).
        """
        first = len(self.opening) - 1
        own = alignment[:, first : first + len(self.log_probabilities), : self.n_positions]
        self.attention = own.float().cpu().numpy().copy()  # the cache is overwritten later

    def result(self) -> DecodeResult:
        """Return the result; the row must have ended."""
        assert self.ending is not None
        return DecodeResult(
            tokens=tuple(self.tokens),
            log_probabilities=tuple(self.log_probabilities),
            language=self.language,
            no_speech=self.no_speech,
            ending=self.ending,
            passes=self.passes,
            drafted=self.drafted,
            accepted=self.accepted,
            attention=self.attention,
        )


def forbid(logits: Tensor, rows: Sequence[Row], before: Sequence[Sequence[Sequence[int]]]) -> None:
    """Apply the filters of each row to its part of the logits (n, vocab_size), in place.

    Neighbours that share their filters are filtered together.

    Args:
        logits: logits of the positions of all rows, in order.
        rows: the rows.
        before: for each row, the tokens before each of its positions.
    """
    first = 0
    pairs = zip(rows, before, strict=True)
    for _, alike in groupby(pairs, key=lambda pair: id(pair[0].filters)):
        group = list(alike)
        contexts = [tokens for _, positions in group for tokens in positions]
        for rule in group[0][0].filters:
            rule.apply(logits[first : first + len(contexts)], contexts)
        first += len(contexts)


def ragged(inputs: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return tokens as (batch, n_tokens) long, padded with zeros, and their numbers, (batch,)."""
    lengths = torch.tensor([len(row) for row in inputs])
    tokens = torch.zeros((len(inputs), int(lengths.max())), dtype=torch.long)
    for i, row in enumerate(inputs):
        tokens[i, : len(row)] = torch.tensor(row)
    return tokens, lengths


def at_columns(states: Tensor, columns: Tensor) -> Tensor:
    """Return one column per row: (batch, n, d_model), (batch,) on the CPU -> (batch, d_model)."""
    rows = torch.arange(len(states), device=states.device)
    return states[rows, send(columns, states.device)]
