"""The self-attention cache of a decoder layer: keys and values of a batch's tokens.

Rows are ragged: each has its own length and its own number of new tokens in a pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stream.engine.network.attention import attend, move_rows, split_qkv
from stream.engine.network.compiling import LOWEST, compiled, f32, power_of_two

Slots = tuple[slice, slice] | tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class DecodeStep:
    """Where the new tokens of a decoder pass are written, and to which tokens they attend."""

    positions: Tensor
    """(batch or 1, n_tokens) long, on the device: indices into the position embedding."""
    slots: Slots
    """Index of the new tokens in (batch, max_tokens + 1, ...); padding is written to the last slot.
    """
    before: Tensor
    """(batch,) long, on the CPU: number of tokens in each row before the pass."""
    n_new: Tensor
    """(batch,) long, on the CPU: number of new tokens of each row, without padding."""
    after: Tensor
    """(batch,) long, on the CPU: number of tokens in each row after the pass."""
    mask: Tensor | None = None
    """(batch or 1, 1, n_tokens, slots), true if a token attends to a slot. None if the kernel needs
    no mask, if all rows are empty before the pass, or if all rows have the same length and one new
    token each."""


class SelfAttentionCache(Protocol):
    """Interface: keys and values of one decoder layer, for the rows of a batch.

    If `needs_mask`, rows that differ in length require a mask in the `DecodeStep`.
    """

    needs_mask: ClassVar[bool]
    """Whether a `DecodeStep` must have a mask if its rows differ in length."""

    def attend(self, qkv: Tensor, step: DecodeStep) -> Tensor:
        """Store the new tokens; each of them attends to itself and to all tokens before it.

        Args:
            qkv: (batch, n_tokens, 3 * d_model), queries, keys and values of the new tokens.
            step: step of this pass, from `DecoderCache.plan`.

        Returns:
            (batch, n_tokens, d_model). Values of padding tokens are undefined.
        """
        ...

    def keep(self, order: Sequence[int]) -> None:
        """Remove all rows of the batch but these; `order` is from `closed_up`."""
        ...


class CompiledSelfAttentionCache:
    """The cache for CPUs; a token's result does not depend on the others, and no mask is needed."""

    needs_mask: ClassVar[bool] = False

    def __init__(self, like: Tensor, max_tokens: int, heads: int) -> None:
        """Allocate `max_tokens` tokens for each row of `like`, (batch, ..., d_model)."""
        self._keys = torch.empty((len(like), heads, max_tokens, like.shape[-1] // heads))
        self._values = torch.empty_like(self._keys)

    def attend(self, qkv: Tensor, step: DecodeStep) -> Tensor:
        """Implement `SelfAttentionCache.attend`."""
        batch, n_tokens, width = qkv.shape
        attended = torch.zeros((batch, n_tokens, width // 3))
        attend_to_tokens(
            qkv.float().contiguous().numpy(),
            step.before.numpy(),
            step.n_new.numpy(),
            self._keys.numpy(),
            self._values.numpy(),
            attended.numpy(),
        )
        return attended.to(qkv.dtype)

    def keep(self, order: Sequence[int]) -> None:
        """Implement `SelfAttentionCache.keep`."""
        self._keys, self._values = move_rows(self._keys, order), move_rows(self._values, order)


class PlainSelfAttentionCache:
    """The cache for PyTorch's kernels, used on a GPU."""

    needs_mask: ClassVar[bool] = True

    def __init__(self, like: Tensor, max_tokens: int, heads: int) -> None:
        """Allocate `max_tokens` tokens for each row, in the type and on the device of `like`.

        `like` is (batch, ..., d_model).
        """
        # Padding is written to one additional slot, which is never read. The memory is zeroed,
        # because masked values are still multiplied by zero, and must not be NaN.
        shape = (len(like), max_tokens + 1, heads, like.shape[-1] // heads)
        self._keys, self._values = like.new_zeros(shape), like.new_zeros(shape)

    def attend(self, qkv: Tensor, step: DecodeStep) -> Tensor:
        """Implement `SelfAttentionCache.attend`."""
        query, keys, values = split_qkv(qkv, self._keys.shape[2])
        self._keys[step.slots], self._values[step.slots] = keys, values
        n_keys = int(step.after.max())
        causal = step.mask is None and qkv.shape[1] > 1
        return attend(
            query, self._keys[:, :n_keys], self._values[:, :n_keys], step.mask, causal=causal
        )

    def keep(self, order: Sequence[int]) -> None:
        """Implement `SelfAttentionCache.keep`."""
        self._keys, self._values = move_rows(self._keys, order), move_rows(self._values, order)


@compiled
def attend_to_tokens(
    qkv: NDArray[np.float32],
    before: NDArray[np.int64],
    n_new: NDArray[np.int64],
    keys: NDArray[np.float32],
    values: NDArray[np.float32],
    attended: NDArray[np.float32],
) -> None:
    """Compute causal scaled dot-product attention, row by row and head by head.

    Args:
        qkv: (batch, n_tokens, 3 * heads * head_size).
        before: (batch,), number of tokens in each row before the pass.
        n_new: (batch,), number of new tokens of each row; nothing is written for the padding.
        keys: (batch, heads, max_tokens, head_size); those of the new tokens are written.
        values: of the shape of `keys`; those of the new tokens are written.
        attended: (batch, n_tokens, heads * head_size), output.
    """
    batch, heads, max_tokens, head_size = keys.shape
    width = heads * head_size
    size = f32(np.log2(np.e) / np.sqrt(head_size))  # converts scores to powers of two
    weight = np.empty(max_tokens, f32)
    mixed = np.empty(head_size, f32)
    for row in range(batch):
        for i in range(n_new[row]):
            n = before[row] + i + 1
            for head in range(heads):
                first = head * head_size
                for d in range(head_size):
                    keys[row, head, n - 1, d] = qkv[row, i, width + first + d]
                    values[row, head, n - 1, d] = qkv[row, i, 2 * width + first + d]
                top = LOWEST
                for j in range(n):
                    score = f32(0)
                    for d in range(head_size):
                        score += qkv[row, i, first + d] * keys[row, head, j, d]
                    weight[j] = score * size
                    top = max(top, weight[j])
                total = f32(0)
                mixed[:] = f32(0)
                for j in range(n):
                    part = power_of_two(weight[j] - top)
                    total += part
                    for d in range(head_size):
                        mixed[d] += part * values[row, head, j, d]
                share = f32(1) / total
                for d in range(head_size):
                    attended[row, i, first + d] = mixed[d] * share
