"""Computes the log-mel spectrogram of audio samples, which is the input of Whisper.

The values equal those of transformers' `WhisperFeatureExtractor` within 1e-4. There is no padding
to 30 s, and transformers, which takes seconds to import, is not needed.
"""

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from stream.core.audio import SAMPLE_RATE
from stream.engine.network.transfers import send

N_FFT = 400
"""Samples: 25 ms."""
HOP_SAMPLES = 160
"""Samples from one mel frame to the next: 10 ms."""
MIRRORED_FRAMES = 2
"""Frames at the beginning that reach before the first sample, where the audio is mirrored."""
MAX_FRAMES = 3000
"""30 s, the longest window for which Whisper has positions."""


def log_mel(samples: Tensor, n_mels: int) -> Tensor:
    """Return the log-mel spectrogram, on the device of the samples.

    Args:
        samples: (n_samples,) float at 16 kHz, in -1..1.
        n_mels: 80, or 128 from large-v3 on.

    Returns:
        (n_mels, n_frames) float32 with n_frames = n_samples // 160. Values are clipped to 8 decades
        below the loudest bin of these samples, so they depend on these samples only.
    """
    power = log_power(samples, n_mels)
    return scaled(power, power.max()) if power.numel() else power


def scaled(power: Tensor, peak: Tensor) -> Tensor:
    """Clip `log_power` to 8 decades below `peak`, and scale it as Whisper does."""
    return torch.maximum(power, peak - 8.0).add_(4.0).div_(4.0)


def log_power(samples: Tensor, n_mels: int, first_frame: int = 0) -> Tensor:
    """Return the common logarithms of the power in each mel band.

    Args:
        samples: as for `log_mel`.
        n_mels: the same.
        first_frame: earlier frames are not computed; the others are the same without them.

    Returns:
        (n_mels, n_frames - first_frame) float32, n_frames as for `log_mel`.
    """
    if first_frame > MIRRORED_FRAMES:
        kept = samples[(first_frame - MIRRORED_FRAMES) * HOP_SAMPLES :]
        return log_power(kept, n_mels)[:, MIRRORED_FRAMES:]
    if first_frame:
        return log_power(samples, n_mels)[:, first_frame:]
    n_frames = len(samples) // HOP_SAMPLES
    if n_frames == 0:
        return samples.new_zeros((n_mels, 0), dtype=torch.float32)
    # The transform mirrors the edges, for which it needs more samples than half of its length.
    samples = F.pad(samples.float(), (0, max(0, N_FFT - len(samples))))
    window = torch.hann_window(N_FFT, device=samples.device)
    spectrum = torch.stft(samples, N_FFT, HOP_SAMPLES, window=window, return_complex=True)
    power = spectrum[:, :n_frames].abs().square()  # (n_bins, n_frames)
    filters = send(torch.from_numpy(mel_filters(n_mels)), samples.device)
    return (filters @ power).clamp_(min=1e-10).log10_()


@cache
def mel_filters(n_mels: int) -> NDArray[np.float32]:
    """Return triangular filters, (n_mels, n_bins): Slaney's mel scale, each of unit area.

    Malcolm Slaney, Auditory Toolbox, 1998: linear below 1 kHz, logarithmic above.
    """
    bin_hz = np.linspace(0.0, SAMPLE_RATE / 2, 1 + N_FFT // 2)
    edge_hz = _mel_to_hz(np.linspace(0.0, _hz_to_mel(SAMPLE_RATE / 2), n_mels + 2))
    distance = edge_hz[:, None] - bin_hz[None, :]  # (n_mels + 2, n_bins)
    width = np.diff(edge_hz)[:, None]
    rising = -distance[:-2] / width[:-1]
    falling = distance[2:] / width[1:]
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    area = (edge_hz[2:] - edge_hz[:-2])[:, None] / 2
    return (triangles / area).astype(np.float32)


_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_LOG_STEP = np.log(6.4) / 27
"""27 mels take 1 kHz to 6.4 kHz."""


def _hz_to_mel(hz: float) -> float:
    """Convert a frequency above 1 kHz to mels."""
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) / _LOG_STEP)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    logarithmic = _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL))
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, logarithmic)
