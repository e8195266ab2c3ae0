"""A projection onto the tokens that are likely at all: what makes a draft cheap.

A small decoder spends half of its time on the logits of 50 000 tokens, most of them of other
languages or rare. For a draft it is enough to look at those that its language is made of: what is
missing costs a rejected token, never a wrong word. (After FR-Spec, Zhao et al. 2025,
arXiv:2502.14856.)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Shortlist(nn.Module):
    """Projects onto some tokens; all others are impossible."""

    tokens: Tensor

    def __init__(
        self,
        tokens: Sequence[int],
        embedding: Tensor,
        linear: Callable[[Tensor, Tensor | None], nn.Module],
    ) -> None:
        """Take the tokens' rows of `embedding` (vocab_size, d_model); `linear` makes the layer."""
        super().__init__()
        self.vocab_size = len(embedding)
        self.register_buffer("tokens", torch.tensor(tokens, device=embedding.device))
        self.project = linear(embedding[self.tokens], None)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_model) -> (..., n_tokens) logits, of the tokens in their order."""
        return self.project(x)  # type: ignore[no-any-return]

    def spread(self, logits: Tensor) -> Tensor:
        """(..., n_tokens) -> (..., vocab_size), minus infinity but for the tokens."""
        everything = logits.new_full((*logits.shape[:-1], self.vocab_size), -torch.inf)
        everything[..., self.tokens] = logits
        return everything
