import pytest
import torch
import torch.nn.functional as F

from stream.distil.loss import CE_WEIGHT, KL_WEIGHT, ROWS, TEMPERATURE, distillation_loss
from stream.distil.sampled_softmax import all_candidates, draw_candidates


@pytest.fixture(params=[1, 7, ROWS + 3])
def hidden(request):
    torch.manual_seed(request.param)
    student = torch.randn(request.param, 16, requires_grad=True)
    return student, torch.randn(request.param, 16), torch.randint(0, 50, (request.param,))


PROJECTION = torch.randn(50, 16, generator=torch.Generator().manual_seed(3))
ALL = all_candidates(50)


def by_the_book(student, teacher, targets):
    s, t = student @ PROJECTION.T, teacher @ PROJECTION.T
    kl = F.kl_div(
        F.log_softmax(s / TEMPERATURE, -1),
        F.log_softmax(t / TEMPERATURE, -1),
        log_target=True,
        reduction="batchmean",
    )
    return KL_WEIGHT * TEMPERATURE**2 * kl + CE_WEIGHT * F.cross_entropy(s, targets)


def test_the_loss_and_its_gradient_are_those_of_the_formula(hidden):
    student, teacher, targets = hidden
    expected = by_the_book(student, teacher, targets)
    (slope,) = torch.autograd.grad(expected, student)
    loss, judgement = distillation_loss(student, teacher, targets, PROJECTION, ALL)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(student.grad, slope, atol=1e-6, rtol=1e-4)
    assert judgement.loss == pytest.approx(expected.item(), rel=1e-5)


def test_a_copy_of_the_teacher_has_no_divergence(hidden):
    student, _, _ = hidden
    said = (student @ PROJECTION.T).argmax(-1)
    _, judgement = distillation_loss(student, student.detach(), said, PROJECTION, ALL)
    assert judgement.kl == pytest.approx(0, abs=1e-3)
    assert judgement.agreement == 100


def test_drawn_candidates_give_the_loss_of_all_of_them_on_average():
    torch.manual_seed(0)
    student, teacher = torch.randn(9, 16, requires_grad=True), torch.randn(9, 16)
    targets = torch.randint(0, 20, (9,))
    expected = by_the_book(student, teacher, targets)
    (slope,) = torch.autograd.grad(expected, student)
    generator, certain = torch.Generator().manual_seed(0), torch.arange(20)
    losses, slopes = [], []
    for _ in range(400):
        candidates = draw_candidates(certain, 50, 15, generator)
        assert len(candidates.tokens) == 35
        loss, _ = distillation_loss(student, teacher, targets, PROJECTION, candidates)
        losses.append(loss.item())
        slopes += torch.autograd.grad(loss, student)
    # The logarithm of an estimate is a little low, and the less so the more are drawn.
    assert sum(losses) / len(losses) == pytest.approx(expected.item(), rel=0.03)
    mean = torch.stack(slopes).mean(0)
    assert torch.cosine_similarity(mean.flatten(), slope.flatten(), 0) > 0.98


def test_candidates_stand_for_all_tokens():
    generator = torch.Generator().manual_seed(0)
    candidates = draw_candidates(torch.tensor([4, 4, 7]), 50, 6, generator)
    assert len(candidates.tokens) == 8
    assert candidates.log_weights.exp().sum() == pytest.approx(50)
    certain = candidates.columns(torch.tensor([4, 7]))
    assert not candidates.log_weights[certain].any()
    assert draw_candidates(torch.arange(50), 50, 6, generator).tokens.tolist() == list(range(50))
