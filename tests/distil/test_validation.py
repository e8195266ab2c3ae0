import pytest

from stream.distil.settings import TrainingSettings
from stream.distil.student import untrained
from stream.distil.training import Trainer, student_of
from stream.distil.validation import divide, validate
from stream.engine.checkpoints.students import LAYERS
from stream.engine.network.whisper import Whisper
from tests.distil.small import small_teacher, write_examples


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.fixture(scope="module")
def folder(teacher, tmp_path_factory):
    return write_examples(tmp_path_factory.mktemp("examples"), teacher, n=24)


@pytest.mark.parametrize("part", [0.0, 0.1, 0.5])
def test_whole_runs_are_held_out(folder, part):
    kept = tuple(range(1, 24))
    parts = divide(folder, kept, part, seed=0)
    assert sorted(parts.learnt + parts.held_out) == list(kept)
    assert len(parts.held_out) >= max(1, part * len(kept))
    runs = [{folder.examples[i].run for i in side} for side in (parts.learnt, parts.held_out)]
    assert not runs[0] & runs[1]


def test_another_seed_holds_others_out(folder):
    assert divide(folder, range(24), 0.2, 0) != divide(folder, range(24), 0.2, 1)


def test_a_student_with_all_of_its_teachers_layers_is_its_teacher(folder, teacher):
    network = Whisper.from_checkpoint(teacher, "cpu", "float32")
    student = untrained(teacher, "student", teacher.dims.decoder_layers)
    layers = {name: t for name, t in student.state.items() if name.startswith(LAYERS)}
    settings = TrainingSettings(steps=1, examples=(24,), decay_steps=0)
    trainer = Trainer(student_of(network, layers, student.dims), folder, tuple(range(18)), settings)
    found = validate(trainer, network, student, tuple(range(18, 24)))
    assert found.step == 0
    assert found.accepted == 100
    assert found.tokens_a_pass > 1.5
