"""Settings that were measured for particular weights, found by a fingerprint of those weights.

A model's name says little about its weights: a folder may have any name, and a fine-tuned model may
be called `base`. So the table is keyed by the weights themselves. Weights that are not in it get
the defaults, and do without the guards that need a measured limit.
"""

import hashlib
from dataclasses import dataclass
from math import inf

import torch

from stream.engine.checkpoints.checkpoint import Checkpoint

DEFAULT_MARGIN_S = 2.0
"""Seconds of silence after the speech, for weights that were not measured."""

VALUES_PER_TENSOR = 64
"""How many values of each tensor the fingerprint reads, at most: a model of the size of base takes
10 ms, and training moves nearly every value of the tensors that it changes."""
CONSTANT = "model.encoder.embed_positions.weight"
"""Sines of fixed frequencies: a tensor that is no weight, and that some files leave out."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured for some weights; the defaults are those of weights not measured."""

    margin_s: float = DEFAULT_MARGIN_S
    """Seconds of silence that are encoded after the speech (`bench margins`)."""
    diffuse_nats: float = inf
    """The limit of `guards.diffuse`. It depends on the alignment heads, so it is measured for each
    model (docs/decisions/007); infinity turns the guard off."""


CALIBRATIONS = {
    # Whisper tiny.en
    "c8f3b2538a99a6eb7cd15813115a3c6f": Calibration(margin_s=2.0),
    # Whisper base
    "459ea039ab5f2c72893c69ed635df4a4": Calibration(margin_s=2.0, diffuse_nats=4.65),
}
"""What was measured, by the fingerprint of the weights."""


def calibration_of(checkpoint: Checkpoint) -> Calibration:
    """Return what was measured for these weights, or the defaults."""
    return CALIBRATIONS.get(fingerprint(checkpoint), Calibration())


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return 32 hexadecimal digits that identify a checkpoint's weights and alignment heads.

    The same weights have the same fingerprint in float16 and in float32, in transformers' layout
    and in CTranslate2's, under any name. Weights that were quantised to int8 have another one.
    """
    digest = hashlib.sha256()
    dims = checkpoint.dims
    heads = (dims.encoder_heads, dims.decoder_heads, sorted(checkpoint.alignment_heads))
    digest.update(repr(heads).encode())
    for name, tensor in sorted(checkpoint.state.items()):
        if not name.startswith("model.") or name == CONSTANT:
            continue  # the output projection is the token embedding again, if a file has it
        values = tensor.reshape(-1)
        # An odd step visits the columns of a matrix in turn: their number is even.
        step = -(-len(values) // VALUES_PER_TENSOR) | 1
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(values[::step].to(torch.float16).numpy().tobytes())
    return digest.hexdigest()[:32]
