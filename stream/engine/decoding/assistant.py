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
"""The cost of drafting one token for every row, and the additional cost for each row because the
teacher verifies one more token. The unit is a teacher pass of one token a row. The values hold for
an assistant with two of the teacher's six layers on the CPU, where a pass of one row is limited by
reading weights and a pass of many rows by arithmetic. The measured cost of the passes is slightly
lower (docs/decisions/015), but with these values windows are decoded fastest. An assistant with two
of 32 layers would cost less, and could draft more."""
MOST_ROWS = 4
"""On the CPU the assistant is used only for batches that begin with at most this many rows. In a
larger batch a pass takes longer in proportion to the tokens that it verifies, so drafts gain
nothing. When rows of such a batch have ended, the assistant is still not used: its prefill would
cost more than it saves."""
LEAST_CHANCE = 0.1
"""The proposal of a row ends if the probability that all of it is correct is at most this."""
ACCEPTED, REJECTED = 4, 1
"""Initial counts of accepted and rejected tokens: a student usually agrees with its teacher."""


class Assistant:
    """Proposes tokens for the rows of one batch, which have the same order as the teacher's."""

    def __init__(self, model: Whisper, audio: Tensor, n_positions: Tensor) -> None:
        """Start with all rows of a batch; the first proposal fills the cache.

        Args:
            model: the assistant.
            audio: (batch, n_positions, d_model), from the assistant's encoder or an equal one.
            n_positions: (batch,) long, number of real positions of each row.
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
        """Set the greatest number of tokens in a row; call it once, before the first proposal."""
        self._max_tokens = max_tokens

    @torch.inference_mode()
    def propose(self, rows: Sequence[Row]) -> None:
        """Append tokens to the proposals of all rows, each of which must have at least one token.

        The number of tokens is that which is expected to save the most time, and may be 0. Rows
        that already have a proposal from a draft are not extended.
        """
        if not self._pays:
            return
        acceptance = self._acceptance(rows)
        unread: Sequence[Sequence[int]] = ()
        # The probability that each proposal is correct; 0 excludes the rows that have a draft.
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
        """Remove all rows of the batch but these, in the same way as `DecoderCache.keep`."""
        if self._cache is None:
            self._rows = [self._rows[i] for i in closed_up(rows)]
        else:
            self._cache.keep(rows)

    def _prefilled(self) -> DecoderCache:
        """Return the cache, which is created on first use."""
        if self._cache is None:
            audio, n_positions = self._audio[self._rows], self._n_positions[self._rows]
            self._cache = self._model.prefill_cache(audio, n_positions, self._max_tokens)
        return self._cache

    def _next(
        self, rows: Sequence[Row], unread: Sequence[Sequence[int]], cache: DecoderCache
    ) -> tuple[list[int], list[float]]:
        """Return the most probable next token of each row, and its probability.

        Args:
            rows: the rows of the batch.
            unread: tokens of each row that the cache lacks.
            cache: advanced by these tokens.
        """
        tokens, lengths = ragged(unread)
        states = self._model.read(tokens, lengths, cache)
        last = self._model.logits(at_columns(states, lengths - 1))  # (batch, n_tokens)
        short = self._shortlist
        # Without timestamps the filters forbid no token of a shortlist, because it contains no
        # suppressed tokens, and the first token of a transcript is never proposed.
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
        """Return the fraction of proposed tokens that the teacher accepted so far.

        Tokens after the first rejected one of a proposal do not count.
        """
        if self._asked:  # proposals before the first call came from a draft
            self._accepted += sum(row.last_accepted for row in rows)
            self._rejected += sum(not row.all_accepted for row in rows)
        self._asked = True
        return self._accepted / (self._accepted + self._rejected)


def unread_tokens(rows: Sequence[Row], cache: DecoderCache) -> list[list[int]]:
    """Return the tokens of each row that the cache lacks, and remove rejected tokens from it."""
    decoded = [row.opening + row.tokens for row in rows]
    cache.truncate(torch.tensor([len(tokens) - 1 for tokens in decoded]))
    return [tokens[known:] for tokens, known in zip(decoded, cache.length.tolist(), strict=True)]


def draft_cost(n_rows: int, device: str) -> float:
    """Return the cost of drafting one token for each row, in teacher passes.

    On a GPU it does not depend on the number of rows.
    """
    return DRAFT_COST + (ROW_COST * n_rows if device == "cpu" else 0.0)


class ProposalGain:
    """Decides whether to propose one more token for each row before the teacher verifies all.

    It is proposed if it yields more expected tokens for its cost than the pass has without it.
    A pass of the teacher always yields one token for each row. It yields a proposed token with the
    probability that this token and all before it are correct (Leviathan, Kalman and Matias 2023,
    section 3.3, where all tokens have the same probability; here the assistant estimates each).
    """

    def __init__(self, n_rows: int, draft_cost: float) -> None:
        self.draft_cost = draft_cost
        """The cost of proposing one more token for each row, in teacher passes."""
        self.expected_tokens = float(n_rows)
        """The number of tokens that the next pass is expected to yield, over all rows."""
        self.cost = 1.0
        """The cost of the proposals and the pass, in teacher passes."""

    def another(self, expected: float) -> bool:
        """Return whether it is worthwhile to propose another token for each row.

        Args:
            expected: number of these tokens, over all rows, that are correct on average.
        """
        return expected / self.draft_cost > self.expected_tokens / self.cost

    def add(self, expected: float) -> None:
        """Add one proposed token for each row, of which `expected` are correct on average."""
        self.expected_tokens += expected
        self.cost += self.draft_cost
