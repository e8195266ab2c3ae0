import pytest
import torch
import torch.nn.functional as F

from stream.distil.loss import CE_WEIGHT, KL_WEIGHT, ROWS, TEMPERATURE, distillation_loss


@pytest.fixture(params=[1, 7, ROWS + 3])
def hidden(request):
    torch.manual_seed(request.param)
    student = torch.randn(request.param, 16, requires_grad=True)
    return student, torch.randn(request.param, 16), torch.randint(0, 50, (request.param,))


PROJECTION = torch.randn(50, 16, generator=torch.Generator().manual_seed(3))


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
    loss, judgement = distillation_loss(student, teacher, targets, PROJECTION)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(student.grad, slope, atol=1e-6, rtol=1e-4)
    assert judgement.loss == pytest.approx(expected.item(), rel=1e-5)


def test_a_student_that_is_its_teacher_diverges_nowhere(hidden):
    student, _, _ = hidden
    said = (student @ PROJECTION.T).argmax(-1)
    _, judgement = distillation_loss(student, student.detach(), said, PROJECTION)
    assert judgement.kl == pytest.approx(0, abs=1e-3)
    assert judgement.agreement == 100
