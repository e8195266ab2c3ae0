"""Examples in batches: in another order each pass, with rows of about the same length together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stream.distil.examples import Examples
from stream.engine.decoding.rows import ragged

BATCHES_SORTED = 32
"""Rows of so many batches are sorted by length: little padding, and still every batch by chance."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Some examples as the student reads them."""

    audio: Tensor
    """(batch, n_positions, d_model) float32"""
    n_positions: Tensor
    """(batch,) long: the real ones."""
    tokens: Tensor
    """(batch, n_tokens) long: the opening and what the teacher says."""
    skip: int
    """Tokens of the opening after which nothing is to be said yet."""
    real: Tensor
    """(batch, n_tokens - skip) bool: where something is to be said."""
    targets: Tensor
    """(n_targets,) long: it, row by row; the end of text last in each."""
    teacher: Tensor
    """(n_targets, d_model) float32: the teacher's hidden states there."""

    def to(self, device: str) -> "Batch":
        """The same on another device; the counts stay on the CPU."""
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
    """Read these of the examples."""
    recipe = source.recipe
    examples = [source.examples[i] for i in chosen]
    n_positions = torch.tensor([example.n_positions for example in examples])
    audio = torch.zeros(len(chosen), int(n_positions.max()), recipe.d_model)
    for row, i in zip(audio, chosen, strict=True):
        row[: source.examples[i].n_positions] = torch.from_numpy(source.audio(i).astype(np.float32))
    tokens, lengths = ragged([[*recipe.opening, *example.tokens] for example in examples])
    skip = len(recipe.opening) - 1
    said = [token for example in examples for token in (*example.tokens, recipe.end_of_text)]
    hidden = np.concatenate([source.hidden(i) for i in chosen])
    return Batch(
        audio=audio,
        n_positions=n_positions,
        tokens=tokens,
        skip=skip,
        real=torch.arange(tokens.shape[1] - skip) < (lengths - skip)[:, None],
        targets=torch.tensor(said),
        teacher=torch.from_numpy(hidden.astype(np.float32)),
    )


def spoilt(batch: Batch, noise: float, generator: torch.Generator) -> Batch:
    """What the student reads, made harder, so that it cannot learn the examples by heart.

    Some of the tokens before are others than the teacher said, as they are when the student speaks
    alone and errs; and it hears with gaps, of which there are as many as chance decides.

    Args:
        batch: on the CPU.
        noise: part of the tokens that are replaced, and half of the most that is not heard.
        generator: of chance.
    """
    tokens = batch.tokens.clone()
    said = tokens[:, batch.skip + 1 :]
    others = batch.targets[torch.randint(len(batch.targets), said.shape, generator=generator)]
    wrong = torch.rand(said.shape, generator=generator) < noise
    said[wrong] = others[wrong]
    heard = torch.rand(batch.audio.shape[1], generator=generator)
    gaps = 2 * noise * float(torch.rand((), generator=generator))
    kept = (heard >= gaps).index_fill(0, torch.tensor(0), True).nonzero()[:, 0]  # at least one
    return replace(
        batch,
        audio=batch.audio[:, kept],
        n_positions=(kept < batch.n_positions[:, None]).sum(1),
        tokens=tokens,
    )


def batches_of_pass(
    lengths: Sequence[int], batch: int, seed: int, number: int
) -> list[tuple[int, ...]]:
    """Divide rows into batches for one pass over all of them; the same for the same arguments.

    Args:
        lengths: of the rows.
        batch: rows in a batch; the last may be smaller.
        seed: of all chance.
        number: of the pass.

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
