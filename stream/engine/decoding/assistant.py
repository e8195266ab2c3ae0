"""The assistant: a smaller model that proposes the next tokens, which its teacher verifies.

Speculative decoding (Leviathan, Kalman and Matias 2023; for Whisper: Gandhi, von Platen and Rush
2023): the assistant decodes a few tokens one by one, which is cheap, and the teacher verifies them
all in one pass, which costs little more than decoding one. Tokens that the teacher would not have
chosen are removed, so the output is the teacher's.
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
"""The cost of drafting a token for every row, in teacher passes of one token a row, and what each
row adds because the teacher verifies one token more. They hold for two layers of six on the CPU,
where a pass of one row is bound by reading weights and a pass of many rows by arithmetic. The
passes alone cost a little less (docs/decisions/015); with these values windows are decoded
soonest. Two layers of 32 would cost less, and could draft more."""
MOST_ROWS = 4
"""A larger batch on the CPU gains nothing by drafts, because verifying them takes as much longer as
the pass yields more tokens. When rows have ended, the prefill is not worth it for the others."""
LEAST_CHANCE = 0.1
"""A row's proposal ends if the probability that all of it is right is at most this."""
ACCEPTED, REJECTED = 4, 1
"""Counts of accepted and rejected tokens to start with: a student mostly agrees."""


class Assistant:
    """The assistant's side of one batch. Its rows are in the order of the teacher's."""

    def __init__(self, model: Whisper, audio: Tensor, n_positions: Tensor) -> None:
        """Take a batch that was encoded by the assistant's encoder, or by an equal one.

        Args:
            model: the assistant.
            audio: (batch, n_positions, d_model).
            n_positions: (batch,) long, the positions of each row that are real.
        """
        self._model = model
        self._audio = audio
        self._n_positions = n_positions
        self._rows = list(range(len(audio)))  # rows of the audio that are in the batch
        self._cache: DecoderCache | None = None
        self._max_tokens = 0
        self._pays = model.device.type != "cpu" or len(audio) <= MOST_ROWS
        project = model.decoder.project
        self._shortlist = project if isinstance(project, Shortlist) else None
        self._asked = False
        self._accepted, self._rejected = ACCEPTED, REJECTED

    def make_room(self, max_tokens: int) -> None:
        """Set how many tokens a row may hold; called once, before the first proposal."""
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def propose(self, rows: Sequence[Row]) -> None:
        """Extend the proposals of rows, each of which has at least one token."""
        if not self._pays:
            return
        acceptance = self._acceptance(rows)
        unread: Sequence[Sequence[int]] = ()
        # The probability that a proposal is right; a row that has a draft needs none from here.
        chances = [0.0 if row.proposed else 1.0 for row in rows]
        gain = ProposalGain(len(rows), draft_cost(len(rows), self._model.device.type))
        for _ in range(LONGEST_PROPOSAL):
            chances = [
                chance if chance > LEAST_CHANCE and row.has_room else 0.0
                for row, chance in zip(rows, chances, strict=True)
            ]
            if not gain.another(acceptance * sum(chances)):
                break
            cache = self._prefilled()
            tokens, probabilities = self._next(rows, unread or unread_tokens(rows, cache), cache)
            unread = [
                [token] if chance else [] for token, chance in zip(tokens, chances, strict=True)
            ]
            for i, row in enumerate(rows):
                row.proposed += unread[i]
                chances[i] *= 0.0 if tokens[i] == row.end_of_text else probabilities[i]
            gain.add(sum(chances))

    def keep(self, rows: Collection[int]) -> None:
        """Keep these rows of the batch, in the order of the teacher's cache."""
        if self._cache is None:
            self._rows = [self._rows[i] for i in closed_up(rows)]
        else:
            self._cache.keep(rows)

    def _prefilled(self) -> DecoderCache:
        """Return the cache, which is made on first use."""
        if self._cache is None:
            audio, n_positions = self._audio[self._rows], self._n_positions[self._rows]
            self._cache = self._model.prefill_cache(audio, n_positions, self._max_tokens)
        return self._cache

    def _next(
        self, rows: Sequence[Row], unread: Sequence[Sequence[int]], cache: DecoderCache
    ) -> tuple[list[int], list[float]]:
        """Return the likeliest next token of each row, and its probability."""
        tokens, lengths = ragged(unread)
        states = self._model.read(tokens, lengths, cache)
        last = self._model.logits(at_columns(states, lengths - 1))  # (batch, n_tokens)
        short = self._shortlist
        # Without timestamps the filters forbid no token of a shortlist: it has no suppressed ones,
        # and the first token of a transcript is never proposed.
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
        """Return the share of accepted tokens among those proposed after accepted ones."""
        if self._asked:  # proposals before the first call were not the assistant's
            self._accepted += sum(row.last_accepted for row in rows)
            self._rejected += sum(not row.all_accepted for row in rows)
        self._asked = True
        return self._accepted / (self._accepted + self._rejected)


def unread_tokens(rows: Sequence[Row], cache: DecoderCache) -> list[list[int]]:
    """Return the tokens of each row that are not in the cache, and remove rejected ones from it."""
    decoded = [row.opening + row.tokens for row in rows]
    cache.truncate(torch.tensor([len(tokens) - 1 for tokens in decoded]))
    return [tokens[known:] for tokens, known in zip(decoded, cache.length.tolist(), strict=True)]


def draft_cost(n_rows: int, device: str) -> float:
    """Return the cost of a drafted token a row, in passes; a GPU takes many rows as fast as one."""
    return DRAFT_COST + (ROW_COST * n_rows if device == "cpu" else 0.0)


class ProposalGain:
    """Decides whether another token is proposed: if it yields more for its cost than those so far.

    A pass of the teacher yields a token a row in any case, and each proposed token with the
    probability that it and all before it are right (Leviathan, Kalman and Matias 2023, section 3.3,
    where the probability is the same for all tokens; here the assistant gives one for each).
    """

    def __init__(self, n_rows: int, draft_cost: float) -> None:
        self.draft_cost = draft_cost
        """The cost of a token a row, in passes of the teacher."""
        self.expected_tokens = float(n_rows)
        """Tokens that the next pass is expected to yield, over all rows."""
        self.cost = 1.0
        """The cost of the proposal and the pass, in passes of the teacher."""

    def another(self, expected: float) -> bool:
        """Return whether another token a row pays, if `expected` of them are right on average."""
        return expected / self.draft_cost > self.expected_tokens / self.cost

    def add(self, expected: float) -> None:
        """Count a proposed token a row, of which `expected` are right on average."""
        self.expected_tokens += expected
        self.cost += self.draft_cost
