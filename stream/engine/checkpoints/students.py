"""Distilled students that ship with this package: decoder layers, to be joined with their teacher.

A student shares its teacher's encoder, embeddings and last norm, so only its decoder layers are
stored, in float16 under `weights/`; each file is verified by its SHA-256, and has a model card.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors.torch import load
from torch import Tensor

from stream.errors import CheckpointError

LAYERS = "model.decoder.layers."
"""The prefix of the names of a student's own weights."""
SHORTLIST = "shortlist"
"""Name of the tensor with the tokens that the student proposes."""
WEIGHTS = Path(__file__).with_name("weights")


@dataclass(frozen=True, slots=True)
class Student:
    """A student with a short name."""

    teacher: str
    """Name of the model whose other weights it shares."""
    copied: tuple[int, ...]
    """The teacher's decoder layers from which its own were initialised."""
    language: str
    """The only one that it was trained on."""
    parameters: int
    """Millions, including those of the teacher that it shares."""
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
        CheckpointError: the file is missing or wrong; names it, the expected and the found hash.
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
    """Return a model's weights with other decoder layers."""
    others = {name: tensor for name, tensor in state.items() if not name.startswith(LAYERS)}
    return {**others, **layers}


def heads_of_layers(
    heads: tuple[tuple[int, int], ...], copied: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return a teacher's (layer, head) pairs in the copied layers, by the student's layers."""
    return tuple((copied.index(layer), head) for layer, head in heads if layer in copied)
