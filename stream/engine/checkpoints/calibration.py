"""Settings that were measured for particular weights, found by a fingerprint of those weights.

The name of a model does not identify its weights: a folder may have any name, and a fine-tuned
model may be called `base`. So the key of the table is a fingerprint of the weights. Weights that
are not in it get the defaults, and the guards that need a measured limit are off for them.
"""

import hashlib
from dataclasses import dataclass
from math import inf

import torch

from stream.engine.checkpoints.checkpoint import Checkpoint

DEFAULT_MARGIN_S = 2.0
"""Seconds of silence after the speech, for weights that were not measured."""

VALUES_PER_TENSOR = 64
"""Most values of each tensor that the fingerprint reads. That takes 10 ms for a model of the size
of base, and is enough because training changes nearly every value of a tensor."""
CONSTANT = "model.encoder.embed_positions.weight"
"""A tensor of constants (sines of fixed frequencies), which some files do not contain."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Measured settings for particular weights; the defaults are for weights not measured."""

    margin_s: float = DEFAULT_MARGIN_S
    """Seconds of silence that are encoded after the speech (`bench margins`)."""
    diffuse_nats: float = inf
    """The limit of `guards.diffusion_nats`. It depends on the alignment heads, so it is measured
    for each model (`bench guards`, docs/decisions/007); infinity disables the guard."""


CALIBRATIONS = {
    # Whisper tiny.en
    "c8f3b2538a99a6eb7cd15813115a3c6f": Calibration(margin_s=2.0, diffuse_nats=4.8),
    # Whisper base
    "459ea039ab5f2c72893c69ed635df4a4": Calibration(margin_s=2.0, diffuse_nats=4.65),
}
"""Measured settings by the fingerprint of the weights."""


def calibration_of(checkpoint: Checkpoint) -> Calibration:
    """Return the settings that were measured for these weights, or the defaults."""
    return CALIBRATIONS.get(fingerprint(checkpoint), Calibration())


def fingerprint(checkpoint: Checkpoint) -> str:
    """Return 32 hexadecimal digits that identify a checkpoint's weights and alignment heads.

    The same weights have the same fingerprint in float16 and in float32, in transformers' layout
    and in CTranslate2's, and under any name; but not after quantisation to int8.
    """
    digest = hashlib.sha256()
    dims = checkpoint.dims
    heads = (dims.encoder_heads, dims.decoder_heads, sorted(checkpoint.alignment_heads))
    digest.update(repr(heads).encode())
    for name, tensor in sorted(checkpoint.state.items()):
        if not name.startswith("model.") or name == CONSTANT:
            continue  # in some files the token embedding is stored again as output projection
        values = tensor.reshape(-1)
        # The number of columns of a matrix is even, so with an odd step all columns are visited.
        step = -(-len(values) // VALUES_PER_TENSOR) | 1
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(values[::step].to(torch.float16).numpy().tobytes())
    return digest.hexdigest()[:32]
