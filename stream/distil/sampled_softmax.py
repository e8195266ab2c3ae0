"""A part of the vocabulary that stands for all of it, so that a step costs a third less.

Half of a step is the logits of 50 000 tokens, of which a batch has a use for few. Those that are
likely in the language and those that the teacher says are always among the candidates; of all
others a few are drawn anew in each step, and each stands for as many as it was drawn from: the sum
under the softmax is estimated by importance sampling (Jean, Cho, Memisevic and Bengio 2015,
arXiv:1412.2007, with a uniform proposal for the unlikely).
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
    """(n,) float32: the logarithm of how many tokens each stands for."""

    def columns(self, tokens: Tensor) -> Tensor:
        """Where these tokens, of any shape, are among the candidates; all must be."""
        return torch.searchsorted(self.tokens, tokens)


def draw_candidates(
    certain: Tensor, vocab_size: int, n_drawn: int, generator: torch.Generator
) -> Candidates:
    """Choose the candidates of a step.

    Args:
        certain: (n,) long, on the CPU: tokens that stand for themselves; may repeat.
        vocab_size: tokens there are.
        n_drawn: how many of the others to draw.
        generator: of chance.
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
    """Every token, standing for itself."""
    return Candidates(torch.arange(vocab_size), torch.zeros(vocab_size))
