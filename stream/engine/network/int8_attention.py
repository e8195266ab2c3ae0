"""Attention of all positions to all others in int8, on a CPU: the largest cost of the encoder.

Both matrix products of attention are computed on bytes, for which CPUs are two to four times as
fast as for floats. Queries and keys have a scale for each position and values one for each
dimension, as in SageAttention (Zhang et al., 2024, arXiv:2410.02367). The mean of the keys is
subtracted, which changes all scores of a query by the same amount. Different from SageAttention,
the mean of the values is subtracted too (and added to the result), and a weight has two bytes: if a
query attends mostly to one position and slightly to all others, one byte would round the others to
zero. The error is a fifth of that of the int8 linear layers around it.
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
"""Number of queries computed together: their scores and weights fit into a core's cache."""
QUERY_LEVELS, KEY_LEVELS, VALUE_LEVELS = f32(127), f32(63), f32(127)
"""Quantisation steps on each side of zero."""
HALF_BITS = 7
HALF = 1 << HALF_BITS
WEIGHT_LEVELS = f32(HALF * HALF - 1)
"""Quantisation steps of a weight. A weight is stored as 128 * its high half + its low half."""
STEPS = f32(16)
"""Integer steps of a score for each factor of two in the softmax. The largest score of a query is
found among integers, because the compiler vectorises that, unlike the maximum of floats."""
FARTHEST = f32(2**30)
"""Scores in these steps are clipped to this on either side, so that they fit into 32-bit integers.
The scores of a model are much smaller."""

TRIES = 5
"""Products that are timed before this way is compiled."""

# A CPU without dot products of bytes adds the products of two neighbours in 16 bits, with the first
# factor made positive. Values need their full range, so a bit less is used for the weights.
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
    """Replaces `layers.FullAttention` on a CPU."""

    def forward(
        self, qkv: Tensor, heads: int, key_mask: Tensor | None, first_query: int = 0
    ) -> Tensor:
        """Compute attention; arguments and result are those of `layers.FullAttention`."""
        attended = torch.zeros(len(qkv), qkv.shape[1] - first_query, qkv.shape[2] // 3)
        for row, out, (start, end) in zip(qkv, attended, real_spans(qkv, key_mask), strict=True):
            attend_int8(row[start:end], heads, out[: end - first_query])
        return attended


def attend_int8(qkv: Tensor, heads: int, attended: Tensor) -> None:
    """Compute scaled dot-product attention of all positions of one row to all others.

    Args:
        qkv: (n, 3 * heads * head_size) float32, queries, keys and values.
        heads: number of heads.
        attended: (m, heads * head_size) float32, output: the result of the last m positions.
    """
    n, (m_all, width) = len(qkv), attended.shape
    if not m_all:
        return
    before = n - m_all  # keys and values only
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
    """Quantise queries, keys and values to 8 bits.

    Args:
        qkv: (n, 3 * heads * head_size).
        codes: (3, heads, n, head_size), output.
        scales: (heads, 2, n), output: the value of one step of the query and of the key at each
            position, such that scores are in powers of two.
        channels: (heads, 2, head_size), output: the value of one step in each dimension of the
            values, and their mean in it, which was subtracted from the codes.
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
                bits = np.int32(0)  # positive floats have the order of their bits
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
    """Compute the softmax of the scores, without the division by the totals.

    Args:
        scores: (m, n).
        scales: (2, n), from `write_codes`.
        first: the position of the first query.
        weights: (2 * m, n), output: the high halves of all queries, then the low halves.
        totals: (m,), output: sums of the weights of each query.
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
    """Combine the sums for the high and the low halves of the weights into the result.

    Args:
        sums: (2 * m, head_size), sums of weights times values.
        totals: (m,), from `weigh`.
        channels: (2, head_size), from `write_codes`.
        attended: (m, head_size), output.
    """
    m = len(totals)
    for i in range(m):
        share = f32(1) / totals[i]
        for d in range(attended.shape[1]):
            summed = f32(sums[i, d]) * f32(HALF) + f32(sums[m + i, d])
            attended[i, d] = summed * share * channels[0, d] + channels[1, d]
