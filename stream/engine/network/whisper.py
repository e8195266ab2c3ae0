"""The Whisper network: encodes and decodes windows of up to 30 s, in batches of any lengths.

It consists of plain torch modules (`layers`) whose logits equal those of transformers'
`WhisperForConditionalGeneration`. The module does not interpret tokens, and reads no files.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn

from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.choosing import choose_ways
from stream.engine.network.cross_attention import KeptAudio, PlainCrossAttentionCache
from stream.engine.network.decoder_cache import DecoderCache
from stream.engine.network.layers import Decoder, DecoderLayer, Encoder, EncoderLayer
from stream.engine.network.quantization import quantise
from stream.engine.network.self_attention import PlainSelfAttentionCache
from stream.engine.network.transfers import send
from stream.engine.network.ways import FLOAT32_WAYS, Ways, as_setting, make, requested_ways
from stream.errors import CheckpointError

Precision = Literal["int8", "float32", "float16", "bfloat16"]
"""How weights are stored and multiplied. int8 applies to the linear layers and the attention of the
encoder on the CPU; docs/decisions/017 has the cost in accuracy."""

log = logging.getLogger(__name__)

_DTYPES: dict[Precision, torch.dtype] = {
    "int8": torch.float32,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class Whisper(nn.Module):
    """Encoder and decoder. Rows of a batch do not attend to each other or to their padding."""

    def __init__(self, dims: WhisperDims) -> None:
        super().__init__()
        self.dims = dims
        self.ways: Ways = FLOAT32_WAYS
        """How the CPU computes each operation; `use` sets it."""
        self.encoder = Encoder(dims)
        self.decoder = Decoder(dims)

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        device: str = "cpu",
        precision: Precision = "int8",
        ways: str | None = None,
    ) -> Self:
        """Build the network with a checkpoint's weights, all of which must be present and fit.

        Args:
            checkpoint: the weights, by transformers' names.
            device: torch device on which the network runs.
            precision: precision of the weights.
            ways: how the CPU computes each operation in int8, as for `parse_ways`. If None,
                `$DISTIL_STREAM_WAYS` is used; if that is not set, the ways are measured on this
                machine. It has no effect with another precision.

        Raises:
            ValueError: int8 was requested on a device other than the CPU.
            CheckpointError: a weight is missing, has another shape, or is unknown.
            UsageError: `ways` names an unknown operation or way.
        """
        pinned = requested_ways(ways)
        if precision == "int8" and torch.device(device).type != "cpu":
            raise ValueError(f"int8 runs on the CPU only; choose float16 on {device}")
        with torch.device("meta"):  # no memory and no time for random weights
            model = cls(checkpoint.dims)
        state = {
            name: tensor.to(device, _DTYPES[precision]) for name, tensor in checkpoint.state.items()
        }
        try:
            model.load_state_dict(fuse_projections(state), strict=True, assign=True)
        except (KeyError, RuntimeError) as error:
            raise CheckpointError(f"{checkpoint.name} ({checkpoint.source}): {error}") from error
        if precision == "int8":
            if pinned is None:
                model.use(choose_ways(model.encoder, model.decoder).ways)
            else:
                log.info("ways to compute, pinned: %s", as_setting(pinned))
                model.use(pinned)
            halve_exactly(model.decoder.embed_tokens)
        return model.requires_grad_(False).eval()

    def use(self, ways: Ways) -> None:
        """Replace layers of this float32 network on the CPU by those that `ways` specifies."""
        self.ways = ways
        quantise(self.encoder, make("encoder_linear", ways))
        quantise(self.decoder, make("decoder_linear", ways))
        for layer in cast("list[EncoderLayer]", list(self.encoder.layers)):
            layer.attend = make("encoder_attention", ways)()

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return self.encoder.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """The floating-point type of the encoder and the caches."""
        return self.encoder.conv1.weight.dtype

    @torch.no_grad()
    def encode(self, mel: Tensor, n_frames: Tensor) -> Tensor:
        """Encode windows.

        Args:
            mel: (batch, n_mels, n_frames), n_frames up to 3000; padding can have any values.
            n_frames: (batch,) long, number of frames of each row that are not padding, at least 1.

        Returns:
            (batch, n_positions, d_model); ceil(n_frames / 2) positions of a row are real.
        """
        return self.encoder(mel.to(self.device, self.dtype), n_frames.cpu())  # type: ignore[no-any-return]

    @torch.no_grad()
    def prefill_cache(
        self,
        audio: Tensor,
        n_positions: Tensor,
        max_tokens: int,
        alignment_heads: Sequence[tuple[int, int]] = (),
        kept: Sequence[Sequence[KeptAudio] | None] = (),
    ) -> DecoderCache:
        """Project the encoded audio for every decoder layer, and allocate the cache of the tokens.

        Args:
            audio: (batch, n_positions, d_model) from `encode`.
            n_positions: (batch,) long, number of real positions of each row, at least 1.
            max_tokens: the most tokens in a row, including its prompt.
            alignment_heads: (layer, head) pairs whose cross-attention the cache records.
            kept: by row, what earlier windows have projected for each layer, to which this adds;
                empty if there is none.
        """
        if not 0 < max_tokens <= self.dims.max_tokens:
            raise ValueError(f"max_tokens is {max_tokens}, not in 1..{self.dims.max_tokens}")
        heads, n_positions = self.dims.decoder_heads, n_positions.cpu()
        layers = cast("list[DecoderLayer]", list(self.decoder.layers))
        on_cpu = audio.device.type == "cpu"
        project = make("cross_attention", self.ways) if on_cpu else PlainCrossAttentionCache.project
        make_text_cache = make("self_attention", self.ways) if on_cpu else PlainSelfAttentionCache
        layer_audio = [
            project(
                audio,
                n_positions,
                heads,
                layer.encoder_attn.kv,
                [None if row is None else row[index] for row in kept],
            )
            for index, layer in enumerate(layers)
        ]
        return DecoderCache(
            layer_audio, audio, heads, max_tokens, tuple(alignment_heads), make_text_cache
        )

    @torch.no_grad()
    def decode(self, tokens: Tensor, n_new: Tensor, cache: DecoderCache) -> Tensor:
        """Append tokens to each row and return the logits of the token after each of them.

        Args:
            tokens: (batch, n_tokens) long, as for `read`.
            n_new: (batch,) long, as for `read`.
            cache: advanced by `n_new`.

        Returns:
            (batch, n_tokens, vocab_size) float32 logits; those of padding are undefined.
        """
        return self.logits(self.read(tokens, n_new, cache))

    @torch.no_grad()
    def read(self, tokens: Tensor, n_new: Tensor, cache: DecoderCache) -> Tensor:
        """Append tokens to each row and return the decoder's state after each of them.

        A pass can have one token for each row, a whole prompt, or a draft to verify. The vocabulary
        is large, so a caller that needs the logits after some tokens only passes the states of
        those to `logits`.

        Args:
            tokens: (batch, n_tokens) long; padding can have any ids.
            n_new: (batch,) long, number of new tokens of each row; 0 does not change a row.
            cache: advanced by `n_new`.

        Returns:
            (batch, n_tokens, d_model); the states of padding are undefined.

        Raises:
            ValueError: a row would grow past the cache's `max_tokens`.
        """
        return self.decoder(send(tokens, self.device), n_new.cpu(), cache)  # type: ignore[no-any-return]

    @torch.no_grad()
    def logits(self, states: Tensor) -> Tensor:
        """Project decoder states to logits: (..., d_model) -> (..., vocab_size) float32."""
        return self.decoder.project(states).float()  # type: ignore[no-any-return]


def halve_exactly(embedding: nn.Embedding) -> None:
    """Store an embedding in float16 if that is exact, as it is for weights published in float16."""
    half = embedding.weight.half()
    if torch.equal(half.float(), embedding.weight):
        embedding.weight = nn.Parameter(half, requires_grad=False)


def fuse_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename transformers' weights to ours, and stack those of q, k and v.

    Keys get a bias of zeros.

    Args:
        state: `model.encoder....` and `model.decoder....`; `proj_out.weight` is ignored, because it
            equals the token embedding, which projects the logits here.
    """
    fused = {
        name.removeprefix("model."): tensor
        for name, tensor in state.items()
        if name != "proj_out.weight"
    }
    for name in [name for name in fused if name.endswith("_attn.v_proj.weight")]:
        attention = name.removesuffix("v_proj.weight")
        parts = "kv" if attention.endswith("encoder_attn.") else "qkv"
        fused.setdefault(f"{attention}k_proj.bias", torch.zeros_like(fused[name][:, 0]))
        for kind in ("weight", "bias"):
            stacked = [fused.pop(f"{attention}{part}_proj.{kind}") for part in parts]
            fused[f"{attention}{parts}.{kind}"] = torch.cat(stacked)
    fused["decoder.project.weight"] = fused["decoder.embed_tokens.weight"]
    return fused
