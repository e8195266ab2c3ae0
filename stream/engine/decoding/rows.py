"""One row of a decoding batch: its request, its tokens so far, and its result.

A row accepts its own number of draft tokens and ends by itself; other rows do not affect it.
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
"""The seed of each row's generator: sampling depends on the row alone and is reproducible."""
PAST_SPEECH_TOKENS = 8
"""After so many tokens in a row whose attention lies past the end of the speech, they are taken for
invented."""


class Ending(Enum):
    """Why a row stopped."""

    END_OF_TEXT = "end of text"
    BUDGET = "token budget"
    LOOP = "loop"
    PAST_SPEECH = "attention past the speech"


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """How one row of the batch is to be decoded."""

    max_new_tokens: int
    """Limit of the text tokens and the end token."""
    language: str = "en"
    """A code of the vocabulary, or `auto`; an English-only model ignores it."""
    expected_language: str = ""
    """With `auto`: the language that is likelier than any other before any audio is decoded."""
    language_from: int = 0
    """With `auto`: the first encoder position by which the language is detected."""
    task: str = "transcribe"
    prompt: tuple[int, ...] = ()
    """Text tokens of what was spoken before, or of words to expect."""
    draft: tuple[int, ...] = ()
    """Text tokens to verify."""
    timestamps: bool = False
    """Let the model write timestamp tokens."""
    rules: tuple[LogitFilter, ...] = ()
    """Rules for this row alone, such as the key terms of its client."""
    speech_positions: int = 1500
    """Encoder positions up to the end of the speech; attention past them is a sign of invention."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodeResult:
    """The decoded tokens of one row."""

    tokens: tuple[int, ...]
    """Text tokens, and timestamps if they were requested; without the end token."""
    log_probabilities: tuple[float, ...]
    """One for each token, and one for the end token if the row reached it."""
    language: str
    no_speech: float
    """Probability, at the first position, that there is no speech."""
    ending: Ending
    passes: int
    """Decoder passes that this row took part in."""
    drafted: int
    accepted: int
    attention: NDArray[np.float32] | None
    """(n_alignment_heads, len(log_probabilities), n_positions): each token's cross-attention."""

    @property
    def mean_log_probability(self) -> float:
        """Mean over the tokens and the end token."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


@dataclass(slots=True, eq=False)
class Row:
    """A row while it is decoded."""

    request: DecodeRequest
    language: str
    opening: list[int]
    """The tokens before the first one that the model chooses."""
    cursor: DraftCursor
    """The place in the request's draft."""
    n_positions: int
    """Encoder positions of the row that are real."""
    end_of_text: int
    filters: Sequence[LogitFilter] = ()
    """Rules that hold for all transcripts of the model; rows with equal rules share one object."""
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
    """How many tokens of the last proposal were accepted."""
    all_accepted: bool = False
    """Whether the whole last proposal was accepted."""
    past_speech: int = 0
    """How many of the last tokens attended past the end of the speech."""
    positions: list[int] = field(default_factory=list)
    """The encoder position that each text token attends to most."""
    attention: NDArray[np.float32] | None = None
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(SEED))

    def __post_init__(self) -> None:
        self.proposed = self.cursor.proposal(self.request.max_new_tokens - 1)

    @property
    def known(self) -> int:
        """How many of the row's tokens the cache holds: all but the last one; at first none."""
        return len(self.opening) + len(self.tokens) - 1 if self.tokens else 0

    @property
    def has_room(self) -> bool:
        """Whether the proposal may grow by a token within the budget."""
        return len(self.tokens) + len(self.proposed) < self.request.max_new_tokens

    def context(self) -> list[int]:
        """Return what precedes the proposal in the next pass: the opening, or the last token."""
        return [self.tokens[-1]] if self.tokens else self.opening

    def next_input(self) -> list[int]:
        """Return the tokens that the next pass reads."""
        return self.context() + self.proposed

    def columns(self) -> range:
        """Return the columns of the next input after which the row chooses a token."""
        first = len(self.context()) - 1
        return range(first, first + 1 + len(self.proposed))

    def before(self) -> list[list[int]]:
        """Return the tokens before each of these choices, if the proposal is right up to there."""
        return [self.tokens + self.proposed[:i] for i in range(len(self.proposed) + 1)]

    def draw(self, probabilities: Tensor) -> int:
        """Sample a token from probabilities, (vocab_size,) on the CPU."""
        return int(torch.multinomial(probabilities, 1, generator=self.generator))

    def accept(self, choices: Sequence[tuple[int, float, int]]) -> None:
        """Take the choices of a pass as far as they agree with the proposal, and the one after.

        Each choice is a token, its log-probability, and the encoder position that it attends to
        most.
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
        """Return the tokens without timestamps, which differ each time a phrase repeats."""
        if not self.request.timestamps:
            return self.tokens
        return [token for token in self.tokens if token < self.end_of_text]

    def append(self, token: int, log_probability: float, position: int) -> None:
        """Append one token, or end the row."""
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
        """Copy the row's attention out of (n_heads, max_tokens, n_positions), one row a choice."""
        first = len(self.opening) - 1
        own = alignment[:, first : first + len(self.log_probabilities), : self.n_positions]
        self.attention = own.float().cpu().numpy().copy()  # the cache is overwritten later

    def result(self) -> DecodeResult:
        """Return the result of a row that has ended."""
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
    """Apply each row's filters to its part of the logits (n, vocab_size), in place.

    `before` holds the tokens before each of a row's positions. Neighbours that share their filters
    are filtered together.
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
    """Return rows of tokens as (batch, n_tokens) long, padded with zeros, and lengths (batch,)."""
    lengths = torch.tensor([len(row) for row in inputs])
    tokens = torch.zeros((len(inputs), int(lengths.max())), dtype=torch.long)
    for i, row in enumerate(inputs):
        tokens[i, : len(row)] = torch.tensor(row)
    return tokens, lengths


def at_columns(states: Tensor, columns: Tensor) -> Tensor:
    """(batch, n, d_model), (batch,) on the CPU -> (batch, d_model): one column of each row."""
    rows = torch.arange(len(states), device=states.device)
    return states[rows, send(columns, states.device)]
