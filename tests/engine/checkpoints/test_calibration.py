"""What was measured for some weights holds for them under any name, and for no others."""

from dataclasses import replace
from math import isinf

import pytest

from stream.engine.checkpoints.calibration import (
    CALIBRATIONS,
    Calibration,
    calibration_of,
    fingerprint,
)
from stream.engine.checkpoints.checkpoint import load_checkpoint
from stream.engine.checkpoints.embedded_models import converted_folder
from stream.engine.whisper_transcriber import WhisperTranscriber


def test_a_copy_of_base_in_a_folder_of_another_name_is_calibrated_like_base(
    base_checkpoint, tmp_path
):
    copy = tmp_path / "our-meetings"
    copy.symlink_to(converted_folder("base"), target_is_directory=True)
    checkpoint = load_checkpoint(str(copy))
    assert checkpoint.name == str(copy)
    assert calibration_of(checkpoint) == calibration_of(base_checkpoint)
    assert 4 < calibration_of(checkpoint).diffuse_nats < 5


def test_the_fingerprint_is_that_of_the_values_whatever_their_precision(tiny_checkpoint):
    state = {name: tensor.float() for name, tensor in tiny_checkpoint.state.items()}
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    del state["model.encoder.embed_positions.weight"]
    assert fingerprint(replace(tiny_checkpoint, state=state)) == fingerprint(tiny_checkpoint)


def test_another_model_that_is_called_base_is_not_taken_for_it(tiny_checkpoint, base_checkpoint):
    assert fingerprint(tiny_checkpoint) in CALIBRATIONS
    called_base = replace(tiny_checkpoint, name="base")
    assert calibration_of(called_base) == calibration_of(tiny_checkpoint)
    assert calibration_of(called_base) != calibration_of(base_checkpoint)
    fine_tuned = "model.decoder.layers.3.encoder_attn.q_proj.weight"
    state = {**base_checkpoint.state, fine_tuned: base_checkpoint.state[fine_tuned] * 1.01}
    assert calibration_of(replace(base_checkpoint, state=state)) == Calibration()


def test_the_limit_is_that_of_the_alignment_heads(base_checkpoint):
    fewer = replace(base_checkpoint, alignment_heads=base_checkpoint.alignment_heads[1:])
    assert isinf(calibration_of(fewer).diffuse_nats)


@pytest.mark.model
def test_a_guard_that_is_off_is_logged_once_when_the_model_is_loaded(
    tiny_checkpoint, base_checkpoint, caplog
):
    caplog.set_level("INFO")
    fewer_heads = tiny_checkpoint.alignment_heads[1:]
    unknown = replace(tiny_checkpoint, name="base", alignment_heads=fewer_heads)
    for checkpoint in (unknown, replace(base_checkpoint, name="mine")):
        WhisperTranscriber(checkpoint, "float32", "cpu")
    told = [r.getMessage() for r in caplog.records if "not calibrated" in r.getMessage()]
    assert [message.partition(":")[0] for message in told] == ["base"]
