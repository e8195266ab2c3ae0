"""Linear layers with int8 weights and activations of 14 bits, multiplied by a kernel of our own.

Each operator of PyTorch has some microseconds of overhead, and quantising a row takes four
operators: for one token that is most of the time of a layer. This kernel does all of it in one
call. Activations of 14 bits cost no more than those of 8, because the processor multiplies 16-bit
numbers in either case, and a weight can use all of its 8 bits: the error is less than half of that
of `quantization.Int8Linear`. The sums of a row are exact, so its result has the same bits alone, in
a batch and in a draft.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream.engine.network.compiling import compiled, f32, nearest
from stream.engine.network.integer_tiles import COLUMNS, multiply
from stream.engine.network.kernel_threads import pool

WEIGHT_LEVELS = 127
"""Quantisation steps of a weight on each side of zero."""
MOST_LEVELS = 8191
"""Quantisation steps of an activation on each side of zero, if the layer has few inputs."""

ROWS_A_THREAD = 64
"""The least rows for each thread. Fewer, as for the tokens of the decoder, use one thread."""

one_row, two_rows, four_rows = multiply(1), multiply(2), multiply(4)


class CompiledLinear(nn.Module):
    """A linear layer with int8 weights, scaled per output row; input and output are float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Quantise `weight` (out_features, in_features) and keep `bias` (out_features,) as is."""
        super().__init__()
        weight = weight.detach().float()
        self.out_features, self.in_features = weight.shape
        peak = weight.abs().amax(dim=1)
        scales = torch.where(peak > 0, peak / WEIGHT_LEVELS, torch.ones_like(peak))
        codes = (weight / scales[:, None]).round().to(torch.int8)
        self.levels = activation_levels(self.in_features)
        self._codes = in_tiles(codes).numpy()
        self._scales = (scales / float(self.levels)).numpy()
        self._bias = (
            np.zeros(self.out_features, f32) if bias is None else bias.detach().float().numpy()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer: (..., in_features) -> (..., out_features)."""
        rows = x.reshape(-1, self.in_features)
        y = torch.empty(len(rows), self.out_features)
        threads = min(torch.get_num_threads(), len(rows) // ROWS_A_THREAD)
        if threads > 1:
            parts = zip(rows.chunk(threads), y.chunk(threads), strict=True)
            list(pool().map(lambda part: self._project(*part), parts))
        else:
            self._project(rows, y)
        return y.view(*x.shape[:-1], self.out_features)

    def _project(self, rows: Tensor, y: Tensor) -> None:
        """Write the projection of `rows`, (n, in_features), to `y`, (n, out_features)."""
        weights = self.levels, self._codes, self._scales, self._bias
        project(rows.numpy(), *weights, y.numpy())

    def extra_repr(self) -> str:
        """Show the sizes as `nn.Linear` does."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def activation_levels(in_features: int) -> np.float32:
    """Return the number of quantisation steps of an activation on each side of zero.

    It is `MOST_LEVELS`, or fewer if the sum of the products of a row could then overflow 32 bits.

    Args:
        in_features: number of products in the sum.
    """
    return f32(min(MOST_LEVELS, (2**31 - 1) // (WEIGHT_LEVELS * in_features)))


def in_tiles(codes: Tensor) -> Tensor:
    """Reorder weights into tiles: (n_out, n_in) int8 -> (n_tiles, ceil(n_in / 2), 16, 2).

    Missing outputs and inputs are zeros.
    """
    n_out, n_in = codes.shape
    n_tiles, pairs = -(-n_out // COLUMNS), -(-n_in // 2)
    filled = nn.functional.pad(codes, (0, 2 * pairs - n_in, 0, n_tiles * COLUMNS - n_out))
    return filled.view(n_tiles, COLUMNS, pairs, 2).permute(0, 2, 1, 3).contiguous()


@compiled
def project(
    x: NDArray[np.float32],
    levels: np.float32,
    weights: NDArray[np.int8],
    scales: NDArray[np.float32],
    bias: NDArray[np.float32],
    y: NDArray[np.float32],
) -> None:
    """Quantise rows of activations, and multiply them by quantised weights.

    Args:
        x: (n, n_in).
        levels: quantisation steps of an activation on each side of zero.
        weights: (n_tiles, pairs, 16, 2), of `in_tiles`.
        scales: (n_out,), the value of a step of the weights, divided by `levels`.
        bias: (n_out,).
        y: (n, n_out), output.
    """
    n, n_in = x.shape
    codes = np.zeros((n, 2 * weights.shape[1]), np.int16)
    peaks = np.empty(n, f32)
    for i in range(n):
        bits = np.int32(0)  # positive floats have the order of their bits
        for d in range(n_in):
            bits = max(bits, f32(abs(x[i, d])).view(np.int32))
        peaks[i] = max(np.int32(bits).view(np.float32), f32(1e-9))
        steps = levels / peaks[i]
        for d in range(n_in):
            codes[i, d] = np.int16(nearest(x[i, d] * steps))
    sums = np.empty((n, COLUMNS), np.int32)
    for tile in range(len(weights)):
        i = 0
        while i + 4 <= n:
            four_rows(codes[i:], weights[tile], sums[i:])
            i += 4
        if i + 2 <= n:
            two_rows(codes[i:], weights[tile], sums[i:])
            i += 2
        if i < n:
            one_row(codes[i:], weights[tile], sums[i:])
        first = tile * COLUMNS
        for i in range(n):
            for j in range(min(COLUMNS, y.shape[1] - first)):
                y[i, first + j] = f32(sums[i, j]) * (scales[first + j] * peaks[i]) + bias[first + j]
