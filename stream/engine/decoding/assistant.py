"""The assistant: a smaller model that proposes the next tokens, for its teacher to verify.

Speculative decoding (Leviathan, Kalman and Matias 2023; for Whisper: Gandhi, von Platen and Rush
2023): the assistant says a few tokens one by one, which is cheap, and the teacher reads them all in
one pass, which costs little more than reading one. What the teacher would not have said is
forgotten, so the words are the teacher's own.
"""

from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from stream.engine.decoding.rows import Row, at_columns, forbid, ragged
from stream.engine.network.decoder_cache import DecoderCache, closed_up
from stream.engine.network.shortlist import Shortlist
from stream.engine.network.transfers import fetch
from stream.engine.network.whisper import Whisper

LONGEST_PROPOSAL = 16
DRAFT_COST, ROW_COST = 0.30, 0.077
"""What it takes to draft a token for every row, in passes of the teacher for one token a row, and
what each row adds to that because the teacher verifies one more: of two layers of six on the CPU,
where a pass for one row reads weights and a pass for many multiplies. The passes alone cost a
little less (docs/decisions/015); with these windows are decoded soonest. Two layers of 32 cost
less, and could draft more."""
MOST_ROWS = 4
"""On the CPU a batch of more gains nothing by drafts, for a pass that verifies them takes as much
longer as it says more. And when rows have left, those that stay are not worth the prefill."""
LEAST_HOPE = 0.1
"""A row proposes no more where the whole of its proposal is no likelier to be right than this."""
ACCEPTED, REJECTED = 4, 1
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
        self._rows = list(range(len(audio)))  # of the audio, those left before the cache is made
        self._cache: DecoderCache | None = None
        self._max_tokens = 0
        self._pays = model.device.type != "cpu" or len(audio) <= MOST_ROWS
        project = model.decoder.project
        self._shortlist = project if isinstance(project, Shortlist) else None
        self._asked = False
        self._accepted, self._rejected = ACCEPTED, REJECTED

    def make_room(self, max_tokens: int) -> None:
        """Let a row take so many tokens: once, before the first proposal."""
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def propose(self, rows: Sequence[Row]) -> None:
        """Let rows, all of which have said something, have a proposal of what comes next."""
        if not self._pays:
            return
        acceptance = self._acceptance(rows)
        unread: Sequence[Sequence[int]] = ()
        # Where there is a draft to go by, it costs nothing.
        hopes = [0.0 if row.proposed else 1.0 for row in rows]
        worth = Worth(len(rows), draft_cost(len(rows), self._model.device.type))
        for _ in range(LONGEST_PROPOSAL):
            hopes = [
                hope if hope > LEAST_HOPE and row.has_room else 0.0
                for row, hope in zip(rows, hopes, strict=True)
            ]
            if not worth.another(acceptance * sum(hopes)):
                break
            cache = self._prefilled()
            tokens, probabilities = self._next(rows, unread or unread_of(rows, cache), cache)
            unread = [[token] if hope else [] for token, hope in zip(tokens, hopes, strict=True)]
            for i, row in enumerate(rows):
                row.proposed += unread[i]
                hopes[i] *= 0.0 if tokens[i] == row.end_of_text else probabilities[i]
            worth.add(sum(hopes))

    def keep(self, rows: Collection[int]) -> None:
        """Keep these rows of the batch, in the order in which the teacher's cache keeps them."""
        if self._cache is None:
            self._rows = [self._rows[i] for i in closed_up(rows)]
        else:
            self._cache.keep(rows)

    def _prefilled(self) -> DecoderCache:
        """The cache, made when it is first needed: where nothing is worth proposing, never."""
        if self._cache is None:
            audio, n_positions = self._audio[self._rows], self._n_positions[self._rows]
            self._cache = self._model.prefill_cache(audio, n_positions, self._max_tokens)
        return self._cache

    def _next(
        self, rows: Sequence[Row], unread: Sequence[Sequence[int]], cache: DecoderCache
    ) -> tuple[list[int], list[float]]:
        """The likeliest next token of each row, and how likely it is."""
        tokens, lengths = ragged(unread)
        states = self._model.read(tokens, lengths, cache)
        last = self._model.logits(at_columns(states, lengths - 1))  # (batch, n_tokens)
        short = self._shortlist
        # Without timestamps the filters say nothing of the tokens of a shortlist: what may never be
        # said is not among them, and the first token of all is never proposed.
        if short is not None and not any(row.request.timestamps for row in rows):
            p, best = last.softmax(-1).max(-1)
            best = short.tokens[best]
        else:
            last = last if short is None else short.spread(last)
            forbid(last, rows, [[row.tokens + row.proposed] for row in rows])
            p, best = last.softmax(-1).max(-1)
        found = fetch(best, p)
        return [int(token) for token, _ in found], [p for _, p in found]

    def _acceptance(self, rows: Sequence[Row]) -> float:
        """The share of proposed tokens that were right, of those that came after right ones."""
        if self._asked:  # before that the drafts were others'
            self._accepted += sum(row.last_accepted for row in rows)
            self._rejected += sum(not row.all_accepted for row in rows)
        self._asked = True
        return self._accepted / (self._accepted + self._rejected)


def unread_of(rows: Sequence[Row], cache: DecoderCache) -> list[list[int]]:
    """What each row has said and the assistant not read, which forgets what it proposed wrongly."""
    said = [row.opening + row.tokens for row in rows]
    cache.truncate(torch.tensor([len(tokens) - 1 for tokens in said]))
    return [tokens[known:] for tokens, known in zip(said, cache.length.tolist(), strict=True)]


def draft_cost(n_rows: int, device: str) -> float:
    """What a token more a row costs, in passes; a GPU multiplies many rows as fast as one."""
    return DRAFT_COST + (ROW_COST * n_rows if device == "cpu" else 0.0)


class Worth:
    """Whether it is worth it to propose another token: if that says more for its cost than so far.

    A pass of the teacher says a token a row in any case, and each proposed one with the probability
    that it is right and all before it were (Leviathan, Kalman and Matias 2023, section 3.3, where
    that is the same for all tokens; here the assistant knows how sure it is of each).
    """

    def __init__(self, n_rows: int, draft_cost: float) -> None:
        self.draft_cost = draft_cost
        """Of a token a row, in passes of the teacher."""
        self.said = float(n_rows)
        """Tokens to be expected of all rows."""
        self.cost = 1.0
        """In passes of the teacher."""

    def another(self, expected: float) -> bool:
        """Whether another token a row is worth it, of which so many are expected to be right."""
        return expected / self.draft_cost > self.said / self.cost

    def add(self, expected: float) -> None:
        """Count a token a row that was proposed."""
        self.said += expected
        self.cost += self.draft_cost
