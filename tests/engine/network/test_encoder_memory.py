"""The encoder with memory gives what a full encoding gives, as far as it is refreshed."""

import numpy as np
import pytest
import torch
from torch import Tensor

from stream.engine.checkpoints.dims import WhisperDims
from stream.engine.network.cross_attention import KeptAudio
from stream.engine.network.encoder_memory import EncoderMemory, encode_with_memory
from stream.engine.network.features import log_mel, log_power, scaled
from stream.engine.network.int8_attention import Int8Attention
from stream.engine.network.int16_attention import Int16Attention
from stream.engine.network.layers import FullAttention
from stream.engine.network.ways import DEFAULT_WAYS, FLOAT32_WAYS
from stream.engine.network.whisper import Whisper

REFRESH = 100
"""Positions: 2 s."""
EVERYTHING = 1500


def random_model(dims: WhisperDims | None = None, layers: int = 2) -> Whisper:
    """A network with random weights, with position embeddings as small as the inputs."""
    torch.manual_seed(0)
    model = Whisper(dims or WhisperDims(80, 64, layers, 2, 2, 2, 128, 128, 60))
    for name, parameter in model.requires_grad_(False).eval().named_parameters():
        fan = parameter.shape[-1] if parameter.dim() > 1 else 1
        parameter.normal_(0, 1 / fan**0.5 if parameter.dim() > 1 else 0.1)
        if "layer_norm.weight" in name:
            parameter.fill_(1)
    return model


def a_memory(model: Whisper, reach: int = EVERYTHING) -> EncoderMemory:
    kept = tuple(KeptAudio() for _ in range(model.dims.decoder_layers))
    return EncoderMemory(0, reach, kept, torch.float32)


def noise(seconds: float, seed: int = 0) -> Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.normal(0, 0.05, round(seconds * 16_000)).astype(np.float32))


def continued(model: Whisper, memory: EncoderMemory, samples: Tensor, refresh: int) -> Tensor:
    """Encode a window from memory, as the recogniser does."""
    power = log_power(samples, model.dims.n_mels, memory.first_frame)
    mel = scaled(power, power.max() if memory.peak is None else memory.peak)
    memory.peak = power.max() if memory.peak is None else memory.peak
    settled = max(memory.n_settled, len(samples) // 320 - refresh)
    return encode_with_memory(model.encoder, [mel], [memory], [settled])[0]


def in_full(model: Whisper, samples: Tensor) -> Tensor:
    mel = log_mel(samples, model.dims.n_mels)
    return model.encode(mel[None], torch.tensor([mel.shape[1]]))[0]


@pytest.mark.parametrize("frame", [1, 2, 3, 4, 7, 50])
def test_frames_from_the_middle_are_those_of_the_whole(frame):
    samples = noise(1.23)
    whole = log_power(samples, 80)
    assert torch.allclose(log_power(samples, 80, frame), whole[:, frame:], atol=1e-4)


@pytest.mark.parametrize("ways", [FLOAT32_WAYS, DEFAULT_WAYS])
def test_a_window_that_is_refreshed_in_full_is_encoded_in_full(ways):
    model = random_model()
    model.use(ways)
    memory = a_memory(model)
    for seconds in (2.0, 3.0, 4.5):
        samples = noise(6.0)[: round(seconds * 16_000)]
        found = continued(model, memory, samples, refresh=EVERYTHING)
        assert torch.equal(found, in_full(model, samples))
    assert memory.n_bytes == 0


def test_settled_positions_stay_and_fresh_ones_are_those_of_one_layer():
    """With one layer keys do not depend on later audio, so memory changes nothing at all."""
    model = random_model(layers=1)
    memory = a_memory(model)
    samples = noise(6.0)
    for seconds in (3.0, 4.02, 5.0, 6.0):
        some = samples[: round(seconds * 16_000)]
        before = memory.n_settled
        memory.peak = log_power(samples, 80).max()
        found = continued(model, memory, some, REFRESH)
        mel = scaled(log_power(some, 80), memory.peak)
        expected = model.encode(mel[None], torch.tensor([mel.shape[1]]))[0]
        assert len(found) == len(expected) == len(some) // 320
        assert torch.allclose(found[before:], expected[before:], atol=2e-4)
    assert memory.n_settled == 300 - REFRESH


def test_a_reach_limits_what_is_kept_and_attended_to():
    model = random_model()
    memory = a_memory(model, reach=75)
    for seconds in (3.0, 4.0, 5.0, 6.0, 7.0):
        continued(model, memory, noise(8.0)[: round(seconds * 16_000)], REFRESH)
    keys = memory.kept_keys(0)
    assert keys is not None
    assert len(keys) == 75
    width = 2 * model.dims.d_model * 4
    most = 2 * (75 + 50) * width + memory.n_settled * model.dims.d_model * 4
    assert memory.n_bytes <= most


def test_rows_of_different_ages_are_encoded_together():
    model = random_model()
    alone, together = [a_memory(model) for _ in range(3)], [a_memory(model) for _ in range(3)]
    streams = [noise(9.0, seed) for seed in range(3)]
    for memories in (alone, together):
        continued(model, memories[1], streams[1][: 3 * 16_000], REFRESH)
        continued(model, memories[2], streams[2][: 5 * 16_000], REFRESH)
    windows = [stream[:n] for stream, n in zip(streams, (40_000, 70_400, 6 * 16_000), strict=True)]
    expected = [continued(model, m, w, REFRESH) for m, w in zip(alone, windows, strict=True)]
    mels, settled = [], []
    for memory, window in zip(together, windows, strict=True):
        power = log_power(window, 80, memory.first_frame)
        mels.append(scaled(power, power.max() if memory.peak is None else memory.peak))
        settled.append(max(memory.n_settled, len(window) // 320 - REFRESH))
    found = encode_with_memory(model.encoder, mels, together, settled)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, atol=2e-4)
    assert [m.n_settled for m in together] == [m.n_settled for m in alone] == [25, 120, 200]


def test_large_v3s_shape():
    model = random_model(WhisperDims(128, 1280, 1, 20, 1, 20, 5120, 5120, 100))
    model.use(DEFAULT_WAYS)
    memory = a_memory(model)
    continued(model, memory, noise(4.0), REFRESH)
    found = continued(model, memory, noise(5.0), REFRESH)
    assert found.shape == (250, 1280)
    assert memory.n_settled == 150


@pytest.mark.parametrize(("kernel", "error"), [(Int16Attention, 0.002), (Int8Attention, 0.03)])
@pytest.mark.parametrize(("n", "before"), [(100, 0), (100, 37), (301, 300), (64, 5)])
def test_kernels_attend_with_the_last_queries_alone(kernel, error, n, before):
    qkv = torch.randn(1, n, 3 * 128, generator=torch.Generator().manual_seed(0))
    qkv[:, :before, :128] = 0  # settled positions have no queries
    expected = FullAttention()(qkv, 2, None, before)
    found = kernel()(qkv, 2, None, before)
    assert found.shape == expected.shape == (1, n - before, 128)
    assert (found - expected).norm() <= error * expected.norm()


@pytest.mark.parametrize("way", ["int16", "float32"])
def test_the_decoder_reads_kept_audio_as_if_it_were_projected_anew(way):
    model = random_model()
    model.use({**FLOAT32_WAYS, "cross_attention": way})
    memory = a_memory(model)
    samples = noise(8.0)
    for seconds in (3.0, 5.0, 6.5):
        audio = continued(model, memory, samples[: round(seconds * 16_000)], REFRESH)[None]
        n = torch.tensor([audio.shape[1]])
        tokens, n_new = torch.tensor([[5, 6, 7]]), torch.tensor([3])
        fresh = model.prefill_cache(audio, n, 8)
        kept = model.prefill_cache(audio, n, 8, (), [memory.audio])
        expected, found = model.decode(tokens, n_new, fresh), model.decode(tokens, n_new, kept)
        assert torch.allclose(found, expected, atol=1e-4)
        assert all(one.n_kept == memory.n_settled for one in memory.audio)
