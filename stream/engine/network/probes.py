"""Probes: for each operation, a piece of the network's work that is timed, in its real shapes.

A probe builds the same piece of work with any way of its operation. The inputs are random; the
weights are those of the model's first layers.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stream.engine.network.layers import Decoder, DecoderLayer, Encoder, EncoderLayer
from stream.engine.network.self_attention import DecodeStep, SelfAttentionCache
from stream.engine.network.ways import Way

POSITIONS = 512
"""Encoder positions that attend to each other: 10 s of audio."""
LINEAR_ROWS = 128
"""Encoder positions as input of the linear layers, whose time is proportional to their number."""
DRAFT_TOKENS = 24
"""Tokens that are verified in one pass, about 8 s of speech."""
SINGLE_TOKENS = 8
"""Tokens that are decoded one by one after the draft."""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A piece of work, computed in one way."""

    run: Callable[[], Tensor]
    """The work that is timed; its result is compared with that of float32."""
    alone: Callable[[], Tensor] | None = None
    """The same work computed row by row, whose result must be equal to the last bit. None if the
    operation does not require that."""


Probe = Callable[[Encoder, Decoder, Way], Trial]


def encoder_attention(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: the attention of one encoder layer."""
    layer = first_encoder_layer(encoder)
    attention: nn.Module = way.make()
    qkv = noise(1, POSITIONS, 3 * encoder.embed_positions.embedding_dim)
    return Trial(lambda: attention(qkv, layer.heads, None))


def encoder_linear(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: the linear layers of one encoder layer."""
    layer = first_encoder_layer(encoder)
    layers = [layer.self_attn.qkv, layer.self_attn.out_proj, layer.fc1, layer.fc2]
    work = [(made(way, one), noise(LINEAR_ROWS, one.in_features)) for one in layers]
    return Trial(lambda: flat(linear(x) for linear, x in work))


def decoder_linear(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: the linear layers of one decoder layer, and part of the output projection.

    The part is the vocabulary divided by the number of layers.
    """
    layer = first_decoder_layer(decoder)
    cross = layer.encoder_attn
    layers = [layer.self_attn.qkv, layer.self_attn.out_proj, cross.q_proj, cross.out_proj]
    layers += [layer.fc1, layer.fc2]
    work = [(made(way, one), noise(DRAFT_TOKENS, one.in_features)) for one in layers]
    vocabulary = decoder.embed_tokens.weight
    share = vocabulary[: len(vocabulary) // len(decoder.layers)]
    work.append((way.make(share, None), noise(DRAFT_TOKENS, share.shape[1])))

    def run() -> Tensor:
        for _ in range(SINGLE_TOKENS):
            for linear, x in work:
                linear(x[:1])
        return flat(linear(x) for linear, x in work)

    def alone() -> Tensor:
        rows = range(DRAFT_TOKENS)
        return flat(torch.cat([linear(x[i : i + 1]) for i in rows]) for linear, x in work)

    return Trial(run, alone)


def cross_attention(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: the projection of the audio for one layer, and its passes of attention."""
    layer = first_decoder_layer(decoder)
    d_model = layer.encoder_attn.q_proj.in_features
    audio, n_positions = noise(1, POSITIONS, d_model), torch.tensor([POSITIONS])
    query = noise(1, DRAFT_TOKENS, layer.heads, d_model // layer.heads)
    kv = layer.encoder_attn.kv

    def run() -> Tensor:
        read = way.make(audio, n_positions, layer.heads, kv).attend
        for _ in range(SINGLE_TOKENS):
            read(query[:, :1], torch.tensor([1]), ())
        attended: Tensor = read(query, torch.tensor([DRAFT_TOKENS]), ())[0]
        return attended

    def alone() -> Tensor:
        read = way.make(audio, n_positions, layer.heads, kv).attend
        singles = torch.split(query, 1, 1)
        return torch.cat([read(one, torch.tensor([1]), ())[0] for one in singles], dim=1)

    return Trial(run, alone)


def self_attention(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: the attention of one layer to its tokens, a draft and then single tokens."""
    layer = first_decoder_layer(decoder)
    qkv = noise(1, DRAFT_TOKENS, layer.self_attn.qkv.out_features)
    like = qkv[..., : layer.self_attn.out_proj.in_features]

    def tokens() -> SelfAttentionCache:
        made: SelfAttentionCache = way.make(like, DRAFT_TOKENS, layer.heads)
        return made

    def run() -> Tensor:
        drafted = tokens().attend(qkv, step_of(0, DRAFT_TOKENS))
        alone()
        return drafted

    def alone() -> Tensor:
        said = tokens()
        steps = [(qkv[:, i : i + 1], step_of(i, 1)) for i in range(DRAFT_TOKENS)]
        return torch.cat([said.attend(one, step) for one, step in steps], dim=1)

    return Trial(run, alone)


def threads(encoder: Encoder, decoder: Decoder, way: Way) -> Trial:
    """Build the trial: attention and feed-forward of one encoder layer, with the way's threads."""
    layer = first_encoder_layer(encoder)
    x = noise(1, POSITIONS, encoder.embed_positions.embedding_dim)

    def run() -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(way.make(before))
        try:
            qkv = layer.self_attn.qkv(x)
            attended: Tensor = layer.attend(qkv, layer.heads, None)
            return layer.feed_forward(attended)
        finally:
            torch.set_num_threads(before)

    return Trial(run)


PROBES: Mapping[str, Probe] = {
    "encoder_attention": encoder_attention,
    "encoder_linear": encoder_linear,
    "decoder_linear": decoder_linear,
    "cross_attention": cross_attention,
    "self_attention": self_attention,
    "threads": threads,
}


def first_encoder_layer(encoder: Encoder) -> EncoderLayer:
    """Return the first layer of the encoder, with its type."""
    layer = encoder.layers[0]
    assert isinstance(layer, EncoderLayer)
    return layer


def first_decoder_layer(decoder: Decoder) -> DecoderLayer:
    """Return the first layer of the decoder, with its type."""
    layer = decoder.layers[0]
    assert isinstance(layer, DecoderLayer)
    return layer


def made(way: Way, linear: nn.Linear) -> nn.Module:
    """Return the linear layer with the same weights that the way makes."""
    layer: nn.Module = way.make(linear.weight, linear.bias)
    return layer


def noise(*shape: int) -> Tensor:
    """Return normally distributed numbers of this shape, the same at each call."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Flatten and concatenate tensors of any shapes: (n,)."""
    return torch.cat([tensor.flatten() for tensor in tensors])


def step_of(before: int, n_new: int) -> DecodeStep:
    """Return the decode step that appends `n_new` tokens to a single row of `before` tokens."""
    after = torch.tensor([before + n_new])
    positions = torch.arange(before, before + n_new)[None]
    slots = (slice(None), slice(before, before + n_new))
    mask = None
    if before and n_new > 1:
        mask = torch.arange(before + n_new) <= positions[:, None, :, None]
    return DecodeStep(positions, slots, torch.tensor([before]), torch.tensor([n_new]), after, mask)
