"""What a decoder layer reads of a batch's audio, and how: its cross-attention's keys and values."""

from collections.abc import Callable, Sequence
from typing import Protocol, Self

import torch
from torch import Tensor

from stream.engine.network.attention import attend, length_mask, move_rows, split_kv
from stream.engine.network.packed_attention import attend_packed, pack


class HeardAudio(Protocol):
    """Keys and values of one layer, for the rows of a batch."""

    def attend(
        self, query: Tensor, n_new: Tensor, noted: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Attend to the audio.

        Args:
            query: (batch, n_tokens, heads, head_size).
            n_new: (batch,) long, on the CPU: how many tokens of each row are real.
            noted: heads whose weights are wanted.

        Returns:
            (batch, n_tokens, heads * head_size), and the weights, (batch, n_tokens, len(noted),
            n_positions) float32, None where no head is noted. Those of padding mean nothing.
        """
        ...

    def keep(self, order: Sequence[int]) -> None:
        """Keep these rows, as `move_rows` does."""
        ...


class PackedAudio:
    """On the CPU: in 16 bits, and the same numbers for a token however many there are."""

    def __init__(
        self, audio: Tensor, n_positions: Tensor, heads: int, project: Callable[[Tensor], Tensor]
    ) -> None:
        """Project row by row: one fits the caches, and all would be a batch's largest memory.

        Args:
            audio: (batch, n_positions, d_model).
            n_positions: (batch,) long, how many positions of each row are real.
            heads: of the layer.
            project: (1, n, d_model) -> (1, n, 2 * d_model), keys before values.
        """
        batch, n, d_model = audio.shape
        self._codes = torch.empty((batch, 2, heads, n, d_model // heads), dtype=torch.int16)
        self._scales = torch.empty((batch, 2, heads, n))
        self.lengths = n_positions.clone()  # its rows are moved
        for row, codes, scales in zip(audio, self._codes, self._scales, strict=True):
            pack(project(row[None])[0].float().numpy(), codes.numpy(), scales.numpy())

    def attend(
        self, query: Tensor, n_new: Tensor, noted: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Of `HeardAudio`."""
        batch, n_tokens = query.shape[:2]
        attended = torch.zeros(query.shape)  # what is there for padding is multiplied by nought
        weights = torch.empty((batch, n_tokens, len(noted), self._codes.shape[3]))
        attend_packed(
            query.float().contiguous().numpy(),  # for others another kernel would be compiled
            n_new.numpy(),
            self._codes.numpy(),
            self._scales.numpy(),
            self.lengths.numpy(),
            torch.tensor(noted, dtype=torch.long).numpy(),
            attended.numpy(),
            weights.numpy(),
        )
        return attended.flatten(2).to(query.dtype), weights if noted else None

    def keep(self, order: Sequence[int]) -> None:
        """Of `HeardAudio`."""
        self._codes, self._scales = move_rows(self._codes, order), move_rows(self._scales, order)
        self.lengths = move_rows(self.lengths, order)


class PlainAudio:
    """By PyTorch's kernels, as on a GPU."""

    @classmethod
    def project(
        cls,
        audio: Tensor,
        n_positions: Tensor,
        heads: int,
        project: Callable[[Tensor], Tensor],
    ) -> Self:
        """Project a batch at once; the arguments are those of `PackedAudio`."""
        return cls(*split_kv(project(audio), heads), n_positions)

    def __init__(self, keys: Tensor, values: Tensor, n_positions: Tensor) -> None:
        """Take (batch, n_positions, heads, head_size), and how many positions of each row are real.

        Args:
            keys: projected.
            values: projected.
            n_positions: (batch,) long, on the CPU.
        """
        self._keys, self._values = keys, values
        mask = length_mask(n_positions, keys.shape[1], keys.device)
        self._mask = None if mask is None else mask[:, None, None, :]
        """(batch, 1, 1, n_positions), true where the audio is real; None: everywhere."""
        self._noted_keys: Tensor | None = None
        """(batch, n_noted, head_size, n_positions), picked out once for all passes."""

    def attend(
        self, query: Tensor, n_new: Tensor, noted: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Of `HeardAudio`. PyTorch's kernels keep their weights: those noted are computed twice."""
        attended = attend(query, self._keys, self._values, self._mask)
        if not noted:
            return attended, None
        if self._noted_keys is None:
            self._noted_keys = self._keys[:, :, noted].permute(0, 2, 3, 1).float()
        q = query[:, :, noted].float() * query.shape[-1] ** -0.5
        scores = q.transpose(1, 2) @ self._noted_keys
        if self._mask is not None:
            scores.masked_fill_(~self._mask, -torch.inf)  # (batch, n_noted, n_tokens, n_positions)
        return attended, scores.softmax(-1).transpose(1, 2)

    def keep(self, order: Sequence[int]) -> None:
        """Of `HeardAudio`."""
        self._keys, self._values = move_rows(self._keys, order), move_rows(self._values, order)
        self._mask = None if self._mask is None else move_rows(self._mask, order)
        self._noted_keys = None
