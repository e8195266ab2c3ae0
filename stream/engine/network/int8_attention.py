"""Attention of all positions to all others in int8, on a CPU: what the encoder spends most on.

Both products of attention are sums of bytes, at which CPUs are two to four times as fast as at
floats. Queries and keys have a scale for each position and values one for each dimension, as in
SageAttention (Zhang et al., 2024, arXiv:2410.02367): keys are taken less their mean, which moves
all scores of a query alike, and so, here, are values. Unlike there, a weight takes two bytes: where
a query looks at one place and a little at all others, one byte would lose the others. The error is
a fifth of what the int8 linear layers around it make.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream.engine.network.attention import real_spans
from stream.engine.network.compiling import compiled, f32, nearest, power_of_two

QUERIES_TOGETHER = 256
"""Their scores, in 32 bits, and weights stay in a core's cache."""
QUERY_LEVELS, KEY_LEVELS, VALUE_LEVELS = f32(127), f32(63), f32(127)
"""Steps on each side of zero."""
HALF_BITS = 7
HALF = 1 << HALF_BITS
WEIGHT_LEVELS = f32(HALF * HALF - 1)
"""Steps of a weight, which is its high half times 128 and its low half."""
STEPS = f32(16)
"""Of a score's largest value to a factor of two: the largest of whole numbers is found many at a
time, that of floats one by one."""
FARTHEST = f32(2**30)
"""From nought, of scores in such steps: beyond it they would be no whole numbers. A model's are
smaller by far."""

TRIES = 5
"""Products that are timed before this way is compiled."""

# A CPU without the instruction for it adds the products of two neighbours in 16 bits, the first
# factor made positive. Values have the widest range, so there it is the weights that spare a bit.
assert 2 * (2 * QUERY_LEVELS + 1) * KEY_LEVELS < 2**15
assert 2 * (HALF - 1) * VALUE_LEVELS < 2**15


def why_bytes_are_slow() -> str | None:
    """Return a sentence if this CPU multiplies bytes more slowly than floats; None otherwise.

    `torch._int_mm` is a plain loop on a CPU without dot products of bytes.
    """
    floats = torch.ones(QUERIES_TOGETHER, 64)
    codes = torch.ones(QUERIES_TOGETHER, 64, dtype=torch.int8)

    def best_ms(product: Callable[[Tensor, Tensor], Tensor], matrix: Tensor) -> float:
        times = []
        for _ in range(TRIES):
            began = time.perf_counter()
            product(matrix, matrix.T)
            times.append(time.perf_counter() - began)
        return 1000 * min(times)

    in_bytes, in_floats = best_ms(torch._int_mm, codes), best_ms(torch.mm, floats)
    if in_bytes <= in_floats:
        return None
    return f"torch._int_mm takes {in_bytes / in_floats:.2g} times as long as a float32 product"


class Int8Attention(nn.Module):
    """In place of `layers.FullAttention`."""

    def forward(
        self, qkv: Tensor, heads: int, key_mask: Tensor | None, first_query: int = 0
    ) -> Tensor:
        """Of `layers.FullAttention`."""
        attended = torch.zeros(len(qkv), qkv.shape[1] - first_query, qkv.shape[2] // 3)
        for row, out, (start, end) in zip(qkv, attended, real_spans(qkv, key_mask), strict=True):
            attend_int8(row[start:end], heads, out[: end - first_query])
        return attended


def attend_int8(qkv: Tensor, heads: int, attended: Tensor) -> None:
    """Scaled dot-product attention among the positions of one row.

    Args:
        qkv: (n, 3 * heads * head_size) float32, queries, keys and values.
        heads: how many.
        attended: (m, heads * head_size) float32, written: of the last m positions.
    """
    n, (m_all, width) = len(qkv), attended.shape
    before = n - m_all  # these positions are only attended to
    size = width // heads
    codes = torch.empty((3, heads, n, size), dtype=torch.int8)
    scales, channels = np.empty((heads, 2, n), f32), np.empty((heads, 2, size), f32)
    write_codes(qkv.numpy(), codes.numpy(), scales, channels)
    most = min(n, QUERIES_TOGETHER)
    scores = torch.empty((most, n), dtype=torch.int32)
    halves = torch.empty((2 * most, n), dtype=torch.uint8)
    out = attended.view(m_all, heads, size).numpy()
    for head in range(heads):
        queries, keys, values = codes[:, head]
        for first in range(before, n, most):
            some = slice(first, min(n, first + most))
            m = some.stop - first
            torch._int_mm(queries[some], keys.T, out=scores[:m])
            weights, totals = halves[: 2 * m], np.empty(m, f32)
            weigh(scores[:m].numpy(), scales[head], first, weights.numpy(), totals)
            sums = torch._int_mm(weights, values)
            attended_rows = out[first - before : first - before + m, head]
            mix(sums.numpy(), totals, channels[head], attended_rows)


@compiled
def write_codes(
    qkv: NDArray[np.float32],
    codes: NDArray[np.int8],
    scales: NDArray[np.float32],
    channels: NDArray[np.float32],
) -> None:
    """Write queries, keys and values in 8 bits.

    Args:
        qkv: (n, 3 * heads * head_size).
        codes: (3, heads, n, head_size), written.
        scales: (heads, 2, n), written: what a step is worth in a position's query and key, such
            that scores are powers of two.
        channels: (heads, 2, head_size), written: what a step is worth in a dimension of the
            values, and its mean, which the codes lack.
    """
    _, heads, n, size = codes.shape
    width = heads * size
    means = np.zeros(3 * width, f32)
    for j in range(n):
        for d in range(width, 3 * width):
            means[d] += qkv[j, d] * f32(1 / n)
    peaks = np.full(width, f32(1e-9))
    for j in range(n):
        for d in range(width):
            peaks[d] = max(peaks[d], abs(qkv[j, 2 * width + d] - means[2 * width + d]))
    channels[:, 0] = (peaks / VALUE_LEVELS).reshape(heads, size)
    channels[:, 1] = means[2 * width :].reshape(heads, size)
    row = np.empty(size, f32)
    for j in range(n):
        for head in range(heads):
            for kind, levels in ((0, QUERY_LEVELS), (1, KEY_LEVELS)):
                first = kind * width + head * size
                bits = np.int32(0)  # floats above zero are ordered as their bits are
                for d in range(size):
                    row[d] = qkv[j, first + d] - means[first + d]
                    bits = max(bits, f32(abs(row[d])).view(np.int32))
                peak = max(np.int32(bits).view(np.float32), f32(1e-9))
                scales[head, kind, j] = peak / levels
                for d in range(size):
                    codes[kind, head, j, d] = nearest(row[d] * (levels / peak))
            first = 2 * width + head * size
            for d in range(size):
                value = qkv[j, first + d] - channels[head, 1, d]
                codes[2, head, j, d] = nearest(value / channels[head, 0, d])
    scales[:, 0] *= f32(np.log2(np.e) / np.sqrt(size))


@compiled
def weigh(
    scores: NDArray[np.int32],
    scales: NDArray[np.float32],
    first: int,
    weights: NDArray[np.uint8],
    totals: NDArray[np.float32],
) -> None:
    """Softmax, without the division by the total.

    Args:
        scores: (m, n).
        scales: (2, n), of `write_codes`.
        first: the position of the first query.
        weights: (2 * m, n), written: all high halves, then all low ones.
        totals: (m,), written: sums of the weights.
    """
    m, n = scores.shape
    row = np.empty(n, f32)
    for i in range(m):
        scale = scales[0, first + i] * STEPS
        top = np.int32(-(2**31))
        for j in range(n):
            score = f32(scores[i, j]) * scales[1, j] * scale
            score = min(max(score, -FARTHEST), FARTHEST)
            row[j] = score
            top = max(top, np.int32(score))
        highest = f32(top + 1)
        total = f32(0)
        for j in range(n):
            share = power_of_two((row[j] - highest) * f32(1 / STEPS))
            weight = nearest(share * WEIGHT_LEVELS)
            total += f32(weight)
            weights[i, j] = np.uint8(weight >> HALF_BITS)
            weights[m + i, j] = np.uint8(weight & (HALF - 1))
        totals[i] = total


@compiled
def mix(
    sums: NDArray[np.int32],
    totals: NDArray[np.float32],
    channels: NDArray[np.float32],
    attended: NDArray[np.float32],
) -> None:
    """Put together what the high and the low halves of the weights have summed up.

    Args:
        sums: (2 * m, head_size), of weights times values.
        totals: (m,), of `weigh`.
        channels: (2, head_size), of `write_codes`.
        attended: (m, head_size), written.
    """
    m = len(totals)
    for i in range(m):
        share = f32(1) / totals[i]
        for d in range(attended.shape[1]):
            summed = f32(sums[i, d]) * f32(HALF) + f32(sums[m + i, d])
            attended[i, d] = summed * share * channels[0, d] + channels[1, d]
