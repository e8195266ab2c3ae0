"""Distilled students that ship with this package, as decoder layers for their teacher.

A student shares its teacher's encoder, embeddings and last norm, so only its decoder layers are
stored, in float16 in `weights/`. Each file is verified by its SHA-256, and has a model card.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from stream.errors import CheckpointError

LAYERS = "model.decoder.layers."
"""Prefix of the names of a student's own weights."""
SHORTLIST = "shortlist"
"""Name of the tensor with the tokens that the student proposes."""
WEIGHTS = Path(__file__).with_name("weights")


@dataclass(frozen=True, slots=True)
class Student:
    """A student with a short name."""

    teacher: str
    """Name of the model whose other weights the student shares."""
    copied: tuple[int, ...]
    """Indices of the teacher's decoder layers from which the student's were initialised."""
    language: str
    """Code of the only language on which it was trained."""
    parameters: int
    """Millions of parameters, including those that it shares with its teacher."""
    sha256: str


STUDENTS: dict[str, Student] = {
    "distil-base.en": Student(
        teacher="base",
        copied=(0, 5),
        language="en",
        parameters=56,
        sha256="dd1e2eb253d5175fcc256965ac2d7e7c8f16a7e09c997a1637d2bd8635fdf726",
    ),
}


def read_layers(name: str, folder: Path = WEIGHTS) -> tuple[dict[str, Tensor], tuple[int, ...]]:
    """Return a student's decoder layers by transformers' names, and the tokens that it proposes.

    Raises:
        CheckpointError: the file is missing, or its hash is wrong; the message has both hashes.
    """
    path, expected = folder / f"{name}.safetensors", STUDENTS[name].sha256
    data = path.read_bytes() if path.is_file() else None
    found = "no file" if data is None else hashlib.sha256(data).hexdigest()
    if data is None or found != expected:
        raise CheckpointError(
            f"{path} has the wrong checksum: expected SHA-256 {expected}, found {found}; "
            "reinstall distil-stream"
        )
    tensors = load(data)
    shortlist = tensors.pop(SHORTLIST).tolist()
    return tensors, tuple(shortlist)


def with_layers(state: Mapping[str, Tensor], layers: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a model with its decoder layers replaced by others."""
    others = {name: tensor for name, tensor in state.items() if not name.startswith(LAYERS)}
    return {**others, **layers}


def heads_of_layers(
    heads: tuple[tuple[int, int], ...], copied: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return the teacher's (layer, head) pairs in copied layers, numbered as in the student."""
    return tuple((copied.index(layer), head) for layer, head in heads if layer in copied)
