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

FIRST_PROPOSAL = 5
"""Tokens proposed at first; then as many as have lately been worth it."""
LONGEST_PROPOSAL = 16


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
        """Propose two more tokens where most proposals were right to the end, else one less."""
        if not self._length:
            self._length = FIRST_PROPOSAL
        elif 2 * sum(row.all_accepted for row in rows) > len(rows):
            self._length = min(self._length + 2, LONGEST_PROPOSAL)
        else:
            self._length = max(self._length - 1, 1)
