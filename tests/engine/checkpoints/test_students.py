import hashlib

import pytest
import torch
from safetensors.torch import save_file

from stream.engine.checkpoints import students
from stream.engine.checkpoints.checkpoint import as_student, list_models, load_checkpoint
from stream.engine.checkpoints.students import (
    LAYERS,
    STUDENTS,
    WEIGHTS,
    heads_of_layers,
    read_layers,
    with_layers,
)
from stream.engine.recognizer import check_same_tokens, same_encoder
from stream.errors import CheckpointError


@pytest.mark.parametrize("name", STUDENTS)
def test_the_shipped_weights_are_those_that_were_trained(name):
    layers, shortlist = read_layers(name)
    student = STUDENTS[name]
    assert {key.removeprefix(LAYERS).split(".")[0] for key in layers} == {
        str(i) for i in range(len(student.copied))
    }
    assert all(tensor.dtype == torch.float16 for tensor in layers.values())
    assert len(shortlist) > 12_000
    assert (WEIGHTS / f"{name}.md").read_text().startswith(f"# {name}")


@pytest.mark.parametrize("harm", ["changed", "missing"])
def test_other_weights_are_refused(tmp_path, harm):
    (name, student) = next(iter(STUDENTS.items()))
    path = tmp_path / f"{name}.safetensors"
    if harm == "changed":
        save_file({f"{LAYERS}0.fc1.bias": torch.zeros(2)}, path)
    found = hashlib.sha256(path.read_bytes()).hexdigest() if harm == "changed" else "no file"
    with pytest.raises(CheckpointError) as caught:
        read_layers(name, tmp_path)
    assert all(part in str(caught.value) for part in (str(path), student.sha256, found))


def test_layers_take_the_place_of_layers():
    state = {f"{LAYERS}0.fc1.bias": 0, f"{LAYERS}5.fc1.bias": 5, "model.decoder.layer_norm.bias": 1}
    joined = with_layers(state, {f"{LAYERS}1.fc1.bias": 7})
    assert joined == {"model.decoder.layer_norm.bias": 1, f"{LAYERS}1.fc1.bias": 7}


def test_heads_go_with_their_layers():
    assert heads_of_layers(((3, 1), (5, 1), (0, 7)), (0, 5)) == ((1, 1), (0, 7))


def test_students_are_listed_after_what_they_are_built_on():
    names = [row.name for row in list_models()]
    assert names.index("distil-base.en") == names.index("base") + 1


@pytest.mark.model
def test_a_student_is_its_teacher_but_for_its_layers(base_checkpoint):
    student = load_checkpoint("distil-base.en")
    assert student.dims.decoder_layers == 2
    assert dict(student.vocabulary.languages) == {"en": base_checkpoint.vocabulary.languages["en"]}
    assert same_encoder(base_checkpoint, student)
    check_same_tokens(base_checkpoint, student)
    others = [name for name in student.state if not name.startswith(LAYERS)]
    assert all(torch.equal(student.state[n], base_checkpoint.state[n]) for n in others)
    parameters = sum(tensor.numel() for tensor in student.state.values())
    assert round(parameters / 1e6) == STUDENTS["distil-base.en"].parameters
    again = as_student(base_checkpoint, "again", read_layers("distil-base.en")[0], (0, 5), "en")
    assert again.state.keys() == student.state.keys()
    assert students.STUDENTS["distil-base.en"].teacher == "base"
