"""Makes batches of examples: a new order in each pass, and rows of similar length together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stream.distil.examples import Examples
from stream.engine.decoding.rows import ragged

BATCHES_SORTED = 32
"""Rows are sorted by length within this number of batches: there is little padding, and batches are
still random."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The tensors of some examples, for a step of the student."""

    audio: Tensor
    """(batch, n_positions, d_model) float32"""
    n_positions: Tensor
    """(batch,) long: positions that are not padding."""
    tokens: Tensor
    """(batch, n_tokens) long: the opening and the teacher's tokens."""
    skip: int
    """Number of first tokens whose successor is part of the opening, so is not predicted."""
    real: Tensor
    """(batch, n_tokens - skip) bool: positions after which a target is predicted."""
    targets: Tensor
    """(n_targets,) long: the targets, row by row; the last of each row is the end of text."""
    teacher: Tensor
    """(n_targets, d_model) float32: the teacher's hidden states for the targets."""

    def to(self, device: str) -> "Batch":
        """Return the batch on another device; `n_positions` stays on the CPU."""
        return Batch(
            self.audio.to(device),
            self.n_positions,
            self.tokens.to(device),
            self.skip,
            self.real.to(device),
            self.targets.to(device),
            self.teacher.to(device),
        )


def read_batch(source: Examples, chosen: Sequence[int]) -> Batch:
    """Return the batch of the examples with these indices."""
    recipe = source.recipe
    examples = [source.examples[i] for i in chosen]
    n_positions = torch.tensor([example.n_positions for example in examples])
    audio = torch.zeros(len(chosen), int(n_positions.max()), recipe.d_model)
    for row, i in zip(audio, chosen, strict=True):
        row[: source.examples[i].n_positions] = torch.from_numpy(source.audio(i).astype(np.float32))
    tokens, lengths = ragged([[*recipe.opening, *example.tokens] for example in examples])
    skip = len(recipe.opening) - 1
    targets = [token for example in examples for token in (*example.tokens, recipe.end_of_text)]
    hidden = np.concatenate([source.hidden(i) for i in chosen])
    return Batch(
        audio=audio,
        n_positions=n_positions,
        tokens=tokens,
        skip=skip,
        real=torch.arange(tokens.shape[1] - skip) < (lengths - skip)[:, None],
        targets=torch.tensor(targets),
        teacher=torch.from_numpy(hidden.astype(np.float32)),
    )


def corrupted(batch: Batch, noise: float, generator: torch.Generator) -> Batch:
    """Return a batch with random errors in its inputs, against overfitting.

    Some input tokens are replaced by other tokens, as happens when the student decodes alone and
    errs. A random share of the encoder positions is removed.

    Args:
        batch: on the CPU.
        noise: share of the tokens that are replaced, and half of the largest share of positions
            that are removed.
        generator: the random generator.
    """
    tokens = batch.tokens.clone()
    inputs = tokens[:, batch.skip + 1 :]
    others = batch.targets[torch.randint(len(batch.targets), inputs.shape, generator=generator)]
    wrong = torch.rand(inputs.shape, generator=generator) < noise
    inputs[wrong] = others[wrong]
    drawn = torch.rand(batch.audio.shape[1], generator=generator)
    gaps = 2 * noise * float(torch.rand((), generator=generator))
    left = (drawn >= gaps).index_fill(0, torch.tensor(0), True).nonzero()[:, 0]  # at least one
    return replace(
        batch,
        audio=batch.audio[:, left],
        n_positions=(left < batch.n_positions[:, None]).sum(1),
        tokens=tokens,
    )


def batches_of_pass(
    lengths: Sequence[int], batch: int, seed: int, number: int
) -> list[tuple[int, ...]]:
    """Divide rows into batches for one pass over all of them; the same for the same arguments.

    Args:
        lengths: lengths of the rows.
        batch: rows in a batch; the last batch may be smaller.
        seed: seed of the random order.
        number: number of the pass.

    Returns:
        Indices into `lengths`, each once.
    """
    rng = np.random.default_rng([seed, number])
    order = rng.permutation(len(lengths))
    batches: list[tuple[int, ...]] = []
    together = batch * BATCHES_SORTED
    for first in range(0, len(order), together):
        rows = sorted(order[first : first + together].tolist(), key=lambda i: lengths[i])
        batches += [tuple(rows[at : at + batch]) for at in range(0, len(rows), batch)]
    return [batches[i] for i in rng.permutation(len(batches))]
