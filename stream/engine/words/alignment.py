"""Aligns tokens to the audio by the decoder's cross-attention.

A few cross-attention heads of every Whisper model follow the speech (its alignment heads). Their
filtered weights form a matrix of tokens against time; the cheapest monotone path through it gives
the time of each token. The method is that of `openai/whisper`'s `timing.py`.
"""

import numpy as np
from numpy.typing import NDArray

MEDIAN_WIDTH = 7
"""Number of encoder positions (of 20 ms) that the median filter spans."""
EXCHANGES = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6),
    (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
"""A sorting network for the median of `MEDIAN_WIDTH` values: after each of these pairs has been put
in order, one after the other, the middle value is the median (N. Devillard, Fast median search,
1998). On whole arrays this takes a seventh of the time of `np.partition`."""
SAMPLES_PER_POSITION = 320
"""16 kHz samples of one encoder position: two mel frames of 160 samples."""
EARLY_SAMPLES = 960
"""Samples (60 ms) that are added to the times of the path, because it reaches each token that much
before its sound (docs/decisions/004)."""


def token_positions(
    weights: NDArray[np.float32],  # (n_heads, n_rows, n_positions)
) -> NDArray[np.int64]:
    """Return the encoder position at which the token of each row begins: (n_rows,), not decreasing.

    Row i of `weights` is the attention of the step that chose token i. The last row is that of the
    step that chose the end token. So result i + 1 is the position at which token i ends.
    """
    if weights.shape[1] == 0:
        return np.zeros(0, np.int64)
    # OpenAI normalises each column by its z-score. A column to which no token attends then has as
    # much weight as the others, and the end of a transcript of three tokens is arbitrary. Here the
    # square root is taken, and its mean over the tokens is subtracted. That reduces the peaks too,
    # and a column to which no token attends stays zero (docs/decisions/003).
    roots = np.sqrt(weights)
    score = median_filter(roots - roots.mean(1, keepdims=True)).mean(0)  # (n_rows, n_positions)
    rows, columns = warp(-score)
    first = np.concatenate([[True], np.diff(rows) > 0])
    begins: NDArray[np.int64] = columns[first]
    return begins


def median_filter(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the running median along the last axis, with reflected ends, in the same shape."""
    half, n = MEDIAN_WIDTH // 2, values.shape[-1]
    if n <= half:
        return values
    around = [(0, 0)] * (values.ndim - 1) + [(half, half)]
    padded = np.pad(values, around, mode="reflect")
    shifted: list[NDArray[np.float32]] = [padded[..., i : i + n] for i in range(MEDIAN_WIDTH)]
    for low, high in EXCHANGES:
        a, b = shifted[low], shifted[high]
        shifted[low], shifted[high] = np.minimum(a, b), np.maximum(a, b)
    return shifted[half]


def warp(cost: NDArray[np.floating]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the cheapest monotone path through (n, m) costs.

    The path leads from the first cell to the last (dynamic time warping). The recurrence
    `total[i, j] = cost[i, j] + min(total[i-1, j-1], total[i-1, j], total[i, j-1])` is computed row
    by row: after subtracting the row's running sum, its last term is a running minimum.
    """
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        before = np.concatenate([[0.0], np.cumsum(cost[i], dtype=np.float64)])
        from_above = np.minimum(total[i, :-1], total[i, 1:])
        total[i + 1, 1:] = before[1:] + np.minimum.accumulate(from_above - before[:-1])
    return trace_back(total)


def trace_back(
    total: NDArray[np.float64],  # (n + 1, m + 1), with a border of infinity
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the path to the last cell of accumulated costs."""
    i, j = total.shape[0] - 1, total.shape[1] - 1
    path = []
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        diagonal, above, left = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
        if diagonal <= above and diagonal <= left:
            i, j = i - 1, j - 1
        elif above <= left:
            i -= 1
        else:
            j -= 1
    rows, columns = np.array(path[::-1], np.int64).T
    return rows, columns
