"""Makes an untrained student from a teacher, and writes students to files.

As in Gandhi et al. (arXiv:2311.00430, section 3.1), after Shleifer and Rush (arXiv:2010.13002), the
encoder is that of the teacher and is frozen; the student's decoder layers are copies of maximally
spaced layers of the teacher. In the paper, embeddings and the last norm are copied and trained.
Here they are frozen, too, so that a student consists of its decoder layers only.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import Tensor

from stream.engine.checkpoints.checkpoint import Checkpoint, as_student
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.checkpoints.students import LAYERS, SHORTLIST
from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.errors import UsageError


def spaced_layers(teacher_layers: int, student_layers: int) -> tuple[int, ...]:
    """Return the layers that a student copies: the first, the last, and evenly between them.

    Raises:
        UsageError: the teacher has fewer layers than the student needs.
    """
    if not 1 <= student_layers <= teacher_layers:
        raise UsageError(f"A student of this teacher has 1 to {teacher_layers} decoder layers.")
    steps = max(student_layers - 1, 1)
    return tuple(round(i * (teacher_layers - 1) / steps) for i in range(student_layers))


def untrained(
    teacher: Checkpoint, name: str, student_layers: int, language: str = "en"
) -> Checkpoint:
    """Return an untrained student; all its weights are the teacher's tensors.

    Args:
        teacher: the teacher.
        name: name of the student.
        student_layers: number of decoder layers.
        language: the one language that the student transcribes.

    Raises:
        UsageError: the teacher does not support the language, or has fewer layers than needed.
    """
    copied = spaced_layers(teacher.dims.decoder_layers, student_layers)
    if teacher.vocabulary.multilingual and language not in teacher.vocabulary.languages:
        raise UsageError(f"{teacher.name} does not support the language {language!r}.")
    return as_student(teacher, name, renumbered(teacher.state, copied), copied, language)


def renumbered(state: Mapping[str, Tensor], copied: tuple[int, ...]) -> dict[str, Tensor]:
    """Return the weights of the copied decoder layers, with their names in the student."""
    layers: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if name.startswith(LAYERS):
            number, _, rest = name.removeprefix(LAYERS).partition(".")
            layers |= {
                f"{LAYERS}{i}.{rest}": tensor
                for i, layer in enumerate(copied)
                if layer == int(number)
            }
    return layers


def split_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert the weights of our decoder layers to transformers' names.

    This is the inverse of `fuse_projections`.

    Args:
        state: weights of `Whisper.decoder.layers`, such as `0.self_attn.qkv.weight`.
    """
    split: dict[str, Tensor] = {}
    for name, tensor in state.items():
        stem, _, last = f"{LAYERS}{name}".rpartition(".")
        attention, _, letters = stem.rpartition(".")
        if letters not in ("qkv", "kv"):
            split[f"{LAYERS}{name}"] = tensor
            continue
        for letter, part in zip(letters, tensor.chunk(len(letters)), strict=True):
            if (letter, last) != ("k", "bias"):  # keys have no bias in Whisper
                split[f"{attention}.{letter}_proj.{last}"] = part.contiguous()
    return split


def save_checkpoint(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a model to a folder in the format of transformers, which `load_checkpoint` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    config = transformers_config(checkpoint.dims) | token_ids(checkpoint.vocabulary)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    settings = transformers_generation_config(checkpoint)
    (folder / "generation_config.json").write_text(json.dumps(settings, indent=1) + "\n")
    checkpoint.tokenizer.save(str(folder / "tokenizer.json"))
    state = {n: t.contiguous() for n, t in checkpoint.state.items() if n != "proj_out.weight"}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def packed(student: Checkpoint) -> bytes:
    """Return a student's decoder layers in float16 and its shortlist, as a safetensors file."""
    layers = {name: tensor for name, tensor in student.state.items() if name.startswith(LAYERS)}
    shortlist = torch.tensor(student.shortlist, dtype=torch.int32)
    return save({**half(layers), SHORTLIST: shortlist}, metadata={"format": "pt"})


def transformers_config(dims: WhisperDims) -> dict[str, Any]:
    """Return the sizes of a model for transformers' `config.json`."""
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "activation_function": "gelu",
        "scale_embedding": False,
        "num_mel_bins": dims.n_mels,
        "d_model": dims.d_model,
        "encoder_layers": dims.encoder_layers,
        "encoder_attention_heads": dims.encoder_heads,
        "encoder_ffn_dim": dims.encoder_ffn,
        "decoder_layers": dims.decoder_layers,
        "decoder_attention_heads": dims.decoder_heads,
        "decoder_ffn_dim": dims.decoder_ffn,
        "vocab_size": dims.vocab_size,
        "max_source_positions": dims.max_positions,
        "max_target_positions": dims.max_tokens,
    }


def token_ids(vocabulary: Vocabulary) -> dict[str, int]:
    """Return the ids of the start and end tokens, by their names in both configuration files."""
    end = vocabulary.end_of_text
    ids = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), end)
    return {**ids, "decoder_start_token_id": vocabulary.start_of_transcript}


def transformers_generation_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return the contents of transformers' `generation_config.json` for a model."""
    vocabulary = checkpoint.vocabulary
    tasks = {"transcribe": vocabulary.transcribe, "translate": vocabulary.translate}
    return {
        **token_ids(vocabulary),
        "alignment_heads": [list(head) for head in checkpoint.alignment_heads],
        "suppress_tokens": list(vocabulary.suppressed),
        "begin_suppress_tokens": list(vocabulary.suppressed_at_start),
        "is_multilingual": vocabulary.multilingual,
        "shortlist": list(checkpoint.shortlist),
        "no_timestamps_token_id": vocabulary.no_timestamps,
        "task_to_id": tasks,
        "lang_to_id": {f"<|{code}|>": token for code, token in vocabulary.languages.items()},
    }


def half(layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return weights in float16 on the CPU."""
    return {name: tensor.detach().to("cpu", torch.float16) for name, tensor in layers.items()}
