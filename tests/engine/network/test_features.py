import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stream.engine.network.features import HOP_SAMPLES, MAX_FRAMES, log_mel, mel_filters


@pytest.mark.parametrize("n_mels", [80, 128])
@pytest.mark.parametrize("seconds", [0.3, 7.77, 30.0])
def test_log_mel_equals_transformers(speech, n_mels, seconds):
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    samples = speech[: int(seconds * 16_000)]
    theirs = extractor(
        samples, sampling_rate=16_000, return_tensors="pt", padding="do_not_pad"
    ).input_features[0]
    ours = log_mel(torch.from_numpy(samples), n_mels)
    torch.testing.assert_close(ours, theirs[:, : ours.shape[1]], atol=1e-4, rtol=0)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_mel_filters_equal_transformers(n_mels):
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(201, n_mels, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    np.testing.assert_allclose(mel_filters(n_mels), theirs.T, atol=1e-6)


@given(n_samples=st.integers(0, 2000))
def test_a_frame_for_every_ten_milliseconds(n_samples):
    mel = log_mel(torch.rand(n_samples) - 0.5, 80)
    assert mel.shape == (80, n_samples // HOP_SAMPLES)
    assert mel.isfinite().all()


def test_digital_silence_is_finite_and_flat():
    mel = log_mel(torch.zeros(16_000), 80)
    torch.testing.assert_close(mel, torch.full((80, 100), -1.5))


def test_the_longest_window_is_thirty_seconds():
    assert MAX_FRAMES * HOP_SAMPLES == 30 * 16_000
