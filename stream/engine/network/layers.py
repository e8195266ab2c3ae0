"""Encoder and decoder of the Whisper network, and their layers.

The architecture (Radford et al., 2022, arXiv:2212.04356) and the names of the weights are
Whisper's. The differences: projections are fused, each row is masked at its own length so that
padding has no effect, and each row of the cache is written at its own position.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.attention import attend, length_mask, split_kv, split_qkv
from stream.engine.network.decoder_cache import DecoderCache
from stream.engine.network.self_attention import DecodeStep

ROWS_TOGETHER = 512
"""Number of positions that a feed-forward of the encoder computes together on the CPU: the values
between its two layers then fit into the CPU's caches. With all positions of 28 s together, these
values are newly mapped memory each time, and the encoder takes a third longer."""


class Encoder(nn.Module):
    """Two convolutions over the mel frames, then layers of self-attention."""

    def __init__(self, dims: WhisperDims) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(dims.n_mels, dims.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(dims.d_model, dims.d_model, kernel_size=3, stride=2, padding=1)
        self.embed_positions = empty_embedding(dims.max_positions, dims.d_model)
        self.layers = nn.ModuleList(EncoderLayer(dims) for _ in range(dims.encoder_layers))
        self.layer_norm = nn.LayerNorm(dims.d_model)

    def forward(self, mel: Tensor, n_frames: Tensor) -> Tensor:
        """Encode mel frames: (batch, n_mels, n_frames) -> (batch, n_positions, d_model).

        `n_frames` (batch,) is the number of frames of each row that are not padding.
        """
        if mel.shape[-1] > 2 * self.embed_positions.num_embeddings:
            raise ValueError(f"{mel.shape[-1]} mel frames are more than the model has places for")
        frames = length_mask(n_frames, mel.shape[-1], mel.device)
        positions = length_mask((n_frames + 1) // 2, (mel.shape[-1] + 1) // 2, mel.device)
        # After the end of a single row the convolutions are padded with zeros. A row of a batch
        # must have zeros there as well.
        if frames is not None:
            mel = mel.masked_fill(~frames[:, None, :], 0)
        x = F.gelu(self.conv1(mel))  # (batch, d_model, n_frames)
        if frames is not None:
            x = x.masked_fill(~frames[:, None, :], 0)
        x = F.gelu(self.conv2(x)).transpose(1, 2)  # (batch, n_positions, d_model)
        x = x + self.embed_positions.weight[: x.shape[1]]
        key_mask = None if positions is None else positions[:, None, None, :]
        for layer in self.layers:
            x = layer(x, key_mask)
        return self.layer_norm(x)  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Self-attention over all positions, then a feed-forward: pre-norm, with residuals."""

    def __init__(self, dims: WhisperDims) -> None:
        super().__init__()
        self.heads = dims.encoder_heads
        self.self_attn = SelfAttention(dims.d_model)
        self.self_attn_layer_norm = nn.LayerNorm(dims.d_model)
        self.attend: nn.Module = FullAttention()
        self.fc1 = nn.Linear(dims.d_model, dims.encoder_ffn)
        self.fc2 = nn.Linear(dims.encoder_ffn, dims.d_model)
        self.final_layer_norm = nn.LayerNorm(dims.d_model)

    def forward(self, x: Tensor, key_mask: Tensor | None) -> Tensor:
        """Apply the layer: (batch, n_positions, d_model) -> the same.

        `key_mask` (batch, 1, 1, n_positions) is false for padding; None if there is none.
        """
        return self.finish(x, self.project(x), key_mask)

    def project(self, x: Tensor) -> Tensor:
        """Return queries, keys and values: (batch, n, d_model) -> (batch, n, 3 * d_model)."""
        return self.self_attn.qkv(self.self_attn_layer_norm(x))  # type: ignore[no-any-return]

    def finish(
        self, x: Tensor, qkv: Tensor, key_mask: Tensor | None, first_query: int = 0
    ) -> Tensor:
        """Apply the rest of the layer: attention and the feed-forward part.

        Args:
            x: (batch, n, d_model), the input of the layer.
            qkv: (batch, first_query + n, 3 * d_model), results of `project`: first those of earlier
                positions, of which only the keys and values are used, then those of `x`.
            key_mask: (batch, 1, 1, first_query + n), false for padding; None if there is none.
            first_query: number of the earlier positions.

        Returns:
            (batch, n, d_model).
        """
        x = x + self.self_attn.out_proj(self.attend(qkv, self.heads, key_mask, first_query))
        if x.device.type != "cpu":
            return self.feed_forward(x)
        return torch.cat([self.feed_forward(rows) for rows in torch.split(x, ROWS_TOGETHER, 1)], 1)

    def feed_forward(self, x: Tensor) -> Tensor:
        """Apply the feed-forward to each position: (batch, n, d_model) -> the same."""
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))  # type: ignore[no-any-return]


class FullAttention(nn.Module):
    """Attention of positions of a row to all of them, by PyTorch's kernels."""

    def forward(
        self, qkv: Tensor, heads: int, key_mask: Tensor | None, first_query: int = 0
    ) -> Tensor:
        """Compute attention: (batch, n, 3 * d_model) -> (batch, n - first_query, d_model).

        The positions before `first_query` are only keys and values; `key_mask` as in
        `EncoderLayer.finish`.
        """
        query, keys, values = split_qkv(qkv, heads)
        return attend(query[:, first_query:], keys, values, key_mask)


class Decoder(nn.Module):
    """Layers of self-attention over the tokens so far and cross-attention over the audio."""

    def __init__(self, dims: WhisperDims) -> None:
        super().__init__()
        self.embed_tokens = empty_embedding(dims.vocab_size, dims.d_model)
        self.embed_positions = empty_embedding(dims.max_tokens, dims.d_model)
        self.layers = nn.ModuleList(DecoderLayer(dims, i) for i in range(dims.decoder_layers))
        self.layer_norm = nn.LayerNorm(dims.d_model)
        self.project: nn.Module = nn.Linear(dims.d_model, dims.vocab_size, bias=False)

    def forward(self, tokens: Tensor, n_new: Tensor, cache: DecoderCache) -> Tensor:
        """Decode tokens: (batch, n_tokens) -> (batch, n_tokens, d_model).

        `n_new` (batch,) of them, which are not padding, are appended to each row of the cache.
        """
        step = cache.plan(n_new, tokens.shape[1])
        x = self.embed_tokens(tokens) + self.embed_positions(step.positions)
        for layer in self.layers:
            x = layer(x, step, cache)  # (batch, n_tokens, d_model)
        cache.length = step.after
        return self.layer_norm(x)  # type: ignore[no-any-return]


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward: pre-norm, with residuals."""

    def __init__(self, dims: WhisperDims, index: int) -> None:
        super().__init__()
        self.index = index
        self.heads = dims.decoder_heads
        self.self_attn = SelfAttention(dims.d_model)
        self.self_attn_layer_norm = nn.LayerNorm(dims.d_model)
        self.encoder_attn = CrossAttention(dims.d_model)
        self.encoder_attn_layer_norm = nn.LayerNorm(dims.d_model)
        self.fc1 = nn.Linear(dims.d_model, dims.decoder_ffn)
        self.fc2 = nn.Linear(dims.decoder_ffn, dims.d_model)
        self.final_layer_norm = nn.LayerNorm(dims.d_model)

    def forward(self, x: Tensor, step: DecodeStep, cache: DecoderCache) -> Tensor:
        """Apply the layer: (batch, n_tokens, d_model) -> the same.

        The keys and values of the new tokens are stored in `cache`, at the places in `step`.
        """
        qkv = self.self_attn.qkv(self.self_attn_layer_norm(x))
        x = x + self.self_attn.out_proj(cache.attend_to_text(self.index, step, qkv))

        query = self.encoder_attn.q_proj(self.encoder_attn_layer_norm(x))
        query = query.unflatten(-1, (self.heads, -1))  # (batch, n_tokens, heads, head_size)
        x = x + self.encoder_attn.out_proj(cache.attend_to_audio(self.index, step, query))

        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """The projections of self-attention; query, key and value are one matrix."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)


class CrossAttention(nn.Module):
    """The projections of cross-attention: queries from the text, keys and values from the audio."""

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.q_proj = nn.Linear(d_model, d_model)
        self.kv = nn.Linear(d_model, 2 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def project_audio(self, audio: Tensor, heads: int) -> tuple[Tensor, Tensor]:
        """Return keys and values: (batch, n, d_model) -> (batch, n, heads, head_size) each."""
        return split_kv(self.kv(audio), heads)


def empty_embedding(size: int, d_model: int) -> nn.Embedding:
    """Return an uninitialised embedding (size, d_model).

    Random initialisation would import modules for seconds.
    """
    return nn.Embedding(size, d_model, _weight=torch.empty(size, d_model))
