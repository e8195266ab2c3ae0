"""Reads a Whisper model in CTranslate2's format, and renames its weights as transformers does.

The layout of `model.bin` (`ctranslate2/specs/model_spec.py`, binary version 6), little-endian:
version u32, name of the specification, revision u32, count u32 of variables, and for each its
name, rank u8, sizes u32, type u8, byte count u32 and the bytes; then count u32 of aliases, each an
alias and a variable. A string is its length u16, closing zero byte included, and its bytes.
"""

import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stream.errors import CheckpointError

BINARY_VERSION = 6
_TYPES: tuple[str, ...] = ("<f4", "<i1", "<i2", "<i4", "<f2", "<i2")
"""numpy's name for each type id; the last one is bfloat16, which is read as integers."""
_BFLOAT16 = 5


def read_model_bin(data: bytes, path: Path) -> dict[str, Tensor]:
    """Return the variables of a `model.bin`, with quantised ones converted to float.

    Args:
        data: content of the file.
        path: path of the file, for messages.

    Raises:
        CheckpointError: the file is truncated, or not a Whisper model of binary version 6.
    """
    reader = _Reader(data, path)
    try:
        version, specification = reader.number("I"), reader.string()
        if (version, specification) != (BINARY_VERSION, "WhisperSpec"):
            raise CheckpointError(
                f"{path}: holds a {specification} of binary version {version}, "
                f"not a WhisperSpec of version {BINARY_VERSION}"
            )
        reader.number("I")  # the revision of the specification only adds optional variables
        variables = dict(reader.variable() for _ in range(reader.number("I")))
    except ValueError as error:  # a name that is not text, or sizes that do not fit
        raise CheckpointError(f"{path} is damaged: {error}") from error
    # Aliases follow. Whisper has one: the output projection is the token embedding.
    for name in [name for name in variables if f"{name}_scale" in variables]:
        variables[name] = variables[name] / variables.pop(f"{name}_scale").unsqueeze(-1)
    return variables


class _Reader:
    """Reads values from the file in order."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data = memoryview(data)
        self.path = path
        self.offset = 0

    def take(self, size: int) -> memoryview:
        end = self.offset + size
        if end > len(self.data):
            raise CheckpointError(
                f"{self.path} is truncated: expected at least {end} bytes, found {len(self.data)}"
            )
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def number(self, kind: str) -> int:
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0])

    def string(self) -> str:
        return bytes(self.take(self.number("H"))[:-1]).decode()

    def variable(self) -> tuple[str, Tensor]:
        name = self.string()
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind = self.number("B")
        if kind >= len(_TYPES):
            raise CheckpointError(f"{self.path}: {name} is of the unknown type {kind}")
        # A copy, because the variables are not aligned in the file.
        values = np.frombuffer(self.take(self.number("I")), _TYPES[kind]).reshape(shape).copy()
        tensor = torch.from_numpy(values)
        return name, tensor.view(torch.bfloat16) if kind == _BFLOAT16 else tensor


_PATH = re.compile(
    r"(?P<half>encoder|decoder)/(layer_(?P<layer>\d+)/)?(?P<block>.+)/(?P<parameter>\w+)"
)
_BLOCKS = {
    "conv1": "conv1",
    "conv2": "conv2",
    "layer_norm": "layer_norm",
    "self_attention/layer_norm": "self_attn_layer_norm",
    "attention/layer_norm": "encoder_attn_layer_norm",
    "ffn/layer_norm": "final_layer_norm",
    "ffn/linear_0": "fc1",
    "ffn/linear_1": "fc2",
    "self_attention/linear_0": "self_attn.qkv",
    "self_attention/linear_1": "self_attn.out_proj",
    "attention/linear_0": "encoder_attn.q_proj",
    "attention/linear_1": "encoder_attn.kv",
    "attention/linear_2": "encoder_attn.out_proj",
    "position_encodings": "embed_positions",
    "embeddings": "embed_tokens",
}
_PARAMETERS = {"gamma": "weight", "beta": "bias", "encodings": "weight"}


def transformers_state(variables: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by transformers' names, with the stacked projections split."""
    state: dict[str, Tensor] = {}
    for path, tensor in variables.items():
        match = _PATH.fullmatch(path)
        if match is None or match["block"] not in _BLOCKS:
            continue  # a setting, not a weight
        layer = f"layers.{match['layer']}." if match["layer"] else ""
        prefix = f"model.{match['half']}.{layer}{_BLOCKS[match['block']]}"
        parameter = _PARAMETERS.get(match["parameter"], match["parameter"])
        stem, _, letters = prefix.rpartition(".")
        if letters not in ("qkv", "kv"):
            state[f"{prefix}.{parameter}"] = tensor
            continue
        for letter, part in zip(letters, tensor.chunk(len(letters)), strict=True):
            if (letter, parameter) != ("k", "bias"):  # all zeros: Whisper's keys have no bias
                state[f"{stem}.{letter}_proj.{parameter}"] = part
    return state


def transformers_config(variables: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the sizes of the model by their names in transformers' `config.json`."""
    state = transformers_state(variables)
    layers = [
        len({name.split(".")[3] for name in state if name.startswith(f"model.{half}.layers.")})
        for half in ("encoder", "decoder")
    ]
    vocab_size, d_model = state["model.decoder.embed_tokens.weight"].shape
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "model_type": "whisper",
        "activation_function": "gelu",
        "scale_embedding": False,
        "num_mel_bins": state["model.encoder.conv1.weight"].shape[1],
        "d_model": d_model,
        "encoder_layers": layers[0],
        "decoder_layers": layers[1],
        "encoder_attention_heads": int(variables["encoder/num_heads"]),
        "decoder_attention_heads": int(variables["decoder/num_heads"]),
        "encoder_ffn_dim": len(state["model.encoder.layers.0.fc1.weight"]),
        "decoder_ffn_dim": len(state["model.decoder.layers.0.fc1.weight"]),
        "vocab_size": vocab_size,
        "max_source_positions": len(state["model.encoder.embed_positions.weight"]),
        "max_target_positions": len(state["model.decoder.embed_positions.weight"]),
    }


def transformers_generation_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of CTranslate2's `config.json` by their names in transformers'."""
    return {
        "alignment_heads": config.get("alignment_heads"),
        "suppress_tokens": config.get("suppress_ids"),
        "begin_suppress_tokens": config.get("suppress_ids_begin"),
    }
