"""Runs a decoder over whole token sequences with gradients, for training.

It uses the layers of `stream.engine.network.layers.Decoder` without its cache: each token attends
to those before it and to all of the audio. The decoder's own code cannot be used, since its cache
is written in place and has no gradient.
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
    """Return the decoder's last hidden states; `decoder.project` turns them into logits.

    Padding must follow the tokens, so that no real token attends to it.

    Args:
        decoder: the decoder of the teacher or of the student.
        tokens: (batch, n_tokens) long; any ids in the padding.
        audio: (batch, n_positions, d_model) from the encoder.
        n_positions: (batch,) long, the number of real positions of each row.
        skip: number of first tokens whose states are not returned.
        dropout: dropout of the output of each sublayer, in training.

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
    """Apply a decoder layer to states x (batch, n_tokens, d_model); return the same shape.

    `audio` is (batch, n_positions, d_model), `cross_mask` (batch, 1, 1, n_positions).
    """

    def dropped(added: Tensor) -> Tensor:
        return F.dropout(added, dropout)

    qkv = layer.self_attn.qkv(layer.self_attn_layer_norm(x))
    query, keys, values = split_qkv(qkv, layer.heads)
    x = x + dropped(layer.self_attn.out_proj(attend(query, keys, values, None, causal=True)))

    query = layer.encoder_attn.q_proj(layer.encoder_attn_layer_norm(x))
    query = query.unflatten(-1, (layer.heads, -1))  # (batch, n_tokens, heads, head_size)
    keys, values = layer.encoder_attn.project_audio(audio, layer.heads)
    x = x + dropped(layer.encoder_attn.out_proj(attend(query, keys, values, cross_mask)))

    return x + dropped(layer.fc2(F.gelu(layer.fc1(layer.final_layer_norm(x)))))
