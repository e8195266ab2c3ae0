"""The decoder's cache of a batch: keys and values, and the attention of its alignment heads.

Rows are ragged: each has its own length, takes its own number of new tokens in one pass and can be
truncated, which removes rejected draft tokens. Memory is allocated once and written in place.
"""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor

from stream.engine.network.attention import move_rows
from stream.engine.network.cross_attention import CrossAttentionCache
from stream.engine.network.self_attention import DecodeStep, SelfAttentionCache, Slots
from stream.engine.network.transfers import send


def closed_up(rows: Collection[int]) -> list[int]:
    """Return the rows in an order for a smaller batch in which few rows move.

    A row whose index is below len(rows) stays in place; the others fill the gaps.
    """
    moving = iter(sorted(row for row in rows if row >= len(rows)))
    return [place if place in rows else next(moving) for place in range(len(rows))]


class DecoderCache:
    """Keys, values and alignment of a batch; created by `Whisper.prefill_cache`."""

    def __init__(
        self,
        audio: list[CrossAttentionCache],
        like: Tensor,
        heads: int,
        max_tokens: int,
        alignment_heads: Sequence[tuple[int, int]],
        make_text_cache: Callable[[Tensor, int, int], SelfAttentionCache],
    ) -> None:
        """Allocate `max_tokens` tokens for each row.

        Args:
            audio: the cross-attention cache of each layer.
            like: (batch, n_positions, d_model), the encoded audio: the cache has its type and
                device.
            heads: number of heads of a layer.
            max_tokens: the most tokens in a row.
            alignment_heads: (layer, head) pairs whose cross-attention is recorded.
            make_text_cache: makes a layer's self-attention cache from `like`, `max_tokens` and
                `heads`.
        """
        batch, n_positions, _ = like.shape
        self.max_tokens = max_tokens
        self.length = torch.zeros(batch, dtype=torch.long)
        """(batch,) long, on the CPU: number of tokens in each row."""
        self._device = like.device
        self._text = [make_text_cache(like, max_tokens, heads) for _ in audio]
        self._audio = audio
        self._heads = tuple(sorted(alignment_heads))
        self._alignment: Tensor | None = None
        if alignment_heads:
            self._alignment = torch.empty(
                (batch, max_tokens + 1, len(alignment_heads), n_positions), device=like.device
            )

    @property
    def alignment(self) -> Tensor | None:
        """Cross-attention of the alignment heads for each token, from which words are aligned.

        (batch, n_alignment_heads, max_tokens, n_positions) float32, each row of positions summing
        to 1; heads in order of layer and head. Defined up to a row's length. None if no heads were
        requested.
        """
        if self._alignment is None:
            return None
        return self._alignment[:, : self.max_tokens].transpose(1, 2)

    def truncate(self, lengths: Tensor) -> None:
        """Shorten each row to at most its length in `lengths`, (batch,)."""
        self.length = torch.minimum(self.length, lengths.cpu())

    def keep(self, rows: Collection[int]) -> list[int]:
        """Remove all rows of the batch but these.

        Few rows are copied: the last ones move to the places of removed ones.

        Returns:
            The remaining rows in their new order, which depends only on `rows`.
        """
        order = closed_up(rows)
        self.length = self.length[torch.tensor(order, dtype=torch.long)]
        for text, audio in zip(self._text, self._audio, strict=True):
            text.keep(order)
            audio.keep(order)
        if self._alignment is not None:
            self._alignment = move_rows(self._alignment, order)
        return order

    def plan(self, n_new: Tensor, n_tokens: int) -> DecodeStep:
        """Return the step that appends new tokens to each row.

        Args:
            n_new: (batch,) number of new tokens of each row.
            n_tokens: number of columns of the pass, including padding.

        Raises:
            ValueError: a row would hold more than `max_tokens`.
        """
        before, after = self.length, self.length + n_new
        start, end = int(before[0]), int(after.max())
        if end > self.max_tokens:
            raise ValueError(f"{end} tokens do not fit a cache of {self.max_tokens}")
        alike = bool((before == start).all() and (n_new == n_tokens).all())
        slots: Slots
        if alike:
            positions = torch.arange(start, end)[None]  # (1, n_tokens)
            slots = (slice(None), slice(start, end))
        else:
            column = torch.arange(n_tokens)
            positions = before[:, None] + column  # (batch, n_tokens)
            places = positions.masked_fill(column >= n_new[:, None], self.max_tokens)
            rows = torch.arange(len(after))[:, None]
            slots = (send(rows, self._device), send(places, self._device))
            positions = positions.clamp(max=self.max_tokens - 1)
        mask = None
        if self._text[0].needs_mask and not (alike and (start == 0 or n_tokens == 1)):
            mask = send(torch.arange(end) <= positions[:, None, :, None], self._device)
        return DecodeStep(send(positions, self._device), slots, before, n_new, after, mask)

    def attend_to_text(self, layer: int, step: DecodeStep, qkv: Tensor) -> Tensor:
        """Store the new tokens; each of them attends to itself and to all tokens before it.

        Args:
            layer: index of the decoder layer.
            step: step of this pass, from `plan`.
            qkv: (batch, n_tokens, 3 * d_model) of the self-attention.

        Returns:
            (batch, n_tokens, d_model).
        """
        return self._text[layer].attend(qkv, step)

    def attend_to_audio(self, layer: int, step: DecodeStep, query: Tensor) -> Tensor:
        """Attend to the audio, and record the attention of the alignment heads of this layer.

        Args:
            layer: index of the decoder layer.
            step: step of this pass, from `plan`.
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
