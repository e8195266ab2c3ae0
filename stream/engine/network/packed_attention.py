"""Attention of a few queries to many keys on a CPU, where reading the keys takes most of the time.

The decoder reads the keys and values of all encoded audio, in every layer, for each token. They are
stored in 16 bits with a scale for each head and position, which halves the bytes to read, with an
error of at most 1/65 000 of the largest value. The sums of each query are computed by the same
instructions in any batch, so a token has the same result alone, in a draft and among other rows.
"""

import numpy as np
from numpy.typing import NDArray

from stream.engine.network.compiling import LOWEST, compiled, f32, nearest, power_of_two

LEVELS = f32(32_767)
"""Quantisation steps on each side of zero."""


@compiled
def pack(
    projected: NDArray[np.float32], codes: NDArray[np.int16], scales: NDArray[np.float32]
) -> None:
    """Quantise one row's keys and values to 16 bits, with a scale for each head and position.

    Args:
        projected: (n, 2 * heads * head_size), keys before values.
        codes: (2, heads, n, head_size), output.
        scales: (2, heads, n), output: the value of one step of the codes.
    """
    kinds, heads, n, head_size = codes.shape
    for j in range(n):
        for kind in range(kinds):
            for head in range(heads):
                first = (kind * heads + head) * head_size
                peak = f32(1e-9)
                for d in range(head_size):
                    peak = max(peak, abs(projected[j, first + d]))
                steps = LEVELS / peak
                scales[kind, head, j] = peak / LEVELS
                for d in range(head_size):
                    codes[kind, head, j, d] = nearest(projected[j, first + d] * steps)


@compiled
def attend_packed(
    query: NDArray[np.float32],
    n_queries: NDArray[np.int64],
    codes: NDArray[np.int16],
    scales: NDArray[np.float32],
    lengths: NDArray[np.int64],
    wanted_heads: NDArray[np.int64],
    attended: NDArray[np.float32],
    weights: NDArray[np.float32],
) -> None:
    """Compute scaled dot-product attention, row by row and head by head.

    Args:
        query: (batch, n_tokens, heads, head_size).
        n_queries: (batch,), number of queries of each row; nothing is written for the padding.
        codes: (batch, 2, heads, n, head_size) from `pack`.
        scales: (batch, 2, heads, n) from `pack`.
        lengths: (batch,), number of positions of each row that are not padding, at least 1.
        wanted_heads: (n_wanted,), the heads whose attention weights are returned.
        attended: of the shape of `query`, output.
        weights: (batch, n_tokens, n_wanted, n), output; 0 for padding positions.
    """
    batch, _, heads, head_size = query.shape
    size = f32(np.log2(np.e) / np.sqrt(head_size))  # converts scores to powers of two
    weight = np.empty(codes.shape[3], f32)
    mixed = np.empty(head_size, f32)
    for row in range(batch):
        n = lengths[row]
        for head in range(heads):
            for i in range(n_queries[row]):
                top = LOWEST
                for j in range(n):
                    score = f32(0)
                    for d in range(head_size):
                        score += query[row, i, head, d] * f32(codes[row, 0, head, j, d])
                    score *= scales[row, 0, head, j] * size
                    weight[j] = score
                    top = max(top, score)
                total = f32(0)
                for j in range(n):
                    weight[j] = power_of_two(weight[j] - top)
                    total += weight[j]
                share = f32(1) / total
                for j in range(n):
                    weight[j] *= share
                for place in range(len(wanted_heads)):
                    if wanted_heads[place] == head:
                        weights[row, i, place, :n] = weight[:n]
                        weights[row, i, place, n:] = f32(0)
                mixed[:] = f32(0)
                for j in range(n):
                    part = weight[j] * scales[row, 1, head, j]
                    for d in range(head_size):
                        mixed[d] += part * f32(codes[row, 1, head, j, d])
                attended[row, i, head] = mixed
