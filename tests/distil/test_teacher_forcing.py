import pytest
import torch

from stream.distil.teacher_forcing import hidden_states
from stream.engine.network.whisper import Whisper
from tests.distil.small import small_teacher


@pytest.fixture(scope="module")
def model() -> Whisper:
    return Whisper.from_checkpoint(small_teacher(), "cpu", "float32")


@torch.no_grad()
def test_the_logits_are_those_of_the_cached_decoder(model):
    torch.manual_seed(1)
    audio = torch.randn(3, 12, model.dims.d_model)
    n_positions = torch.tensor([12, 5, 9])
    tokens = torch.randint(0, 40, (3, 7))
    lengths = torch.tensor([7, 4, 1])
    cache = model.prefill_cache(audio, n_positions, 7)
    expected = model.decode(tokens, lengths, cache)
    logits = model.decoder.project(hidden_states(model.decoder, tokens, audio, n_positions))
    for row, n in enumerate(lengths.tolist()):  # the cache holds the audio in 16 bits
        torch.testing.assert_close(logits[row, :n], expected[row, :n], atol=2e-4, rtol=0)


@torch.no_grad()
def test_skipped_audio_is_decoded_and_not_returned(model):
    audio = torch.randn(2, 8, model.dims.d_model)
    n_positions, tokens = torch.tensor([8, 8]), torch.randint(0, 40, (2, 6))
    whole = hidden_states(model.decoder, tokens, audio, n_positions)
    torch.testing.assert_close(
        hidden_states(model.decoder, tokens, audio, n_positions, skip=3), whole[:, 3:]
    )
