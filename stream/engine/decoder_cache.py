"""What the decoder remembers of a batch: keys and values, and where the model listened.

Rows are ragged: each has its own length, takes its own number of new tokens in one pass and can be
cut back, which is how rejected draft tokens are forgotten. Memory is taken once and written in
place.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stream.engine.attention import LEAST_QUERIES

KEYS_TOGETHER = 16
"""On the CPU self-attention reads a multiple of so many slots, and hides those that are beyond a
token by a mask: then a sum has the same terms in the same order whether a token is read alone or in
a draft, and among whatever neighbours. (Up to 192 slots: there MKL begins to sum in two parts.)"""

_Slice = tuple[slice, slice]
_Rows = tuple[Tensor, Tensor]


def length_mask(lengths: Tensor, size: int, device: torch.device) -> Tensor | None:
    """(batch, size), true where a row is real; None where all of it is, the fast case."""
    if bool((lengths == size).all()):
        return None
    return (torch.arange(size) < lengths[:, None]).to(device)


def whole(n_slots: int) -> int:
    """The next multiple of `KEYS_TOGETHER`."""
    return -(-n_slots // KEYS_TOGETHER) * KEYS_TOGETHER


def closed_up(rows: Collection[int]) -> list[int]:
    """Return rows in an order in which the first stay in place and the last fill the gaps."""
    moving = iter(sorted(row for row in rows if row >= len(rows)))
    return [place if place in rows else next(moving) for place in range(len(rows))]


def move_rows(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """Move rows within (batch, ...) to the order of `closed_up`; returns (len(order), ...)."""
    for place, row in enumerate(order):
        if place != row:
            tensor[place] = tensor[row]
    return tensor[: len(order)]


@dataclass(frozen=True, slots=True, eq=False)
class DecodeStep:
    """Where the new tokens of one decoder pass go, and what they may see."""

    positions: Tensor
    """(batch or 1, n_tokens) long, on the device: index into the position embedding."""
    slots: _Slice | _Rows
    """Index of the new tokens in a (batch, slots, ...) tensor."""
    n_keys: int
    """Self-attention reads slots 0..n_keys."""
    causal: bool
    """All rows begin here, on a GPU: the plain causal mask serves, and stays implicit."""
    self_mask: Tensor | None
    """(batch or 1, 1, n_tokens, n_keys), true where a token may look; None: everywhere."""
    length: Tensor
    """(batch,) long: the rows' lengths afterwards."""
    exact: bool
    """Whether a token's numbers are to be the same alone and in a draft."""


class DecoderCache:
    """Keys, values and alignment of a batch; made by `Whisper.prefill_cache`."""

    def __init__(
        self,
        cross_keys: list[Tensor],
        cross_values: list[Tensor],
        n_positions: Tensor,
        max_tokens: int,
        alignment_heads: Sequence[tuple[int, int]],
        *,
        exact: bool = True,
        halved: bool = False,
    ) -> None:
        """Take memory for `max_tokens` tokens a row.

        Args:
            cross_keys: for each layer (batch, n_positions, heads, head_size).
            cross_values: the same.
            n_positions: (batch,) long, on the CPU.
            max_tokens: the most that a row can hold.
            alignment_heads: (layer, head) pairs.
            exact: give a token the same numbers alone and in a draft, which costs time on the CPU.
            halved: cross keys and values are in bfloat16, and all else is not.
        """
        batch, audio_positions, heads, head_size = cross_keys[0].shape
        self.max_tokens = max_tokens
        self.exact = exact and cross_keys[0].device.type == "cpu"
        self.length = torch.zeros(batch, dtype=torch.long)
        """(batch,) long, on the CPU: how many tokens each row holds."""
        mask = length_mask(n_positions, audio_positions, cross_keys[0].device)
        self.cross_mask = None if mask is None else mask[:, None, None, :]
        """(batch, 1, 1, n_positions), true where the audio is real; None: everywhere."""
        # One slot more than there are tokens: padding is written there and never read. Zeros,
        # for what a mask hides is still multiplied by nought.
        shape = (batch, whole(max_tokens + 1), heads, head_size)
        dtype = torch.float32 if halved else cross_keys[0].dtype
        self.self_keys = [keys.new_zeros(shape, dtype=dtype) for keys in cross_keys]
        self.self_values = [keys.new_zeros(shape, dtype=dtype) for keys in cross_keys]

        self._heads = tuple(sorted(alignment_heads))
        # Picked out once: a pass of one token would spend a tenth of its time on that.
        self._alignment_keys: dict[int, Tensor] = {
            layer: cross_keys[layer][:, :, self._heads_of(layer)].permute(0, 2, 3, 1).float()
            for layer, _ in self._heads
            if not halved
        }
        self.cross_keys = cross_keys
        self.cross_values = cross_values
        self._alignment: Tensor | None = None
        if alignment_heads:
            self._alignment = torch.empty(
                (batch, max_tokens + 1, len(alignment_heads), audio_positions),
                device=cross_keys[0].device,
            )

    @property
    def alignment(self) -> Tensor | None:
        """Cross-attention of the alignment heads at each token: where it listened.

        (batch, n_alignment_heads, max_tokens, n_positions) float32, each row of positions summing
        to 1; heads in order of layer and head. Defined up to a row's length. None if no heads were
        asked for.
        """
        if self._alignment is None:
            return None
        return self._alignment[:, : self.max_tokens].transpose(1, 2)

    def truncate(self, lengths: Tensor) -> None:
        """Forget the tokens of each row from `lengths` (batch,) on."""
        self.length = torch.minimum(self.length, lengths.cpu())

    def keep(self, rows: Collection[int]) -> list[int]:
        """Keep these rows of the batch and forget the others.

        Few rows are copied: those at the end move to where others have left.

        Returns:
            The rows in their new order, the same for the same rows.
        """
        order = closed_up(rows)
        self.length = self.length[torch.tensor(order, dtype=torch.long)]
        if self.cross_mask is not None:
            self.cross_mask = move_rows(self.cross_mask, order)
        for tensors in (self.cross_keys, self.cross_values, self.self_keys, self.self_values):
            tensors[:] = [move_rows(tensor, order) for tensor in tensors]
        if self._alignment is not None:
            self._alignment = move_rows(self._alignment, order)
            keys = self._alignment_keys
            self._alignment_keys = {layer: move_rows(keys[layer], order) for layer in keys}
        return order

    def plan(self, n_new: Tensor, n_tokens: int) -> DecodeStep:
        """Say where `n_new` (batch,) tokens of each row go, of `n_tokens` columns.

        Raises:
            ValueError: a row would hold more than `max_tokens`.
        """
        device = self.cross_keys[0].device
        on_cpu = device.type == "cpu"
        after = self.length + n_new
        if int(after.max()) > self.max_tokens:
            raise ValueError(f"{int(after.max())} tokens do not fit a cache of {self.max_tokens}")
        start, n_keys = int(self.length[0]), int(after.max())
        uniform = bool((self.length == start).all() and (n_new == n_tokens).all())
        if uniform:
            positions = torch.arange(start, n_keys)[None]  # (1, n_tokens)
            slots: _Slice | _Rows = (slice(None), slice(start, n_keys))
        else:
            column = torch.arange(n_tokens)
            positions = self.length[:, None] + column  # (batch, n_tokens)
            padding = column >= n_new[:, None]
            rows = torch.arange(len(after))[:, None]
            slots = (rows.to(device), positions.masked_fill(padding, self.max_tokens).to(device))
            positions = positions.clamp(max=self.max_tokens - 1)
        causal = uniform and start == 0 and not on_cpu
        everything = causal or (uniform and n_tokens == 1 and not self.exact)
        n_keys = whole(n_keys) if self.exact else n_keys
        self_mask = torch.arange(n_keys) <= positions[:, None, :, None]
        return DecodeStep(
            positions=positions.to(device),
            slots=slots,
            n_keys=n_keys,
            causal=causal,
            self_mask=None if everything else self_mask.to(device),
            length=after,
            exact=self.exact,
        )

    def append(
        self, layer: int, step: DecodeStep, keys: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Write the new (batch, n_tokens, heads, head_size) and return all there are so far.

        Returns:
            Keys and values, (batch, n_keys, heads, head_size).
        """
        self.self_keys[layer][step.slots] = keys
        self.self_values[layer][step.slots] = values
        return self.self_keys[layer][:, : step.n_keys], self.self_values[layer][:, : step.n_keys]

    def record(self, layer: int, step: DecodeStep, query: Tensor) -> None:
        """Note where the alignment heads of this layer listen.

        PyTorch's attention kernels do not give their weights away, so those of these few heads are
        computed a second time.

        Args:
            layer: of the decoder.
            step: of this pass.
            query: (batch, n_tokens, heads, head_size) of the cross-attention.
        """
        if layer not in self._alignment_keys:
            return
        heads = self._heads_of(layer)
        q = query[:, :, heads].transpose(1, 2).float()  # (batch, n_heads, n_tokens, head_size)
        q = q * q.shape[-1] ** -0.5
        n_tokens = q.shape[2]
        keys = self._alignment_keys[layer]
        if self.exact:  # words' times, too, are to be the same alone and in a draft
            q = F.pad(q, (0, 0, 0, -n_tokens % LEAST_QUERIES))
            few = [part @ keys for part in torch.split(q, LEAST_QUERIES, dim=2)]
            scores = torch.cat(few, dim=2)[:, :, :n_tokens]
        else:
            scores = q @ keys
        if self.cross_mask is not None:
            scores.masked_fill_(~self.cross_mask, -torch.inf)  # (.., n_tokens, n_positions)
        self._note(layer, step, scores.softmax(-1))

    def record_weights(self, layer: int, step: DecodeStep, weights: Tensor) -> None:
        """As `record`, where the weights, (batch, heads, n_tokens, n_positions), are known."""
        if heads := self._heads_of(layer):
            self._note(layer, step, weights[:, heads])

    def _note(self, layer: int, step: DecodeStep, weights: Tensor) -> None:
        """Keep (batch, n_heads, n_tokens, n_positions) of a layer's alignment heads."""
        assert self._alignment is not None
        first = [at for at, _ in self._heads].index(layer)
        own = self._alignment[:, :, first : first + weights.shape[1]]
        own[step.slots] = weights.transpose(1, 2)

    def _heads_of(self, layer: int) -> list[int]:
        return [head for at, head in self._heads if at == layer]
