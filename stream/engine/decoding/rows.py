"""One row of a decoding batch: what it asks for, what it has said so far, what came out.

A row accepts its own number of draft tokens and ends on its own; it never sees its neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream.engine.decoding.draft import Reference
from stream.engine.decoding.guards import loop_period
from stream.engine.decoding.logit_filters import LogitFilter
from stream.engine.network.transfers import send

SEED = 2022
"""Of every row's own generator: sampling depends on the row alone and repeats exactly."""
PAST_SPEECH_TOKENS = 8
"""So many tokens in a row said while listening past the speech are invention."""


class Ending(Enum):
    """Why a row stopped."""

    END_OF_TEXT = "end of text"
    BUDGET = "token budget"
    LOOP = "loop"
    PAST_SPEECH = "attention past the speech"


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """What one row of the batch is to be decoded with."""

    max_new_tokens: int
    """Budget of text tokens and the end."""
    language: str = "en"
    """A code of the vocabulary, or `auto`; an English-only model reads neither."""
    expected_language: str = ""
    """With `auto`: the language that is likelier than any other before a word is heard."""
    language_from: int = 0
    """With `auto`: the encoder position from which the language is listened for."""
    task: str = "transcribe"
    prompt: tuple[int, ...] = ()
    """Text tokens that were said before, or that are to be expected."""
    draft: tuple[int, ...] = ()
    """Text tokens to verify."""
    timestamps: bool = False
    """Let the model write timestamp tokens."""
    rules: tuple[LogitFilter, ...] = ()
    """Of this row alone, such as the terms that its client expects."""
    speech_positions: int = 1500
    """Encoder positions up to the end of the speech; attention beyond it is suspect."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodeResult:
    """What one row said."""

    tokens: tuple[int, ...]
    """Text tokens, and timestamps where they were asked for; without the end."""
    log_probabilities: tuple[float, ...]
    """One a token, and one of the end where the row reached it."""
    language: str
    no_speech: float
    """Probability, at the first position, that there is no speech."""
    ending: Ending
    passes: int
    """Decoder passes that this row took part in."""
    drafted: int
    accepted: int
    attention: NDArray[np.float32] | None
    """(n_alignment_heads, len(log_probabilities), n_positions): where each was heard."""

    @property
    def mean_log_probability(self) -> float:
        """Mean over the tokens and the end."""
        return sum(self.log_probabilities) / max(1, len(self.log_probabilities))


@dataclass(slots=True, eq=False)
class Row:
    """A row on its way through the batch."""

    request: DecodeRequest
    language: str
    opening: list[int]
    """The tokens before the first one that is the model's own."""
    reference: Reference
    """The request's draft, read along."""
    n_positions: int
    """Encoder positions of the row that are real."""
    end_of_text: int
    filters: Sequence[LogitFilter] = ()
    """What no transcript of the model may say; the same object for all rows that are alike."""
    proposed: list[int] = field(init=False)
    """What may come next, to be verified by the next pass: at first the whole draft."""
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    no_speech: float = 0.0
    ending: Ending | None = None
    passes: int = 0
    drafted: int = 0
    accepted: int = 0
    last_accepted: int = 0
    """Of the last proposal."""
    all_accepted: bool = False
    """Whether the whole of the last proposal was."""
    past_speech: int = 0
    """How many of the last tokens listened past the speech."""
    attention: NDArray[np.float32] | None = None
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(SEED))

    def __post_init__(self) -> None:
        self.proposed = self.reference.proposal(self.request.max_new_tokens - 1)

    @property
    def known(self) -> int:
        """How many of the row's tokens the cache holds: all but the last said, at first none."""
        return len(self.opening) + len(self.tokens) - 1 if self.tokens else 0

    @property
    def has_room(self) -> bool:
        """Whether what is proposed may grow by a token, within the budget."""
        return len(self.tokens) + len(self.proposed) < self.request.max_new_tokens

    def context(self) -> list[int]:
        """What the next pass reads before what is proposed: the opening, or the last token."""
        return [self.tokens[-1]] if self.tokens else self.opening

    def next_input(self) -> list[int]:
        """What the next pass reads."""
        return self.context() + self.proposed

    def columns(self) -> range:
        """The columns of the next input after which the row is to choose a token."""
        first = len(self.context()) - 1
        return range(first, first + 1 + len(self.proposed))

    def before(self) -> list[list[int]]:
        """What is said before each of these columns' tokens, if the proposal is right so far."""
        return [self.tokens + self.proposed[:i] for i in range(len(self.proposed) + 1)]

    def draw(self, probabilities: Tensor) -> int:
        """A token at random, (vocab_size,) on the CPU."""
        return int(torch.multinomial(probabilities, 1, generator=self.generator))

    def accept(self, choices: Sequence[tuple[int, float, int]]) -> None:
        """Take a pass's choices as long as they agree with the proposal, and the one after that.

        Each is a token, its log-probability, and the encoder position it was heard at.
        """
        proposed, self.proposed = self.proposed, []
        self.passes += 1
        self.drafted += len(proposed)
        before = self.accepted
        for i, (token, log_probability, position) in enumerate(choices):
            self.say(token, log_probability, position)
            agreed = i < len(proposed) and proposed[i] == token
            self.accepted += agreed
            if self.ending is not None or not agreed:
                break
        self.last_accepted = self.accepted - before
        if self.ending is None:
            self.reference.follow(len(proposed), self.last_accepted, self.tokens[-1])
            left = self.request.max_new_tokens - len(self.tokens) - 1
            self.proposed = self.reference.proposal(left)
        self.all_accepted = self.last_accepted == len(proposed)

    def text(self) -> list[int]:
        """What was said, without timestamps: a phrase that repeats has others each time."""
        if not self.request.timestamps:
            return self.tokens
        return [token for token in self.tokens if token < self.end_of_text]

    def say(self, token: int, log_probability: float, position: int) -> None:
        """Append one token, or end."""
        self.log_probabilities.append(log_probability)
        if token == self.end_of_text:
            self.ending = Ending.END_OF_TEXT
            return
        self.tokens.append(token)
        past = position > self.request.speech_positions
        self.past_speech = self.past_speech + 1 if past else 0
        if loop_period(self.text()):
            self.ending = Ending.LOOP
        elif self.past_speech >= PAST_SPEECH_TOKENS:
            self.ending = Ending.PAST_SPEECH
        elif len(self.tokens) >= self.request.max_new_tokens:
            self.ending = Ending.BUDGET

    def note_attention(self, alignment: Tensor) -> None:
        """Copy the row's part of (n_heads, max_tokens, n_positions): one line a choice."""
        first = len(self.opening) - 1
        heard = alignment[:, first : first + len(self.log_probabilities), : self.n_positions]
        self.attention = heard.float().cpu().numpy().copy()  # the cache is written over

    def result(self) -> DecodeResult:
        """The finished row."""
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
    """Let each row's filters work on its part of the logits (n, vocab_size), in place.

    `before` is what was said before each of a row's positions; rows that are alike go together.
    """
    first = 0
    pairs = zip(rows, before, strict=True)
    for _, alike in groupby(pairs, key=lambda pair: id(pair[0].filters)):
        group = list(alike)
        said = [tokens for _, positions in group for tokens in positions]
        for rule in group[0][0].filters:
            rule.apply(logits[first : first + len(said)], said)
        first += len(said)


def ragged(inputs: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Rows of tokens as (batch, n_tokens) long, padded with zeros, and their lengths (batch,)."""
    lengths = torch.tensor([len(row) for row in inputs])
    tokens = torch.zeros((len(inputs), int(lengths.max())), dtype=torch.long)
    for i, row in enumerate(inputs):
        tokens[i, : len(row)] = torch.tensor(row)
    return tokens, lengths


def at_columns(states: Tensor, columns: Tensor) -> Tensor:
    """(batch, n, d_model), (batch,) on the CPU -> (batch, d_model): of each row one column."""
    rows = torch.arange(len(states), device=states.device)
    return states[rows, send(columns, states.device)]
