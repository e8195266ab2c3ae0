import numpy as np
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from stream.engine.words.alignment import (
    MEDIAN_WIDTH,
    median_filter,
    token_positions,
    warp,
)

costs = hnp.arrays(
    np.float64,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-5, 5, width=32),
)


def slow_total(cost):
    """Dynamic time warping as the textbook writes it."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[n, m]


@given(costs)
def test_the_path_is_whole_monotone_and_cheapest(cost):
    rows, columns = warp(cost)
    assert (rows[0], columns[0]) == (0, 0)
    assert (rows[-1], columns[-1]) == (cost.shape[0] - 1, cost.shape[1] - 1)
    steps = {*zip(np.diff(rows).tolist(), np.diff(columns).tolist(), strict=True)}
    assert steps <= {(0, 1), (1, 0), (1, 1)}
    np.testing.assert_allclose(cost[rows, columns].sum(), slow_total(cost), atol=1e-9)


@given(st.integers(MEDIAN_WIDTH, 40), st.integers(0, 9))
def test_the_median_filter_is_scipys_inside_and_reflects_at_the_ends(size, seed):
    values = np.random.default_rng(seed).normal(size=(2, 3, size)).astype(np.float32)
    half = MEDIAN_WIDTH // 2
    padded = np.pad(values, [(0, 0), (0, 0), (half, half)], mode="reflect")
    expected = scipy.signal.medfilt(padded, (1, 1, MEDIAN_WIDTH))[..., half:-half]
    np.testing.assert_array_equal(median_filter(values), expected)


@given(
    bounds=st.lists(st.integers(8, 40), min_size=1, max_size=12),
    silence=st.integers(0, 100),
    seed=st.integers(0, 99),
)
@settings(deadline=None)
def test_tokens_begin_where_their_heads_look(bounds, silence, seed):
    """Heads that look at each token's own span, with noise; the end looks past the last."""
    starts = np.cumsum([0, *bounds])
    n_positions = int(starts[-1]) + 8 + silence
    weights = np.random.default_rng(seed).uniform(0, 0.002, (4, len(starts), n_positions))
    for row, (start, length) in enumerate(zip(starts, [*bounds, 8], strict=True)):
        weights[:, row, start : start + length] += 1 / length
    weights /= weights.sum(-1, keepdims=True)
    found = token_positions(weights.astype(np.float32))
    assert np.abs(found - starts).max() <= MEDIAN_WIDTH // 2


@given(n_rows=st.integers(1, 20), n_positions=st.integers(1, 60), seed=st.integers(0, 9))
@settings(deadline=None)
def test_any_attention_gives_a_position_a_token_in_order(n_rows, n_positions, seed):
    weights = np.random.default_rng(seed).dirichlet(np.ones(n_positions), (2, n_rows))
    found = token_positions(weights.astype(np.float32))
    assert found.shape == (n_rows,)
    assert (np.diff(found) >= 0).all()
    assert found[0] == 0
    assert found[-1] < n_positions


def test_a_short_transcript_ends_at_its_audio():
    """Two words and thirty times as much audio that nobody listened to: no guess beyond."""
    rng = np.random.default_rng(0)
    weights = rng.uniform(0, 1e-4, (6, 3, 700))
    for row, (start, end) in enumerate([(10, 30), (30, 55), (120, 150)]):
        weights[:, row, start:end] += 1 / (end - start)
    weights /= weights.sum(-1, keepdims=True)
    assert abs(token_positions(weights.astype(np.float32))[2] - 55) < 70


def test_no_tokens_have_no_positions():
    assert token_positions(np.zeros((2, 0, 5), np.float32)).shape == (0,)
