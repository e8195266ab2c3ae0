"""The encoder's memory: what a stream's earlier windows have computed of the same audio.

Whisper's encoder attends in both directions, so strictly each new second changes all positions. But
a position changes hardly any more once a few seconds follow it. So positions that are old enough
are *settled*: they keep the keys and values that they had in each layer, and their outputs. The
next window that begins at the same sample computes the positions after them only, whose queries
attend to the settled keys and to their own. Position embeddings count from the window's beginning,
so a memory serves windows with that beginning only.

If no position is settled, the result is that of a full encoding, bit for bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.attention import length_mask
from stream.engine.network.cross_attention import KeptAudio
from stream.engine.network.layers import Encoder, EncoderLayer
from stream.engine.network.transfers import send

LEAD_FRAMES = 2
"""Mel frames before the first fresh position: its convolutions read that far back. Their own first
position is incomplete, and is dropped."""

ONE_STEP = 50
"""Positions that a window usually adds, a second: pieces out of reach are dropped as a whole."""


@dataclass(slots=True, eq=False)
class EncoderMemory:
    """What is kept of one beginning: positions are counted from there."""

    start_sample: int
    """The first sample of the windows that it serves."""
    reach: int
    """How many settled positions before the first fresh one are attended to."""
    audio: tuple[KeptAudio, ...]
    """The decoder's keys and values of the settled positions, by layer of the decoder."""
    dtype: torch.dtype
    """Of the stored numbers: half precision is exact enough beside int8 layers."""
    n_settled: int = 0
    peak: Tensor | None = None
    """() float32: the loudest value of the log-mel spectrogram so far."""
    _layers: list[list[Tensor]] = field(default_factory=list)
    """By layer: keys and values, pieces of (n, 2 * d_model); those out of reach are dropped."""
    _outputs: list[Tensor] = field(default_factory=list)
    """Pieces of (n, d_model)."""

    @property
    def first_frame(self) -> int:
        """The first mel frame that the next window needs."""
        return max(0, 2 * self.n_settled - LEAD_FRAMES)

    @property
    def n_bytes(self) -> int:
        """Bytes that are kept."""
        pieces = [piece for layer in self._layers for piece in layer] + self._outputs
        return sum(p.nbytes for p in pieces) + sum(kept.n_bytes for kept in self.audio)

    def kept_keys(self, layer: int) -> Tensor | None:
        """Return keys and values within reach, (n, 2 * d_model); None if nothing is settled."""
        if not self.n_settled:
            return None
        return torch.cat(self._layers[layer])[-self.reach :]

    def outputs_with(self, fresh: Tensor) -> Tensor:
        """Return the encoder's outputs of all positions, fresh ones (n, d_model) last."""
        return torch.cat([*(piece.to(fresh.dtype) for piece in self._outputs), fresh])

    def settle(self, n_positions: int, layers: Sequence[Tensor], outputs: Tensor) -> None:
        """Keep the first fresh positions, up to `n_positions` from the beginning.

        Args:
            n_positions: that are settled from now on.
            layers: keys and values of the fresh positions, (n or more, 2 * d_model), by layer.
            outputs: theirs, (n or more, d_model).
        """
        n_new = n_positions - self.n_settled
        if n_new <= 0:
            return
        self._layers = self._layers or [[] for _ in layers]
        for pieces, fresh in zip(self._layers, layers, strict=True):
            pieces.append(fresh[:n_new].to(self.dtype, copy=True))
            while sum(map(len, pieces[1:])) >= self.reach:
                del pieces[0]
        self._outputs.append(outputs[:n_new].to(self.dtype, copy=True))
        self.n_settled = n_positions
        for kept in self.audio:
            kept.n_settled = n_positions


def most_bytes(dims: WhisperDims, n_positions: int, reach: int) -> int:
    """Return about how many bytes a memory takes, if its numbers have 16 bits.

    Args:
        dims: shape of the model.
        n_positions: that are settled.
        reach: how many of them are attended to.
    """
    keys = 2 * dims.d_model * min(n_positions, reach + ONE_STEP) * dims.encoder_layers
    scales = 4 * dims.decoder_heads  # of keys and values: 4 bytes each, as two numbers of 16 bits
    audio = (2 * dims.d_model + scales) * n_positions * dims.decoder_layers
    return 2 * (keys + audio + n_positions * dims.d_model)


@torch.no_grad()
def encode_with_memory(
    encoder: Encoder,
    mels: Sequence[Tensor],
    memories: Sequence[EncoderMemory],
    settled: Sequence[int],
) -> list[Tensor]:
    """Encode what is new in windows, and settle some of it.

    Args:
        encoder: the encoder of all rows.
        mels: by row (n_mels, n_frames), from the memory's `first_frame` on.
        memories: by row; they are changed.
        settled: by row, how many positions from the beginning are settled afterwards.

    Returns:
        By row (n_positions, d_model), the outputs of settled and fresh positions.
    """
    device = mels[0].device
    x, fresh = embed_fresh(encoder, mels, [memory.n_settled for memory in memories])
    kept_rows = [memory.kept_keys(0) for memory in memories]
    kept = [0 if rows is None else len(rows) for rows in kept_rows]
    first = max(kept)  # settled keys are put before this column, fresh ones from it on
    columns = torch.arange(first + x.shape[1])
    starts = torch.tensor([first - n for n in kept])[:, None]
    ends = torch.tensor([first + n for n in fresh])[:, None]
    real = (columns >= starts) & (columns < ends)  # (batch, n_keys)
    mask = None if bool(real.all()) else send(real, device)[:, None, None, :]
    d_model = x.shape[2]
    new: list[list[Tensor]] = [[] for _ in memories]
    for index, layer in enumerate(cast("list[EncoderLayer]", list(encoder.layers))):
        qkv = layer.project(x)  # (batch, n_fresh, 3 * d_model)
        for row, part in zip(new, qkv, strict=True):
            row.append(part[:, d_model:])
        if first:
            # Settled positions have no queries.
            qkv = torch.cat([qkv.new_zeros(len(qkv), first, 3 * d_model), qkv], 1)
            for row, memory, n in zip(qkv, memories, kept, strict=True):
                if (keys := memory.kept_keys(index)) is not None:
                    row[first - n : first, d_model:] = keys
        x = layer.finish(x, qkv, mask, first)
    outputs = encoder.layer_norm(x)
    rows = []
    for memory, own, out, n, count in zip(memories, new, outputs, fresh, settled, strict=True):
        rows.append(memory.outputs_with(out[:n]))
        memory.settle(count, own, out)
    return rows


def embed_fresh(
    encoder: Encoder, mels: Sequence[Tensor], firsts: Sequence[int]
) -> tuple[Tensor, list[int]]:
    """Turn mel frames into the fresh positions that enter the first layer.

    Args:
        encoder: whose convolutions and position embeddings are used.
        mels: as in `encode_with_memory`.
        firsts: by row, the first fresh position.

    Returns:
        (batch, n_fresh, d_model), and how many of each row are real.

    Raises:
        ValueError: a row is longer than the model has places for.
    """
    device, dtype = encoder.conv1.weight.device, encoder.conv1.weight.dtype
    lead = LEAD_FRAMES if any(firsts) else 0
    starts = [0 if n else lead for n in firsts]  # a row from the beginning gets frames of zeros
    ends = [start + mel.shape[1] for start, mel in zip(starts, mels, strict=True)]
    batch = torch.zeros(len(mels), mels[0].shape[0], max(ends), device=device, dtype=dtype)
    for row, mel, start, end in zip(batch, mels, starts, ends, strict=True):
        row[:, start:end] = mel
    x = F.gelu(encoder.conv1(batch))  # (batch, d_model, n_frames)
    padding = length_mask(torch.tensor(ends), batch.shape[2], device)
    if padding is not None:
        x = x.masked_fill(~padding[:, None, :], 0)
    for row, start in zip(x, starts, strict=True):
        row[:, :start] = 0
    x = F.gelu(encoder.conv2(x)).transpose(1, 2)[:, lead // 2 :]  # (batch, n_fresh, d_model)
    fresh = [(end - lead + 1) // 2 for end in ends]
    most = encoder.embed_positions.num_embeddings
    if max(first + n for first, n in zip(firsts, fresh, strict=True)) > most:
        raise ValueError(f"a window has more than the {most} positions of the model")
    places = torch.tensor(firsts)[:, None] + torch.arange(x.shape[1])
    return x + encoder.embed_positions(send(places.clamp(max=most - 1), device)), fresh
