"""A small network with random weights: what it says is nonsense, but each row its own nonsense."""

import torch

from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.checkpoints.vocabulary import Vocabulary
from stream.engine.network.whisper import Whisper

SMALL = WhisperDims(
    n_mels=8,
    d_model=32,
    encoder_layers=1,
    encoder_heads=4,
    decoder_layers=2,
    decoder_heads=4,
    encoder_ffn=64,
    decoder_ffn=64,
    vocab_size=60,
    max_positions=40,
    max_tokens=64,
)
VOCABULARY = Vocabulary(
    start_of_transcript=41,
    end_of_text=40,
    no_timestamps=48,
    timestamp_begin=49,
    no_speech=47,
    translate=44,
    transcribe=45,
    start_of_previous=46,
    languages={"en": 42, "de": 43},
    suppressed=(3, 5, 41, 46, 47),
    suppressed_at_start=(7, 40),
)


def nonsense_model(seed: int) -> Whisper:
    torch.manual_seed(seed)
    model = Whisper(SMALL).requires_grad_(False).eval()
    for name, parameter in model.named_parameters():
        if "layer_norm" not in name:  # a bias there would say the same token for ever
            parameter.normal_(0, 0.3 if "layers" in name else 1.0)
    return model
