"""Attention of all positions to all others in 16-bit integers, on a CPU without int8 dot products.

Like `int8_attention`, it is for the encoder. An x86 CPU without AVX-512 VNNI multiplies bytes no
faster than 16-bit integers (`integer_tiles`), so queries and keys have as many bits here as a sum
of 32 bits allows, 13 for heads of 64, and values have 11. The means of keys and values are
subtracted before the quantisation. That does not change the attention weights, and the mean of the
values is added to the result again (SageAttention: Zhang et al., 2024, arXiv:2410.02367). The error
is about a tenth of that of `int8_attention`.
"""

from functools import partial
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stream.engine.network.attention import real_spans
from stream.engine.network.compiling import compiled, f32, nearest, power_of_two
from stream.engine.network.integer_tiles import COLUMNS, MOST_ROWS, multiply, multiply_add
from stream.engine.network.kernel_threads import pool

ROWS = MOST_ROWS
score_tile, mix_tile = multiply(ROWS), multiply_add(ROWS)

QUERIES_TOGETHER = 4 * ROWS
"""Number of queries that are computed together. Their scores and weights fit into a core's cache
beside the keys, and all of them read a block of keys from the first-level cache."""
KEYS_TOGETHER = 128
"""Number of weighted values that are summed in 32-bit integers; these sums are added in float32."""
WEIGHT_LEVELS, VALUE_LEVELS = f32(1 << 14), f32(1023)
"""Quantisation steps of the largest weight, and of a value on each side of zero."""

assert int(WEIGHT_LEVELS) * int(VALUE_LEVELS) * KEYS_TOGETHER < 2**31
assert KEYS_TOGETHER % 2 == 0


class Int16Attention(nn.Module):
    """Replaces `layers.FullAttention` on a CPU."""

    def forward(
        self, qkv: Tensor, heads: int, key_mask: Tensor | None, first_query: int = 0
    ) -> Tensor:
        """Compute attention; arguments and result are those of `layers.FullAttention`."""
        attended = torch.zeros(len(qkv), qkv.shape[1] - first_query, qkv.shape[2] // 3)
        for row, out, (start, end) in zip(qkv, attended, real_spans(qkv, key_mask), strict=True):
            attend_int16(row[start:end], heads, out[: end - first_query])
        return attended


def attend_int16(qkv: Tensor, heads: int, attended: Tensor) -> None:
    """Compute scaled dot-product attention of all positions of one row to all others.

    The heads are divided among as many threads as PyTorch uses.

    Args:
        qkv: (n, 3 * heads * head_size) float32, contiguous: queries, keys and values.
        heads: number of heads; their size must be even.
        attended: (m, heads * head_size) float32, contiguous, output: the result of the last m
            positions.
    """
    if attended.shape[1] // heads % 2:
        raise ValueError(f"{heads} heads of {attended.shape[1]} dimensions have an odd size")
    threads = min(heads, torch.get_num_threads())
    bounds = [heads * i // threads for i in range(threads + 1)]
    attend = partial(attend_heads, qkv.numpy(), attended.numpy(), heads)
    others = [pool().submit(attend, first, end) for first, end in pairwise(bounds[1:])]
    attend(0, bounds[1])
    for other in others:
        other.result()


@compiled
def attend_heads(
    qkv: NDArray[np.float32], attended: NDArray[np.float32], heads: int, first: int, end: int
) -> None:
    """Compute the attention of the heads [first, end).

    Args:
        qkv: (n, 3 * heads * head_size).
        attended: (m, heads * head_size), output: the result of the last m positions; only the
            columns of these heads are written.
        heads: number of all heads.
        first: the first head to compute.
        end: the head after the last one to compute.
    """
    n, (m_all, width) = len(qkv), attended.shape
    before = n - m_all  # these positions are only attended to
    size, some = width // heads, end - first
    steps, means = np.empty((3, some * size), f32), np.zeros((3, some * size), f32)
    scales = np.empty(some, f32)
    for kind in range(3):
        find_range(qkv, kind * width + first * size, kind > 0, means[kind], steps[kind])
    set_steps(steps, scales, size)
    blocks = -(-n // COLUMNS)
    queries = np.zeros((some, n + ROWS, size // 2), np.int32)
    keys = np.zeros((some, blocks, size // 2, COLUMNS), np.int32)
    values = np.zeros((some, -(-size // COLUMNS), blocks * COLUMNS // 2, COLUMNS, 2), np.int16)
    write_codes(qkv, width, first * size, means, steps, queries, keys, values)
    scores = np.empty((QUERIES_TOGETHER, blocks * COLUMNS), np.int32)
    weights = np.zeros(scores.shape, np.int16)
    totals = np.empty(QUERIES_TOGETHER, f32)
    sums = np.empty((QUERIES_TOGETHER, values.shape[1] * COLUMNS), f32)
    for head in range(some):
        ours = slice(head * size, (head + 1) * size)
        step, mean = steps[2, ours], means[2, ours]
        for i in range(before, n, QUERIES_TOGETHER):
            m = min(QUERIES_TOGETHER, n - i)
            score(queries[head, i : i + m], keys[head], scores)
            weigh(scores, m, n, scales[head], weights, totals)
            mix(weights, m, values[head], sums)
            for query in range(m):
                out = attended[
                    i - before + query, (first + head) * size : (first + head + 1) * size
                ]
                share = f32(1) / totals[query]
                for d in range(size):
                    out[d] = sums[query, d] * share * step[d] + mean[d]


@compiled
def find_range(
    qkv: NDArray[np.float32],
    first: int,
    centred: bool,
    means: NDArray[np.float32],
    peaks: NDArray[np.float32],
) -> None:
    """Find the mean of each of some columns of `qkv`, and the largest deviation from it.

    Args:
        qkv: (n, 3 * heads * head_size).
        first: the first of the columns; their number is that of `means`.
        centred: whether the means are computed; if not, they are left as zeros.
        means: (columns,), zeros on entry, output.
        peaks: (columns,), output: the largest absolute deviation from `means`, always above zero.
    """
    n, columns = len(qkv), len(means)
    if centred:
        for j in range(n):
            row = qkv[j, first : first + columns]
            for d in range(columns):
                means[d] += row[d] * f32(1 / n)
    bits = np.full(columns, f32(1e-9).view(np.int32))  # positive floats are ordered like their bits
    for j in range(n):
        row = qkv[j, first : first + columns]
        for d in range(columns):
            bits[d] = max(bits[d], f32(abs(row[d] - means[d])).view(np.int32))
    peaks[:] = bits.view(np.float32)


@compiled
def set_steps(steps: NDArray[np.float32], scales: NDArray[np.float32], size: int) -> None:
    """Choose the value of a quantisation step: one for each head in queries and in keys.

    Values have one step for each dimension.

    Args:
        steps: (3, heads * head_size), the peaks of `find_range`; overwritten by the step values of
            queries, keys and values.
        scales: (heads,), output: the value of one step of a score, in powers of two.
        size: dimensions of a head.
    """
    levels = f32(np.floor(np.sqrt((2**31 - 1) / size)))  # a score sums `size` products in 32 bits
    for head in range(len(scales)):
        ours = slice(head * size, (head + 1) * size)
        scales[head] = np.log2(np.e) / np.sqrt(size)
        for kind in range(2):
            step = steps[kind, ours].max() / levels
            steps[kind, ours] = step
            scales[head] *= step
    steps[2] /= VALUE_LEVELS


@compiled
def write_codes(
    qkv: NDArray[np.float32],
    width: int,
    first: int,
    means: NDArray[np.float32],
    steps: NDArray[np.float32],
    queries: NDArray[np.int32],
    keys: NDArray[np.int32],
    values: NDArray[np.int16],
) -> None:
    """Quantise queries, keys and values to 16 bits, in the layout that `integer_tiles` needs.

    Args:
        qkv: (n, 3 * width).
        width: number of columns of the queries, which is also that of the keys and of the values.
        first: the first column of these heads in each of the three.
        means: (3, heads * head_size), from `find_range`.
        steps: (3, heads * head_size), from `set_steps`.
        queries: (heads, n or more, head_size / 2), output, pairs of 16-bit numbers.
        keys: (heads, blocks, head_size / 2, 16), output, pairs of 16-bit numbers; 16 keys a block.
        values: (heads, blocks, pairs of positions, 16, 2), output; 16 dimensions a block.
    """
    heads, _, half = queries.shape
    columns = means.shape[1]
    codes = np.empty((3, columns), np.int16)
    pairs = codes.view(np.int32)
    per_step = f32(1) / steps
    for j in range(len(qkv)):
        for kind in range(3):
            row = qkv[j, kind * width + first : kind * width + first + columns]
            code, mean, scale = codes[kind], means[kind], per_step[kind]
            for d in range(columns):
                code[d] = np.int16(nearest((row[d] - mean[d]) * scale[d]))
        for head in range(heads):
            query, pair = queries[head, j], pairs[0, head * half : (head + 1) * half]
            for p in range(half):
                query[p] = pair[p]
            block, pair = keys[head, j // COLUMNS], pairs[1, head * half : (head + 1) * half]
            for p in range(half):
                block[p, j % COLUMNS] = pair[p]
            for d in range(2 * half):
                value = codes[2, head * 2 * half + d]
                values[head, d // COLUMNS, j // 2, d % COLUMNS, j % 2] = value


@compiled
def score(queries: NDArray[np.int32], keys: NDArray[np.int32], scores: NDArray[np.int32]) -> None:
    """Multiply queries by all keys.

    Args:
        queries: (m, head_size / 2) from `write_codes`; up to six rows after the last are read.
        keys: (blocks, head_size / 2, 16) from `write_codes`.
        scores: (most queries, 16 * blocks), output.
    """
    for block in range(len(keys)):
        for i in range(0, len(queries), ROWS):
            score_tile(queries[i:], keys[block], scores[i:, block * COLUMNS :])


@compiled
def weigh(
    scores: NDArray[np.int32],
    m: int,
    n: int,
    scale: np.float32,
    weights: NDArray[np.int16],
    totals: NDArray[np.float32],
) -> None:
    """Compute the softmax of the scores, without the division by the totals.

    Args:
        scores: (most queries, 16 * blocks).
        m: number of queries that are not padding.
        n: number of keys that are not padding.
        scale: the value of one step of the scores, from `set_steps`.
        weights: of the shape of `scores`, output; padding is not written.
        totals: (most queries,), output: sums of the weights of each query.
    """
    for i in range(m):
        row, out = scores[i, :n], weights[i, :n]
        top = np.int32(-(2**31))
        for j in range(n):
            top = max(top, row[j])
        total = np.int32(0)
        for j in range(n):
            share = power_of_two((f32(row[j]) - f32(top)) * scale)
            weight = np.int32(share * WEIGHT_LEVELS + f32(0.5))
            total = np.int32(total + weight)
            out[j] = np.int16(weight)
        totals[i] = total


@compiled
def mix(
    weights: NDArray[np.int16], m: int, values: NDArray[np.int16], sums: NDArray[np.float32]
) -> None:
    """Compute the weighted sums of the values of all positions.

    Args:
        weights: (most queries, n_padded), zero for padding.
        m: number of queries that are not padding.
        values: (blocks, n_padded / 2, 16, 2) from `write_codes`.
        sums: (most queries, 16 * blocks), output.
    """
    sums[:] = 0
    for j in range(0, weights.shape[1], KEYS_TOGETHER):
        for block in range(len(values)):
            some = values[block, j // 2 : (j + KEYS_TOGETHER) // 2]
            for i in range(0, m, ROWS):
                mix_tile(weights[i:, j:], some, sums[i:, block * COLUMNS :])
