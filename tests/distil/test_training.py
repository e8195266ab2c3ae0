from dataclasses import replace

import pytest
import torch

from stream.distil.settings import TrainingSettings
from stream.distil.student import untrained
from stream.distil.training import Trainer, student_of
from stream.engine.checkpoints.students import LAYERS
from stream.engine.network.whisper import Whisper
from stream.errors import UsageError
from tests.distil.small import small_teacher, write_examples

SETTINGS = TrainingSettings(
    steps=40, examples=(24,), decay_steps=10, warm_up_steps=4, learning_rate=3e-3, batch=4
)


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.fixture(scope="module")
def folder(teacher, tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples"), teacher)


def a_trainer(teacher, folder, settings=SETTINGS) -> Trainer:
    student = untrained(teacher, "student", 2)
    layers = {name: t for name, t in student.state.items() if name.startswith(LAYERS)}
    network = student_of(Whisper.from_checkpoint(teacher, "cpu", "float32"), layers, student.dims)
    return Trainer(network, folder, tuple(range(20)), settings)


def losses(trainer, steps=None):
    taken = []
    for step in trainer.steps():
        taken.append((step.number, step.judgement.loss, step.gradient_norm))
        if step.number == steps:
            break
    return taken


def weights(trainer):
    return {name: p.detach().clone() for name, p in trainer.layers.named_parameters()}


@pytest.mark.slow
def test_the_loss_falls(teacher, folder):
    found = [loss for _, loss, _ in losses(a_trainer(teacher, folder))]
    assert len(found) == SETTINGS.steps
    assert sum(found[-5:]) < 0.7 * sum(found[:5])


@pytest.mark.slow
def test_a_training_run_with_the_same_seed_is_identical(teacher, folder):
    one, other = a_trainer(teacher, folder), a_trainer(teacher, folder)
    assert losses(one) == losses(other)
    assert all(torch.equal(w, weights(other)[name]) for name, w in weights(one).items())


def test_another_seed_is_another_run(teacher, folder):
    other = replace(SETTINGS, seed=1)
    assert losses(a_trainer(teacher, folder), 3) != losses(a_trainer(teacher, folder, other), 3)


@pytest.mark.slow
@pytest.mark.parametrize("stopped_at", [1, 5, 33])
def test_an_interrupted_run_goes_on_exactly(teacher, folder, tmp_path, stopped_at):
    whole = a_trainer(teacher, folder)
    expected = losses(whole)
    stopped = a_trainer(teacher, folder)
    before = losses(stopped, stopped_at)
    stopped.save(tmp_path / "checkpoint.safetensors")
    resumed = a_trainer(teacher, folder)
    resumed.load(tmp_path / "checkpoint.safetensors")
    assert before + losses(resumed) == expected
    assert all(torch.equal(w, weights(resumed)[name]) for name, w in weights(whole).items())


@pytest.mark.slow
def test_a_training_run_may_be_prolonged_until_its_rate_falls(teacher, folder, tmp_path):
    path, longer = tmp_path / "checkpoint.safetensors", replace(SETTINGS, steps=60)
    stopped = a_trainer(teacher, folder)
    before = losses(stopped, 30)
    stopped.save(path)
    prolonged = a_trainer(teacher, folder, longer)
    prolonged.load(path)
    assert before + losses(prolonged) == losses(a_trainer(teacher, folder, longer))
    losses(stopped, 31)
    stopped.save(path)
    with pytest.raises(UsageError, match="begun to lower its learning rate towards step 40"):
        a_trainer(teacher, folder, longer).load(path)


def test_a_different_run_is_not_resumed(teacher, folder, tmp_path):
    stopped = a_trainer(teacher, folder)
    losses(stopped, 1)
    stopped.save(tmp_path / "checkpoint.safetensors")
    other = a_trainer(teacher, folder, replace(SETTINGS, batch=5, learning_rate=1e-4))
    with pytest.raises(UsageError, match=r"other settings \(learning_rate, batch\)"):
        other.load(tmp_path / "checkpoint.safetensors")


def test_only_the_students_layers_learn(teacher, folder):
    trainer = a_trainer(teacher, folder)
    before = {name: p.detach().clone() for name, p in trainer.student.named_parameters()}
    losses(trainer, 3)
    changed = {
        name.split(".")[1]
        for name, p in trainer.student.named_parameters()
        if not torch.equal(p, before[name])
    }
    assert changed == {"layers"}
    for name, p in trainer.layers.named_parameters():
        if name.endswith("qkv.bias"):
            d_model = teacher.dims.d_model
            assert not p[d_model : 2 * d_model].any()  # keys have no bias


def test_the_rate_rises_stays_and_falls():
    rates = [SETTINGS.rate(step) for step in range(SETTINGS.steps)]
    assert rates[:5] == pytest.approx([SETTINGS.learning_rate * f for f in (0.25, 0.5, 0.75, 1, 1)])
    assert rates[30] == rates[10] == SETTINGS.learning_rate
    assert rates[-1] == pytest.approx(SETTINGS.learning_rate / 10)
