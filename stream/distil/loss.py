"""Computes the distillation loss: distance from the teacher's distribution and from its tokens.

Gandhi et al. (arXiv:2311.00430, section 3.2, equation 5):

    loss = 0.8 · KL(teacher ‖ student) + 1.0 · cross-entropy(teacher's tokens, student)

summed over all tokens of the teacher. The divergence is between the distributions at temperature 2
and multiplied by 2², so that its gradient keeps its size (Hinton, Vinyals and Dean 2015,
arXiv:1503.02531).

A vocabulary has 50 000 tokens, so the logits are by far the largest tensors of a batch. They are
computed for some rows at a time together with their gradient; since the projection is frozen, they
are not needed later.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from stream.distil.sampled_softmax import Candidates

TEMPERATURE = 2.0
KL_WEIGHT = 0.8
CE_WEIGHT = 1.0
ROWS = 128
"""Rows whose logits are in memory at the same time."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The parts of the loss, summed over targets; supports `+` over batches."""

    targets: int = 0
    """Number of targets."""
    kl: float = 0.0
    """Divergence in nats, at the temperature and multiplied by its square."""
    cross_entropy: float = 0.0
    """Nats."""
    agreed: int = 0
    """Targets that are the student's most probable token: drafts that would be accepted."""

    def __add__(self, other: "Judgement") -> "Judgement":
        return Judgement(
            self.targets + other.targets,
            self.kl + other.kl,
            self.cross_entropy + other.cross_entropy,
            self.agreed + other.agreed,
        )

    @property
    def loss(self) -> float:
        """The mean loss of a target."""
        return (KL_WEIGHT * self.kl + CE_WEIGHT * self.cross_entropy) / max(self.targets, 1)

    @property
    def agreement(self) -> float:
        """Agreed targets, in percent of all."""
        return 100 * self.agreed / max(self.targets, 1)


def distillation_loss(
    student: Tensor, teacher: Tensor, targets: Tensor, projection: Tensor, candidates: Candidates
) -> tuple[Tensor, Judgement]:
    """Return the mean loss of all targets, differentiable by `student`, and its parts.

    Args:
        student: (n_targets, d_model), the student's hidden states.
        teacher: (n_targets, d_model), the teacher's hidden states.
        targets: (n_targets,) long, the teacher's tokens.
        projection: (vocab_size, d_model), frozen and the same for both; logits are computed in its
            dtype.
        candidates: the tokens whose logits are computed; they include the targets.
    """
    device = projection.device
    loss, sums = _DistillationLoss.apply(  # type: ignore[no-untyped-call]
        student,
        teacher,
        candidates.columns(targets.cpu()).to(device),
        projection[candidates.tokens.to(device)],
        candidates.log_weights.to(device),
    )
    kl, cross_entropy, agreed = sums.tolist()
    return loss, Judgement(len(targets), kl, cross_entropy, round(agreed))


class _DistillationLoss(Function):
    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        teacher: Tensor,
        targets: Tensor,
        projection: Tensor,
        log_weights: Tensor,
    ) -> tuple[Tensor, Tensor]:
        sums = torch.zeros(3, dtype=torch.float64, device=student.device)
        gradient = torch.empty(student.shape, device=student.device)
        for first in range(0, len(student), ROWS):
            rows = slice(first, first + ROWS)
            judged, slopes = _judge(
                _logits(student[rows], projection),
                _logits(teacher[rows], projection),
                targets[rows],
                log_weights,
            )
            sums += judged
            gradient[rows] = (slopes.to(projection.dtype) @ projection).float()
        ctx.save_for_backward((gradient / len(targets)).to(student.dtype))
        ctx.mark_non_differentiable(sums)
        loss = (KL_WEIGHT * sums[0] + CE_WEIGHT * sums[1]) / len(targets)
        return loss.float(), sums

    @staticmethod
    def backward(ctx: Any, loss: Tensor, _: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return loss * gradient, None, None, None, None


def _logits(hidden: Tensor, projection: Tensor) -> Tensor:
    """(n, d_model) -> (n, n_candidates) float32."""
    return (hidden.to(projection.dtype) @ projection.T).float()


def _judge(
    student: Tensor, teacher: Tensor, targets: Tensor, log_weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Compare the student's logits with the teacher's and with the targets.

    Args:
        student: (n, n_candidates) logits; overwritten.
        teacher: (n, n_candidates) logits; overwritten.
        targets: (n,) long, columns of the candidates.
        log_weights: (n_candidates,), `Candidates.log_weights`.

    Returns:
        (3,) sums of divergence, cross-entropy and agreement; and the gradient of the summed loss
        with respect to the student's logits, (n, n_candidates).
    """
    agreed = (student.argmax(-1) == targets).sum()
    log_p = F.log_softmax(student + log_weights, -1)
    cross_entropy = F.nll_loss(log_p, targets, reduction="sum")
    slopes = log_p.exp_().mul_(CE_WEIGHT)
    slopes[torch.arange(len(targets)), targets] -= CE_WEIGHT

    log_p = F.log_softmax(student.div_(TEMPERATURE).add_(log_weights), -1)
    log_q = F.log_softmax(teacher.div_(TEMPERATURE).add_(log_weights), -1)
    q = log_q.exp()
    kl = TEMPERATURE**2 * (log_q.sub_(log_p).mul_(q)).sum()
    # d(T² KL)/d(logits) = T² · (p - q) / T
    slopes.add_(log_p.exp_().sub_(q), alpha=KL_WEIGHT * TEMPERATURE)
    return torch.stack([kl, cross_entropy, agreed]).double(), slopes
