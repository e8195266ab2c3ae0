import pytest
import torch

from stream.distil.student import (
    half,
    save_checkpoint,
    spaced_layers,
    split_projections,
    untrained,
)
from stream.distil.training import student_of
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.checkpoints.students import LAYERS
from stream.engine.network.whisper import Whisper
from stream.engine.recognizer import check_same_tokens, same_encoder
from stream.errors import UsageError
from tests.distil.small import small_teacher


@pytest.fixture(scope="module")
def teacher():
    return small_teacher()


@pytest.mark.parametrize(
    ("layers", "of", "copied"),
    [(2, 6, (0, 5)), (2, 32, (0, 31)), (3, 6, (0, 2, 5)), (4, 32, (0, 10, 21, 31)),
     (1, 6, (0,)), (6, 6, (0, 1, 2, 3, 4, 5))],
)  # fmt: skip
def test_layers_lie_as_far_apart_as_can_be(layers, of, copied):
    assert spaced_layers(of, layers) == copied


@pytest.mark.parametrize("layers", [0, 7])
def test_no_student_has_more_layers_than_its_teacher(layers):
    with pytest.raises(UsageError, match="has 1 to 6 decoder layers"):
        spaced_layers(6, layers)


def test_an_untrained_student_is_its_teacher_with_fewer_layers(teacher):
    student = untrained(teacher, "student", 2)
    assert student.dims.decoder_layers == 2
    assert same_encoder(teacher, student)
    for name, tensor in student.state.items():
        theirs = name.replace(f"{LAYERS}1.", f"{LAYERS}3.")
        assert tensor is teacher.state[theirs]
    assert student.alignment_heads == ((1, 2),)  # of (1, 0) and (3, 2)
    assert dict(student.vocabulary.languages) == {"en": teacher.vocabulary.languages["en"]}
    check_same_tokens(teacher, student)


def test_a_language_that_the_teacher_lacks(teacher):
    with pytest.raises(UsageError, match="does not support the language 'fr'"):
        untrained(teacher, "student", 2, "fr")


def test_a_student_is_read_as_it_was_saved(teacher, tmp_path):
    student = untrained(teacher, "student", 3, "de")
    save_checkpoint(student, tmp_path / "student")
    read = load_checkpoint(str(tmp_path / "student"))
    assert read.dims == student.dims
    assert read.alignment_heads == student.alignment_heads
    assert read.vocabulary == student.vocabulary
    assert read.state.keys() == student.state.keys()
    assert all(torch.equal(read.state[name], t) for name, t in student.state.items())


def test_transformers_reads_it_too(teacher, tmp_path):
    from transformers import WhisperForConditionalGeneration

    student = untrained(teacher, "student", 2)
    save_checkpoint(student, tmp_path)
    theirs = WhisperForConditionalGeneration.from_pretrained(tmp_path)
    assert theirs.generation_config.lang_to_id == {"<|en|>": student.vocabulary.languages["en"]}
    name = f"{LAYERS}1.encoder_attn.v_proj.weight"
    assert torch.equal(theirs.state_dict()[name], student.state[name])


def test_splitting_undoes_fusing(teacher):
    student = untrained(teacher, "student", 2)
    layers = {name: t for name, t in student.state.items() if name.startswith(LAYERS)}
    network = student_of(Whisper.from_checkpoint(teacher, "cpu", "float32"), layers, student.dims)
    split = split_projections(network.decoder.layers.state_dict())
    assert split.keys() == layers.keys()
    assert all(torch.equal(split[name], layers[name]) for name in layers)
    assert all(t.dtype == torch.float16 for t in half(split).values())
