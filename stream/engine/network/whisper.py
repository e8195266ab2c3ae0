"""The Whisper network: any window up to 30 s, in batches of rows of different lengths.

Plain torch modules (`layers`) that give the logits of transformers'
`WhisperForConditionalGeneration`. Knows no tokens' meaning and no files.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal, Self, cast

import torch
from torch import Tensor, nn

from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.choosing import choose_ways
from stream.engine.network.cross_attention import PlainAudio
from stream.engine.network.decoder_cache import DecoderCache
from stream.engine.network.layers import Decoder, DecoderLayer, Encoder, EncoderLayer
from stream.engine.network.quantization import quantise
from stream.engine.network.self_attention import PlainTokens
from stream.engine.network.transfers import send
from stream.engine.network.ways import FLOAT32_WAYS, Ways, as_setting, make, requested_ways
from stream.errors import CheckpointError

Precision = Literal["int8", "float32", "float16", "bfloat16"]
"""How weights are held and multiplied. int8 is for the CPU, for the linear layers and the encoder's
attention; docs/decisions/017 says what it costs."""

log = logging.getLogger(__name__)

_DTYPES: dict[Precision, torch.dtype] = {
    "int8": torch.float32,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}


class Whisper(nn.Module):
    """Encoder and decoder. Rows of a batch never see each other or their padding."""

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
        """Build the network with a checkpoint's weights; every one must be there and fit.

        Args:
            checkpoint: the weights, by transformers' names.
            device: where the network runs.
            precision: of the weights.
            ways: how the CPU computes each operation in int8, as `parse_ways` reads it;
                `$DISTIL_STREAM_WAYS` unless given, and measured on this machine without either. In
                another precision there is nothing to choose.

        Raises:
            ValueError: int8 was asked for on a device other than the CPU.
            CheckpointError: a weight is missing, of another shape, or one too many.
            UsageError: `ways` names something that does not exist.
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
        """Replace the layers of a float32 network on the CPU by those that `ways` names."""
        self.ways = ways
        quantise(self.encoder, make("encoder_linear", ways))
        quantise(self.decoder, make("decoder_linear", ways))
        for layer in cast("list[EncoderLayer]", list(self.encoder.layers)):
            layer.attend = make("encoder_attention", ways)()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.encoder.conv1.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What encoder and caches are computed in."""
        return self.encoder.conv1.weight.dtype

    @torch.no_grad()
    def encode(self, mel: Tensor, n_frames: Tensor) -> Tensor:
        """Encode windows.

        Args:
            mel: (batch, n_mels, n_frames), n_frames up to 3000; any values in the padding.
            n_frames: (batch,) long, how many frames of each row are real, at least 1.

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
    ) -> DecoderCache:
        """Project the encoded audio for every decoder layer, and make room for tokens.

        Args:
            audio: (batch, n_positions, d_model) from `encode`.
            n_positions: (batch,) long, how many positions of each row are real, at least 1.
            max_tokens: how many tokens a row may take, prompt included.
            alignment_heads: (layer, head) pairs whose cross-attention the cache is to record.
        """
        if not 0 < max_tokens <= self.dims.max_tokens:
            raise ValueError(f"max_tokens is {max_tokens}, not in 1..{self.dims.max_tokens}")
        heads, n_positions = self.dims.decoder_heads, n_positions.cpu()
        layers = cast("list[DecoderLayer]", list(self.decoder.layers))
        on_cpu = audio.device.type == "cpu"
        project = make("cross_attention", self.ways) if on_cpu else PlainAudio.project
        make_tokens = make("self_attention", self.ways) if on_cpu else PlainTokens
        heard = [project(audio, n_positions, heads, layer.encoder_attn.kv) for layer in layers]
        return DecoderCache(heard, audio, heads, max_tokens, tuple(alignment_heads), make_tokens)

    @torch.no_grad()
    def decode(self, tokens: Tensor, n_new: Tensor, cache: DecoderCache) -> Tensor:
        """Append tokens to each row and return what the model says comes after each of them.

        Args:
            tokens: as for `read`.
            n_new: the same.
            cache: the same.

        Returns:
            (batch, n_tokens, vocab_size) float32 logits; those of padding mean nothing.
        """
        return self.logits(self.read(tokens, n_new, cache))

    @torch.no_grad()
    def read(self, tokens: Tensor, n_new: Tensor, cache: DecoderCache) -> Tensor:
        """Append tokens to each row and return the decoder's state after each of them.

        One token a row, a whole prompt and a draft to verify all come through here. The vocabulary
        is large: whoever wants the logits of some tokens alone gives `logits` only their states.

        Args:
            tokens: (batch, n_tokens) long; any ids in the padding.
            n_new: (batch,) long, how many tokens of each row are real; 0 leaves a row as it is.
            cache: advanced by `n_new`.

        Returns:
            (batch, n_tokens, d_model); those of padding mean nothing.

        Raises:
            ValueError: a row would grow past the cache's `max_tokens`.
        """
        return self.decoder(send(tokens, self.device), n_new.cpu(), cache)  # type: ignore[no-any-return]

    @torch.no_grad()
    def logits(self, states: Tensor) -> Tensor:
        """(..., d_model) -> (..., vocab_size) float32."""
        return self.decoder.project(states).float()  # type: ignore[no-any-return]


def halve_exactly(embedding: nn.Embedding) -> None:
    """Keep an embedding in float16 where that is no loss, as with weights published in it."""
    half = embedding.weight.half()
    if torch.equal(half.float(), embedding.weight):
        embedding.weight = nn.Parameter(half, requires_grad=False)


def fuse_projections(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Turn transformers' names into ours: q, k, v stacked (keys have no bias: zeros).

    Args:
        state: `model.encoder....`, `model.decoder....`, and `proj_out.weight` or not: the logits
            are projected by the token embedding either way.
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
