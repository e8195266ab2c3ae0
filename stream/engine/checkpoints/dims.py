"""The sizes of a Whisper model, as its checkpoint gives them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WhisperDims:
    """The sizes of a Whisper model."""

    n_mels: int
    d_model: int
    encoder_layers: int
    encoder_heads: int
    decoder_layers: int
    decoder_heads: int
    encoder_ffn: int
    decoder_ffn: int
    vocab_size: int
    max_positions: int = 1500
    """Positions of the encoder, 20 ms each."""
    max_tokens: int = 448
    """Positions of the decoder."""
