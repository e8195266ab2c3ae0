import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stream.engine.network.compiled_linear import (
    CompiledLinear,
    activation_levels,
    in_tiles,
    project,
)
from stream.engine.network.quantization import Int8Linear


def layer(n_in, n_out, seed=0):
    torch.manual_seed(seed)
    return nn.Linear(n_in, n_out).requires_grad_(False)


def error(found, expected):
    return float((found - expected).norm() / expected.norm())


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    row=st.integers(0, 39),
    scale=st.floats(1e-6, 1e6),
    n_in=st.sampled_from([1, 2, 31, 64, 512]),
    n_out=st.sampled_from([1, 15, 16, 17, 96]),
)
def test_a_row_is_exactly_the_same_alone_and_in_any_batch(rows, row, scale, n_in, n_out):
    linear = layer(n_in, n_out)
    compiled = CompiledLinear(linear.weight, linear.bias)
    x = torch.randn(rows, n_in)
    x[: rows // 2] *= scale
    row %= rows
    assert torch.equal(compiled(x)[row], compiled(x[row : row + 1])[0])


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
@pytest.mark.parametrize(("n_in", "n_out"), [(256, 96), (384, 384), (1280, 50), (5120, 40)])
def test_closer_to_the_float_layer_than_eight_bits_at_any_loudness(n_in, n_out, scale):
    linear = layer(n_in, n_out)
    x = torch.randn(64, n_in) * scale
    expected = x @ linear.weight.T
    off = error(CompiledLinear(linear.weight, None)(x), expected)
    assert off < 0.009
    assert off < 0.6 * error(Int8Linear(linear.weight, None)(x), expected)


def test_leading_dimensions_and_bias():
    linear = layer(256, 96)
    x = torch.randn(2, 3, 256)
    y = CompiledLinear(linear.weight, linear.bias)(x)
    assert y.shape == (2, 3, 96)
    bare = CompiledLinear(linear.weight, None)(x)
    torch.testing.assert_close(y, bare + linear.bias, atol=1e-6, rtol=1e-5)


def test_rows_that_are_not_contiguous():
    linear = layer(64, 32)
    compiled, x = CompiledLinear(linear.weight, linear.bias), torch.randn(5, 128)
    assert torch.equal(compiled(x[:, :64]), compiled(x[:, :64].contiguous()))
    assert torch.equal(compiled(x[::2, :64]), compiled(x[:, :64])[::2])


def test_zeros_stay_zeros():
    assert torch.equal(
        CompiledLinear(torch.zeros(8, 16), None)(torch.randn(3, 16)), torch.zeros(3, 8)
    )
    linear = layer(16, 8)
    assert torch.equal(CompiledLinear(linear.weight, None)(torch.zeros(2, 16)), torch.zeros(2, 8))
    assert CompiledLinear(linear.weight, None)(torch.zeros(0, 16)).shape == (0, 8)


@pytest.mark.parametrize("n_in", [64, 512, 2048, 5120, 20_000])
def test_the_largest_sums_fit_into_32_bits(n_in):
    """All weights and all activations are as large as they can be, and of one sign."""
    compiled = CompiledLinear(torch.full((3, n_in), 2.0), None)
    x = torch.full((2, n_in), 5.0)
    torch.testing.assert_close(compiled(x), torch.full((2, 3), 10.0 * n_in), rtol=1e-5, atol=0)
    torch.testing.assert_close(compiled(-x), torch.full((2, 3), -10.0 * n_in), rtol=1e-5, atol=0)


def test_sums_are_those_of_whole_numbers():
    """Against numpy, with codes that are given."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-127, 128, (37, 50), dtype=np.int8)
    x = rng.integers(-100, 101, (7, 50)).astype(np.float32)
    x[:, 0] = 100  # the largest of each row
    y = np.empty((7, 37), np.float32)
    ones, zeros = np.ones(37, np.float32) / np.float32(100), np.zeros(37, np.float32)
    project(x, np.float32(100), in_tiles(torch.from_numpy(codes)).numpy(), ones, zeros, y)
    np.testing.assert_allclose(y, x @ codes.T.astype(np.float32), rtol=1e-6)


def test_few_inputs_get_more_steps_than_many():
    assert activation_levels(64) == activation_levels(512) == 8191
    assert activation_levels(5120) == 3302


def test_rows_that_threads_share_have_the_same_bits():
    linear = layer(64, 48)
    compiled, x = CompiledLinear(linear.weight, linear.bias), torch.randn(1, 200, 64)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = compiled(x)
        torch.set_num_threads(3)
        assert torch.equal(compiled(x), alone)
    finally:
        torch.set_num_threads(threads)
