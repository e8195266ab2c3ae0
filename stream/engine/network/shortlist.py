"""An output projection onto the likely tokens only, which makes a draft cheaper.

A small decoder spends half of its time on the logits of 50 000 tokens, most of which are rare or of
other languages. A draft needs only the common tokens of its language: a missing token costs a
rejected draft, never a wrong word. (After FR-Spec, Zhao et al. 2025, arXiv:2502.14856.)
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class Shortlist(nn.Module):
    """Projects onto some tokens; all others have probability 0."""

    tokens: Tensor

    def __init__(
        self,
        tokens: Sequence[int],
        embedding: Tensor,
        linear: Callable[[Tensor, Tensor | None], nn.Module],
    ) -> None:
        """Make the layer from the rows of an embedding that belong to the tokens.

        Args:
            tokens: ids of the likely tokens.
            embedding: (vocab_size, d_model).
            linear: returns a linear layer for a weight and a bias.
        """
        super().__init__()
        self.vocab_size = len(embedding)
        self.register_buffer("tokens", torch.tensor(tokens, device=embedding.device))
        self.project = linear(embedding[self.tokens], None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the likely tokens, in order: (..., d_model) -> (..., n_tokens)."""
        return self.project(x)  # type: ignore[no-any-return]

    def spread(self, logits: Tensor) -> Tensor:
        """Return logits of the whole vocabulary: (..., n_tokens) -> (..., vocab_size).

        Those of all other tokens are minus infinity.
        """
        everything = logits.new_full((*logits.shape[:-1], self.vocab_size), -torch.inf)
        everything[..., self.tokens] = logits
        return everything
