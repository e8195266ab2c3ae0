"""The cross-attention cache of a decoder layer: keys and values of the encoded audio."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from stream.engine.network.attention import attend, length_mask, move_rows, split_kv
from stream.engine.network.packed_attention import attend_packed, pack


@dataclass(slots=True, eq=False)
class KeptAudio:
    """Projected keys and values of one layer that later windows of the same audio need not project.

    The cache that fills it decides on the format; a later cache of the same kind reads it.
    """

    n_settled: int = 0
    """How many positions from the beginning will not change: so many may be kept."""
    n_kept: int = 0
    """How many are."""
    pieces: list[tuple[Tensor, ...]] = field(default_factory=list)
    """In the order of time."""

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept."""
        return sum(tensor.nbytes for piece in self.pieces for tensor in piece)

    def add(self, piece: tuple[Tensor, ...]) -> None:
        """Keep the positions from `n_kept` to `n_settled`; the tensors must not be shared."""
        if self.n_settled > self.n_kept:
            self.pieces.append(piece)
            self.n_kept = self.n_settled


class CrossAttentionCache(Protocol):
    """Interface: keys and values of the audio in one decoder layer, for the rows of a batch."""

    def attend(
        self, query: Tensor, n_new: Tensor, wanted_heads: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Attend to the audio.

        Args:
            query: (batch, n_tokens, heads, head_size).
            n_new: (batch,) long, on the CPU: number of tokens of each row that are not padding.
            wanted_heads: heads whose attention weights are returned.

        Returns:
            (batch, n_tokens, heads * head_size), and the weights, (batch, n_tokens,
            len(wanted_heads), n_positions) float32, or None if no head is wanted. Values of padding
            tokens are undefined.
        """
        ...

    def keep(self, order: Sequence[int]) -> None:
        """Remove all rows of the batch but these; `order` is from `closed_up`."""
        ...


class PackedCrossAttentionCache:
    """The cache for CPUs, in 16 bits; a token's result does not depend on the others of a pass."""

    def __init__(
        self,
        audio: Tensor,
        n_positions: Tensor,
        heads: int,
        project: Callable[[Tensor], Tensor],
        kept: Sequence[KeptAudio | None] = (),
    ) -> None:
        """Project the audio row by row.

        One row fits the CPU's caches; all rows at once would be the largest allocation of a batch.

        Args:
            audio: (batch, n_positions, d_model).
            n_positions: (batch,) long, number of positions of each row that are not padding.
            heads: number of heads of the layer.
            project: (1, n, d_model) -> (1, n, 2 * d_model), keys before values.
            kept: by row, what need not be projected again; more is added to it.
        """
        batch, n, d_model = audio.shape
        self._codes = torch.empty((batch, 2, heads, n, d_model // heads), dtype=torch.int16)
        self._scales = torch.empty((batch, 2, heads, n))
        self.lengths = n_positions.clone()  # a copy, because `keep` moves its rows
        rows = zip(audio, self._codes, self._scales, kept or [None] * batch, strict=True)
        for row, codes, scales, known in rows:
            if known is None:
                pack(project(row[None])[0].float().numpy(), codes.numpy(), scales.numpy())
            else:
                self._extend(row, codes, scales, known, project)

    def _extend(
        self,
        row: Tensor,
        codes: Tensor,
        scales: Tensor,
        known: KeptAudio,
        project: Callable[[Tensor], Tensor],
    ) -> None:
        """Copy what is known of one row, and project the rest of it."""
        first = 0
        for piece_codes, piece_scales in known.pieces:
            end = first + piece_codes.shape[2]
            codes[:, :, first:end], scales[:, :, first:end] = piece_codes, piece_scales
            first = end
        fresh_codes = torch.empty_like(codes[:, :, first:], memory_format=torch.contiguous_format)
        fresh_scales = torch.empty_like(scales[:, :, first:], memory_format=torch.contiguous_format)
        projected = project(row[None, first:])[0].float()
        pack(projected.numpy(), fresh_codes.numpy(), fresh_scales.numpy())
        codes[:, :, first:], scales[:, :, first:] = fresh_codes, fresh_scales
        n_new = known.n_settled - first
        known.add((fresh_codes[:, :, :n_new].clone(), fresh_scales[:, :, :n_new].clone()))

    def attend(
        self, query: Tensor, n_new: Tensor, wanted_heads: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Implement `CrossAttentionCache.attend`."""
        batch, n_tokens = query.shape[:2]
        attended = torch.zeros(query.shape)  # zeros, because later layers compute with the padding
        weights = torch.empty((batch, n_tokens, len(wanted_heads), self._codes.shape[3]))
        attend_packed(
            query.float().contiguous().numpy(),  # another layout would compile another kernel
            n_new.numpy(),
            self._codes.numpy(),
            self._scales.numpy(),
            self.lengths.numpy(),
            torch.tensor(wanted_heads, dtype=torch.long).numpy(),
            attended.numpy(),
            weights.numpy(),
        )
        return attended.flatten(2).to(query.dtype), weights if wanted_heads else None

    def keep(self, order: Sequence[int]) -> None:
        """Implement `CrossAttentionCache.keep`."""
        self._codes, self._scales = move_rows(self._codes, order), move_rows(self._scales, order)
        self.lengths = move_rows(self.lengths, order)


class PlainCrossAttentionCache:
    """The cache for PyTorch's kernels, used on a GPU."""

    @classmethod
    def project(
        cls,
        audio: Tensor,
        n_positions: Tensor,
        heads: int,
        project: Callable[[Tensor], Tensor],
        kept: Sequence[KeptAudio | None] = (),
    ) -> Self:
        """Project a whole batch; arguments are those of `PackedCrossAttentionCache`."""
        firsts = [0 if known is None else known.n_kept for known in kept]
        if not any(firsts):
            kv = project(audio)
        else:
            fresh = [row[first:] for row, first in zip(audio, firsts, strict=True)]
            projected = project(pad_sequence(fresh, batch_first=True))
            kv = projected.new_zeros(*audio.shape[:2], projected.shape[2])
            for row, new, first, known in zip(kv, projected, firsts, kept, strict=True):
                row[first:] = new[: len(row) - first]
                if first and known is not None:
                    row[:first] = torch.cat([piece for (piece,) in known.pieces])
        for row, first, known in zip(kv, firsts, kept, strict=bool(kept)):
            if known is not None:
                known.add((row[first : known.n_settled].clone(),))
        return cls(*split_kv(kv, heads), n_positions)

    def __init__(self, keys: Tensor, values: Tensor, n_positions: Tensor) -> None:
        """Store projected keys and values.

        Args:
            keys: (batch, n_positions, heads, head_size).
            values: of the same shape.
            n_positions: (batch,) long, on the CPU: number of real positions of each row.
        """
        self._keys, self._values = keys, values
        mask = length_mask(n_positions, keys.shape[1], keys.device)
        self._mask = None if mask is None else mask[:, None, None, :]
        """(batch, 1, 1, n_positions), false for padding; None if there is no padding."""
        self._wanted_keys: Tensor | None = None
        """Keys of the wanted heads, (batch, n_wanted, head_size, n_positions), for all passes."""

    def attend(
        self, query: Tensor, n_new: Tensor, wanted_heads: Sequence[int]
    ) -> tuple[Tensor, Tensor | None]:
        """Implement `CrossAttentionCache.attend`.

        PyTorch's kernels do not return their weights, so those of the wanted heads are computed
        again.
        """
        attended = attend(query, self._keys, self._values, self._mask)
        if not wanted_heads:
            return attended, None
        if self._wanted_keys is None:
            self._wanted_keys = self._keys[:, :, wanted_heads].permute(0, 2, 3, 1).float()
        q = query[:, :, wanted_heads].float() * query.shape[-1] ** -0.5
        scores = q.transpose(1, 2) @ self._wanted_keys
        if self._mask is not None:
            scores.masked_fill_(~self._mask, -torch.inf)  # (batch, n_wanted, n_tokens, n_positions)
        return attended, scores.softmax(-1).transpose(1, 2)

    def keep(self, order: Sequence[int]) -> None:
        """Implement `CrossAttentionCache.keep`."""
        self._keys, self._values = move_rows(self._keys, order), move_rows(self._values, order)
        self._mask = None if self._mask is None else move_rows(self._mask, order)
        self._wanted_keys = None
