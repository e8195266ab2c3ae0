"""What the decoder remembers of a batch: keys and values, and where the model listened.

Rows are ragged: each has its own length, takes its own number of new tokens in one pass and can be
cut back, which is how rejected draft tokens are forgotten. Memory is taken once and written in
place.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from stream.engine.attention import move_rows
from stream.engine.cross_attention import HeardAudio

KEYS_TOGETHER = 16
"""On the CPU self-attention reads a multiple of so many slots, and hides those that are beyond a
token by a mask: then a sum has the same terms in the same order whether a token is read alone or in
a draft, and among whatever neighbours. (Up to 192 slots: there MKL begins to sum in two parts.)"""

_Slice = tuple[slice, slice]
_Rows = tuple[Tensor, Tensor]


def whole(n_slots: int) -> int:
    """The next multiple of `KEYS_TOGETHER`."""
    return -(-n_slots // KEYS_TOGETHER) * KEYS_TOGETHER


def closed_up(rows: Collection[int]) -> list[int]:
    """Return rows in an order in which the first stay in place and the last fill the gaps."""
    moving = iter(sorted(row for row in rows if row >= len(rows)))
    return [place if place in rows else next(moving) for place in range(len(rows))]


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
    n_new: Tensor
    """(batch,) long, on the CPU: how many tokens of each row are real."""
    length: Tensor
    """(batch,) long: the rows' lengths afterwards."""
    exact: bool
    """Whether a token's numbers are to be the same alone and in a draft."""


class DecoderCache:
    """Keys, values and alignment of a batch; made by `Whisper.prefill_cache`."""

    def __init__(
        self,
        audio: list[HeardAudio],
        like: Tensor,
        heads: int,
        max_tokens: int,
        alignment_heads: Sequence[tuple[int, int]],
        *,
        exact: bool = True,
    ) -> None:
        """Take memory for `max_tokens` tokens a row.

        Args:
            audio: what each layer reads of it.
            like: (batch, n_positions, d_model), the audio itself: the cache is of its type.
            heads: of a layer.
            max_tokens: the most that a row can hold.
            alignment_heads: (layer, head) pairs.
            exact: give a token the same numbers alone and in a draft, which costs time on the CPU.
        """
        batch, n_positions, d_model = like.shape
        self.max_tokens = max_tokens
        self.exact = exact and like.device.type == "cpu"
        self.length = torch.zeros(batch, dtype=torch.long)
        """(batch,) long, on the CPU: how many tokens each row holds."""
        # One slot more than there are tokens: padding is written there and never read. Zeros,
        # for what a mask hides is still multiplied by nought.
        shape = (batch, whole(max_tokens + 1), heads, d_model // heads)
        self.self_keys = [like.new_zeros(shape) for _ in audio]
        self.self_values = [like.new_zeros(shape) for _ in audio]
        self._audio = audio
        self._heads = tuple(sorted(alignment_heads))
        self._alignment: Tensor | None = None
        if alignment_heads:
            self._alignment = torch.empty(
                (batch, max_tokens + 1, len(alignment_heads), n_positions), device=like.device
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
        for heard in self._audio:
            heard.keep(order)
        for tensors in (self.self_keys, self.self_values):
            tensors[:] = [move_rows(tensor, order) for tensor in tensors]
        if self._alignment is not None:
            self._alignment = move_rows(self._alignment, order)
        return order

    def plan(self, n_new: Tensor, n_tokens: int) -> DecodeStep:
        """Say where `n_new` (batch,) tokens of each row go, of `n_tokens` columns.

        Raises:
            ValueError: a row would hold more than `max_tokens`.
        """
        device = self.self_keys[0].device
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
            n_new=n_new,
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

    def listen(self, layer: int, step: DecodeStep, query: Tensor) -> Tensor:
        """Attend to the audio, and note where the alignment heads of this layer listen.

        Args:
            layer: of the decoder.
            step: of this pass.
            query: (batch, n_tokens, heads, head_size) of the cross-attention.

        Returns:
            (batch, n_tokens, d_model).
        """
        attended, weights = self._audio[layer].attend(query, step.n_new, self._heads_of(layer))
        if weights is not None:
            assert self._alignment is not None
            first = [at for at, _ in self._heads].index(layer)
            own = self._alignment[:, :, first : first + weights.shape[2]]
            own[step.slots] = weights
        return attended

    def _heads_of(self, layer: int) -> list[int]:
        return [head for at, head in self._heads if at == layer]
