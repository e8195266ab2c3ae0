"""A decoder's pass over whole sentences at once, with gradients: what training computes.

The same layers as `stream.engine.network.layers.Decoder`, without its cache: each token sees those
before it and all of the audio. Written apart because a cache that is written in place has no
gradient.
"""

import torch.nn.functional as F
from torch import Tensor

from stream.engine.network.attention import attend, length_mask, split_qkv
from stream.engine.network.layers import Decoder, DecoderLayer


def hidden_states(
    decoder: Decoder,
    tokens: Tensor,
    audio: Tensor,
    n_positions: Tensor,
    skip: int = 0,
    dropout: float = 0.0,
) -> Tensor:
    """Return what the decoder makes of each token: `decoder.project` of it are the logits.

    Padding of the tokens comes after them, so that nothing real sees it.

    Args:
        decoder: of teacher or student.
        tokens: (batch, n_tokens) long; any ids in the padding.
        audio: (batch, n_positions, d_model) from the encoder.
        n_positions: (batch,) long, how many positions of each row are real.
        skip: leave out so many first tokens of what is returned.
        dropout: share of what every layer adds that is left out by chance, while learning.

    Returns:
        (batch, n_tokens - skip, d_model).
    """
    mask = length_mask(n_positions, audio.shape[1], audio.device)
    cross_mask = None if mask is None else mask[:, None, None, :]
    x = decoder.embed_tokens(tokens) + decoder.embed_positions.weight[: tokens.shape[1]]
    for layer in decoder.layers:
        assert isinstance(layer, DecoderLayer)
        x = layer_states(layer, x, audio, cross_mask, dropout)
    return decoder.layer_norm(x[:, skip:])  # type: ignore[no-any-return]


def layer_states(
    layer: DecoderLayer, x: Tensor, audio: Tensor, cross_mask: Tensor | None, dropout: float
) -> Tensor:
    """(batch, n_tokens, d_model) -> the same; cross_mask (batch, 1, 1, n_positions)."""

    def some(added: Tensor) -> Tensor:
        return F.dropout(added, dropout)

    qkv = layer.self_attn.qkv(layer.self_attn_layer_norm(x))
    query, keys, values = split_qkv(qkv, layer.heads)
    x = x + some(layer.self_attn.out_proj(attend(query, keys, values, None, causal=True)))

    query = layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(x))
    query = query.unflatten(-1, (layer.heads, -1))  # (batch, n_tokens, heads, head_size)
    keys, values = layer.encoder_attn.project_audio(audio, layer.heads)
    x = x + some(layer.encoder_attn.out_proj(attend(query, keys, values, cross_mask)))

    return x + some(layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x)))))
