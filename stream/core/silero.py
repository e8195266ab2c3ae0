"""Silero's voice activity network in numpy: the probability that audio holds speech.

The networks of silero-vad 6, one for 16 kHz and one for 8 kHz, differ in their lengths only: the
magnitudes of a short-time Fourier transform, four convolutions and an LSTM with a state. A window
is 32 ms, preceded by the last 4 ms of the previous window. One window costs about 0.1 ms, and half
of that in a batch, so every stream can run its own network, in step with its session:
https://github.com/snakers4/silero-vad (MIT).

`engine/checkpoints/silero_weights` reads the weights; here they are arrays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

WIDTH = 128
"""Width of the LSTM's state."""

STRIDES = (1, 2, 2, 1)
"""Strides of the convolutions: 4 frames become 4, 2, 1 and 1."""

FRAMES = 4
"""Frames of the Fourier transform in a window; the last one includes a mirrored end."""


@dataclass(frozen=True, slots=True, eq=False)
class SileroWeights:
    """A network's arrays, laid out for `inputs @ weights`."""

    fft_samples: int
    """Length of the Fourier transform, 256 at 16 kHz and 128 at 8 kHz, to which other lengths are
    proportional."""
    convolutions: tuple[tuple[Array, Array], ...]
    """Weights (3 taps x n_in, n_out) and bias (n_out,) of the four convolutions; n_in of the first
    is fft_samples // 2 + 1."""
    recurrent: Array
    """Weights of the LSTM, (128 inputs + 128 state, 512): input, forget, cell and output gate."""
    recurrent_bias: Array
    """(512,)"""
    output: Array
    """(128,)"""
    output_bias: float

    @property
    def window_samples(self) -> int:
        """Samples of a window, 32 ms: the only length on which the network was trained."""
        return 2 * self.fft_samples


class Silero:
    """The network with its recurrent state for one stream."""

    def __init__(self, weights: SileroWeights) -> None:
        self._weights = weights
        length, hop = weights.fft_samples, weights.fft_samples // 2
        self._hann = (np.sin(np.pi * np.arange(length) / length) ** 2).astype(np.float32)
        self._frames = np.arange(FRAMES)[:, None] * hop + np.arange(length)  # (4, length)
        self._mirrored = hop // 2
        self._context = np.zeros(length // 4, np.float32)  # the end of the previous window
        self._hidden = np.zeros(WIDTH, np.float32)
        self._cell = np.zeros(WIDTH, np.float32)

    def probability(self, window: Array) -> float:
        """Return the probability, 0 to 1, that the next window, (window_samples,), is speech."""
        return float(self.probabilities(window[None])[0])

    def probabilities(self, windows: Array) -> Array:
        """Return the probabilities, (n,), of the next windows, (n, window_samples).

        They equal those of `probability` for each window in turn, at a lower cost.
        """
        ends = windows[:, -len(self._context) :]
        contexts = np.concatenate([self._context[None], ends[:-1]])
        self._context = ends[-1].copy()
        encoded = self._encode(np.concatenate([contexts, windows], axis=1))
        weights = self._weights
        inputs = encoded @ weights.recurrent[:WIDTH] + weights.recurrent_bias  # (n, 512)
        hidden = np.stack([self._step(row) for row in inputs])  # (n, 128)
        scores: Array = np.maximum(hidden, 0) @ weights.output + np.float32(weights.output_bias)
        return sigmoid(scores)

    def _encode(self, samples: Array) -> Array:
        """Encode windows with their contexts, (n, n_samples), into inputs of the LSTM, (n, 128)."""
        mirror = samples[:, -2 : -2 - self._mirrored : -1]
        mirrored = np.concatenate([samples, mirror], axis=1)
        encoded: Array = np.abs(np.fft.rfft(mirrored[:, self._frames] * self._hann))  # (n, 4, bins)
        for (weight, bias), stride in zip(self._weights.convolutions, STRIDES, strict=True):
            encoded = convolve(encoded, weight, bias, stride)
        return encoded.reshape(len(samples), WIDTH)

    def _step(self, inputs: Array) -> Array:
        """Compute one step of the LSTM, and return its hidden state, (128,).

        `inputs` are the gates before the contribution of the state is added, (512,).
        """
        gates = inputs + self._hidden @ self._weights.recurrent[WIDTH:]
        admit, keep, new, show = gates.reshape(4, WIDTH)
        self._cell = sigmoid(keep) * self._cell + sigmoid(admit) * np.tanh(new)
        self._hidden = sigmoid(show) * np.tanh(self._cell)
        return self._hidden


def convolve(frames: Array, weight: Array, bias: Array, stride: int) -> Array:
    """Convolve (n, n_frames, n_in) with three taps and zero padding, and apply ReLU."""
    n, n_frames, n_in = frames.shape
    padded = np.zeros((n, n_frames + 2, n_in), np.float32)
    padded[:, 1:-1] = frames
    taps = [padded[:, tap : tap + n_frames : stride] for tap in range(3)]
    convolved: Array = np.concatenate(taps, axis=2) @ weight + bias
    return np.maximum(convolved, 0)


def sigmoid(x: Array | np.float32) -> Array:
    """Return the logistic function, in a form that does not overflow."""
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)
