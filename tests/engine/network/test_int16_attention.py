import numpy as np
import pytest
import torch

from stream.engine.network.int16_attention import (
    KEYS_TOGETHER,
    QUERIES_TOGETHER,
    ROWS,
    VALUE_LEVELS,
    WEIGHT_LEVELS,
    Int16Attention,
    attend_int16,
    mix,
    score,
)
from stream.engine.network.integer_tiles import COLUMNS
from stream.engine.network.layers import FullAttention


def random_qkv(n: int, heads: int, size: int) -> torch.Tensor:
    """(n, 3 * heads * size), such that a query looks at some places more than at others."""
    torch.manual_seed(n)
    qkv = torch.randn(n, 3, heads * size)
    qkv[:, 0] *= 3
    return qkv.flatten(1)


def error(qkv: torch.Tensor, heads: int = 8) -> float:
    """Of a row, relative to its size."""
    attended = torch.empty(len(qkv), qkv.shape[1] // 3)
    attend_int16(qkv, heads, attended)
    right = FullAttention()(qkv[None], heads, None)[0]
    return float((attended - right).norm() / right.norm())


@pytest.mark.parametrize(
    "n",
    [
        1,
        2,
        COLUMNS - 1,
        COLUMNS + 1,
        QUERIES_TOGETHER,
        QUERIES_TOGETHER + ROWS + 1,
        KEYS_TOGETHER,
        3 * KEYS_TOGETHER + 1,
        1500,
    ],
)
def test_it_is_attention(n):
    assert error(random_qkv(n, 8, 64)) < 0.003


@pytest.mark.parametrize("size", [6, 32, 72, 80, 128])
def test_heads_have_any_even_size(size):
    assert error(random_qkv(101, 3, size), 3) < 0.003


def test_a_number_of_heads_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="odd"):
        attend_int16(torch.zeros(4, 3 * 14), 2, torch.zeros(4, 14))


def test_a_common_offset_of_all_positions_costs_no_precision():
    qkv = random_qkv(400, 8, 64)
    plain = error(qkv)
    qkv[:, 512:] += 50 * torch.randn(1024)
    assert error(qkv) < plain  # the mean of the values is exact


def test_one_near_place_does_not_hide_what_is_far_and_wide():
    """Half of the attention is spread over 1499 places, each with a 1500th of the first's."""
    qkv = torch.zeros(1500, 3, 8, 64)
    qkv[:, 0] = 1.0
    qkv[0, 1] = 1.0
    qkv[1:, 1] = 1 - torch.tensor(1500.0).log() / 8
    qkv[1:, 2] = 1.0
    attended = torch.empty(1500, 512)
    attend_int16(qkv.flatten(1), 8, attended)
    torch.testing.assert_close(attended, torch.full((1500, 512), 0.5), atol=0.005, rtol=0)


@pytest.mark.parametrize("size", [32, 64, 80, 128])
def test_extreme_numbers_do_not_overflow(size):
    """The largest codes everywhere."""
    qkv = torch.ones(300, 3, 2, size)
    qkv[::2, 1:] = -1
    qkv[:, 2] *= 1e4
    assert error(qkv.flatten(1), 2) < 0.001
    qkv[:, :2] *= 1e4
    assert error(qkv.flatten(1), 2) < 0.001


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_weights_of_the_largest_values_do_not_overflow(sign):
    n = 2 * KEYS_TOGETHER
    weights = np.full((ROWS, n), WEIGHT_LEVELS, np.int16)
    values = np.full((1, n // 2, COLUMNS, 2), sign * VALUE_LEVELS, np.int16)
    sums = np.empty((ROWS, COLUMNS), np.float32)
    mix(weights, ROWS, values, sums)
    assert (sums == n * WEIGHT_LEVELS * sign * VALUE_LEVELS).all()


def test_the_tiles_multiply_exactly():
    generator = np.random.default_rng(0)
    queries = generator.integers(-4095, 4096, (2 * ROWS, 64), dtype=np.int16)
    keys = generator.integers(-4095, 4096, (2, COLUMNS, 64), dtype=np.int16)
    pairs = np.ascontiguousarray(keys.view(np.int32).transpose(0, 2, 1))
    scores = np.empty((2 * ROWS, 2 * COLUMNS), np.int32)
    score(queries.view(np.int32), pairs, scores)
    expected = queries.astype(np.int64) @ keys.reshape(2 * COLUMNS, 64).T.astype(np.int64)
    assert np.array_equal(scores, expected)

    n = KEYS_TOGETHER + COLUMNS
    weights = generator.integers(0, 2**14, (2 * ROWS, n), dtype=np.int16)
    values = generator.integers(-1023, 1024, (n, COLUMNS), dtype=np.int16)
    sums = np.empty((2 * ROWS, COLUMNS), np.float32)
    paired = np.ascontiguousarray(values.reshape(1, n // 2, 2, COLUMNS).transpose(0, 1, 3, 2))
    mix(weights, 2 * ROWS, paired, sums)
    np.testing.assert_allclose(
        sums, weights.astype(float) @ values.astype(float), rtol=1e-5, atol=64
    )


def test_the_number_of_threads_changes_nothing():
    qkv = random_qkv(150, 5, 32)[None]
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = Int16Attention()(qkv, 5, None)
        torch.set_num_threads(3)
        assert torch.equal(Int16Attention()(qkv, 5, None), alone)
    finally:
        torch.set_num_threads(before)
