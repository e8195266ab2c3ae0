"""A projection onto the tokens that are likely at all: what makes a draft cheap.

A small decoder spends half of its time on the logits of 50 000 tokens, most of them of other
languages or rare. For a draft it is enough to look at those that its language is made of: what is
missing costs a rejected token, never a wrong word. (After FR-Spec, Zhao et al. 2025,
arXiv:2502.14856.)
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stream.engine.network.quantization import Int8Linear


class Shortlist(nn.Module):
    """Projects onto some tokens; all others are impossible."""

    tokens: Tensor

    def __init__(self, tokens: Sequence[int], embedding: Tensor, *, int8: bool) -> None:
        """Take the tokens' rows of `embedding` (vocab_size, d_model)."""
        super().__init__()
        self.vocab_size = len(embedding)
        self.register_buffer("tokens", torch.tensor(tokens, device=embedding.device))
        rows = embedding[self.tokens]  # (n_tokens, d_model)
        self.project: nn.Module
        if int8:
            self.project = Int8Linear(rows, None)
        else:
            self.project = nn.Linear(rows.shape[1], len(rows), bias=False, device="meta")
            self.project.weight = nn.Parameter(rows, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_model) -> (..., n_tokens) logits, of the tokens in their order."""
        return self.project(x)  # type: ignore[no-any-return]

    def spread(self, logits: Tensor) -> Tensor:
        """(..., n_tokens) -> (..., vocab_size), minus infinity but for the tokens."""
        everything = logits.new_full((*logits.shape[:-1], self.vocab_size), -torch.inf)
        everything[..., self.tokens] = logits
        return everything
