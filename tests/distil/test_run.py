import json
from dataclasses import replace

import pytest

from stream.distil.run import CHECKPOINT, CURVE, STUDENT, train
from stream.distil.settings import TrainingSettings
from stream.distil.student import untrained
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.errors import UsageError
from tests.distil.small import small_teacher, write_examples

SETTINGS = TrainingSettings(
    steps=60, decay_steps=15, warm_up_steps=4, learning_rate=3e-3, batch=4, held_out=0.2
)


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.fixture(scope="module")
def examples(teacher, tmp_path_factory):
    folder = tmp_path_factory.mktemp("examples")
    write_examples(folder, teacher, n=30)
    return folder


def run(teacher, examples, out, settings=SETTINGS):
    student = untrained(teacher, "student", 2)
    return train(teacher, student, [examples], out, settings, save_every=10, validate_every=20)


def without_clock(rows):
    return [{key: value for key, value in row.items() if key != "cpu_s"} for row in rows]


@pytest.mark.slow
def test_a_training_run_improves_the_student(teacher, examples, tmp_path):
    journal = run(teacher, examples, tmp_path)
    assert [row["step"] for row in journal.validations] == [0, 20, 40, 60]
    first, last = journal.validations[0], journal.validations[-1]
    assert last["loss"] < first["loss"]
    assert [row["step"] for row in journal.progress] == [20, 40, 60]
    student = load_checkpoint(str(tmp_path / STUDENT))
    assert student.dims.decoder_layers == 2
    assert (tmp_path / CURVE).read_text().startswith("<svg xmlns")
    assert "agrees with the teacher" in (tmp_path / CURVE).read_text()


@pytest.mark.slow
def test_a_stopped_training_run_resumes_exactly(teacher, examples, tmp_path):
    whole = run(teacher, examples, tmp_path / "whole")
    # Stopped between checkpoints: what was noted after the last one is done again.
    run(teacher, examples, tmp_path / "stopped", replace(SETTINGS, steps=40, decay_steps=0))
    steps = tmp_path / "stopped" / "steps.jsonl"
    later = {**json.loads(steps.read_text().splitlines()[-1]), "step": 43}
    steps.write_text(steps.read_text() + json.dumps(later) + "\n")
    resumed = run(teacher, examples, tmp_path / "stopped")
    assert without_clock(resumed.validations) == without_clock(whole.validations)
    assert without_clock(resumed.progress) == without_clock(whole.progress)


@pytest.mark.slow
def test_examples_that_came_later_are_not_of_the_run(teacher, tmp_path):
    write_examples(tmp_path / "examples", teacher, n=20)
    half = replace(SETTINGS, steps=20, decay_steps=0)
    run(teacher, tmp_path / "examples", tmp_path / "grown", half)
    write_examples(tmp_path / "alone", teacher, n=20)
    whole = run(teacher, tmp_path / "alone", tmp_path / "whole", replace(SETTINGS, steps=40))
    write_examples(tmp_path / "examples", teacher, n=30)
    grown = run(teacher, tmp_path / "examples", tmp_path / "grown", replace(SETTINGS, steps=40))
    assert without_clock(grown.progress) == without_clock(whole.progress)


def test_examples_of_another_teacher_are_refused(examples, tmp_path):
    with pytest.raises(UsageError, match="teacher with other weights"):
        run(small_teacher(seed=1), examples, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()
