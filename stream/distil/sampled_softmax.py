"""Estimates the softmax from a part of the vocabulary, which makes a training step a third cheaper.

Half of a step's time is spent on the logits of 50 000 tokens, most of which do not matter for a
batch. The candidates always include the tokens that are frequent in the language and the teacher's
tokens. Some of the other tokens are drawn at random in each step, and each has the weight of those
that it represents: the sum in the softmax is estimated by importance sampling (Jean, Cho, Memisevic
and Bengio 2015, arXiv:1412.2007, with a uniform proposal for the other tokens).
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The tokens whose logits are computed."""

    tokens: Tensor
    """(n,) long, in order."""
    log_weights: Tensor
    """(n,) float32: the logarithm of the number of tokens that each represents."""

    def columns(self, tokens: Tensor) -> Tensor:
        """Return the indices of tokens (any shape) among the candidates; all must be candidates."""
        return torch.searchsorted(self.tokens, tokens)


def draw_candidates(
    certain: Tensor, vocab_size: int, n_drawn: int, generator: torch.Generator
) -> Candidates:
    """Choose the candidates of a step.

    Args:
        certain: (n,) long, on the CPU: tokens that represent only themselves; may repeat.
        vocab_size: number of tokens in the vocabulary.
        n_drawn: number of other tokens to draw.
        generator: the random generator.
    """
    weights = torch.zeros(vocab_size)
    weights[certain] = 1
    others = (weights == 0).nonzero()[:, 0]
    if n_drawn and len(others):
        drawn = others[torch.randperm(len(others), generator=generator)[:n_drawn]]
        weights[drawn] = len(others) / len(drawn)
    tokens = weights.nonzero()[:, 0]
    return Candidates(tokens, weights[tokens].log())


def all_candidates(vocab_size: int) -> Candidates:
    """Return candidates for the exact softmax: every token represents itself."""
    return Candidates(torch.arange(vocab_size), torch.zeros(vocab_size))
