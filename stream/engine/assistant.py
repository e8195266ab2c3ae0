"""The assistant: a smaller model that proposes the next tokens, for its teacher to verify.

Speculative decoding (Leviathan, Kalman and Matias 2023; for Whisper: Gandhi, von Platen and Rush
2023): the assistant says a few tokens one by one, which is cheap, and the teacher reads them all in
one pass, which costs little more than reading one. What the teacher would not have said is
forgotten, so the words are the teacher's own.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from stream.engine.logit_filters import LogitFilter
from stream.engine.rows import Row, ragged
from stream.engine.whisper import Whisper

LONGEST_PROPOSAL = 16
DRAFT_COST = 0.45
"""What it takes to draft a token and to verify it with others, in passes of the teacher for one:
measured for two layers of six on the CPU. Two layers of 32 cost less, and could draft more."""
ACCEPTED, REJECTED = 8, 1
"""Tokens taken to have been accepted and rejected before the first: a student agrees mostly."""


class Assistant:
    """The assistant's side of one batch. Rows are in the order of the teacher's."""

    def __init__(self, model: Whisper, audio: Tensor, n_positions: Tensor) -> None:
        """Take the batch as the assistant's own encoder gives it, or one that is equal to it.

        Args:
            model: the assistant.
            audio: (batch, n_positions, d_model).
            n_positions: (batch,) long, the positions of each row that are real.
        """
        self._model = model
        self._audio = audio
        self._n_positions = n_positions
        self._length = 0
        self._begun = False
        self._accepted, self._rejected = ACCEPTED, REJECTED

    def begin(self, max_tokens: int) -> None:
        """Make room for so many tokens a row."""
        self._cache = self._model.prefill_cache(self._audio, self._n_positions, max_tokens)

    @torch.inference_mode()
    def propose(self, rows: Sequence[Row], filters: Sequence[LogitFilter]) -> None:
        """Let every row have a proposal of what it says next, within its budget."""
        self._adapt(rows)
        said = [row.opening + row.tokens for row in rows]
        self._cache.truncate(torch.tensor([len(tokens) - 1 for tokens in said]))  # what was wrong
        unread = [
            tokens[known:] for tokens, known in zip(said, self._cache.length.tolist(), strict=True)
        ]
        for step in range(self._length):
            tokens, lengths = ragged(unread)
            logits = self._model.decode(tokens, lengths, self._cache)
            candidates = logits[torch.arange(len(rows)), lengths - 1]  # (batch, vocab_size)
            before = [row.tokens + row.proposed for row in rows]
            for rule in filters:
                rule.apply(candidates, before)
            for row, token in zip(rows, candidates.argmax(-1).tolist(), strict=True):
                if len(row.tokens) + step < row.request.max_new_tokens:
                    row.proposed.append(token)
            unread = [row.proposed[step : step + 1] for row in rows]
            if not any(unread):
                break

    def keep(self, rows: Sequence[int]) -> None:
        """Keep these rows of the batch, in this order."""
        self._cache.keep(rows)

    def _adapt(self, rows: Sequence[Row]) -> None:
        """Propose as many tokens as are worth it, by what became of the proposals so far."""
        if self._begun:  # before that the drafts were others'
            self._accepted += sum(row.last_accepted for row in rows)
            self._rejected += sum(not row.all_accepted for row in rows)
        self._begun = True
        self._length = best_length(self._accepted / (self._accepted + self._rejected))


def best_length(acceptance: float) -> int:
    """How many tokens to propose, 0 where it is not worth it.

    Leviathan, Kalman and Matias (2023, section 3.3): of k drafts, each accepted with this
    probability if those before were, and one more token, (1 - a^(k + 1)) / (1 - a) are said on
    average, at a cost of 1 + k * `DRAFT_COST`.
    """

    def gain(k: int) -> float:
        said = sum(acceptance**i for i in range(k + 1))
        return said / (1 + k * DRAFT_COST)

    return max(range(LONGEST_PROPOSAL + 1), key=gain)
