import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stream.engine.network.quantization import Int8Linear, coarsen, quantise


@pytest.fixture(scope="module")
def linear():
    torch.manual_seed(0)
    return nn.Linear(256, 96).requires_grad_(False)


@settings(max_examples=25, deadline=None)
@given(rows=st.integers(1, 40), row=st.integers(0, 39), scale=st.floats(1e-6, 1e6))
def test_a_row_is_exactly_the_same_alone_and_in_any_batch(linear, rows, row, scale):
    quantised = Int8Linear(linear.weight, linear.bias)
    x = torch.randn(rows, 256)
    x[: rows // 2] *= scale
    row %= rows
    assert torch.equal(quantised(x)[row], quantised(x[row : row + 1])[0])


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_close_to_the_float_layer_at_any_loudness(linear, scale):
    torch.manual_seed(1)
    x = torch.randn(64, 256) * scale
    bare = Int8Linear(linear.weight, None)
    expected = x @ linear.weight.T
    error = (bare(x) - expected).pow(2).mean().sqrt() / expected.pow(2).mean().sqrt()
    assert error < 0.02


def test_leading_dimensions_and_bias(linear):
    x = torch.randn(2, 3, 256)
    y = Int8Linear(linear.weight, linear.bias)(x)
    bare = Int8Linear(linear.weight, None)(x)
    assert y.shape == (2, 3, 96)
    torch.testing.assert_close(y, bare + linear.bias)


def test_zeros_stay_zeros(linear):
    quantised = Int8Linear(torch.zeros(8, 16), None)
    assert torch.equal(quantised(torch.randn(3, 16)), torch.zeros(3, 8))
    assert torch.equal(Int8Linear(linear.weight, None)(torch.zeros(2, 256)), torch.zeros(2, 96))


def test_quantise_reaches_every_depth():
    module = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ModuleList([nn.Linear(4, 4)])})
    quantise(module)
    assert isinstance(module["a"], Int8Linear)
    assert isinstance(module["b"][0], Int8Linear)


def test_a_draft_may_be_coarse(linear):
    torch.manual_seed(2)
    draft = nn.ModuleDict({"fc1": linear, "encoder_attn": nn.ModuleDict({"kv": linear})})
    quantise(draft)
    exact, x = Int8Linear(linear.weight, linear.bias), torch.randn(3, 256)
    assert torch.equal(draft["fc1"](x), exact(x))
    coarsen(draft)
    assert torch.equal(draft["encoder_attn"]["kv"](x), exact(x))
    assert not torch.equal(draft["fc1"](x), exact(x))
    torch.testing.assert_close(draft["fc1"](x), exact(x), atol=0.05, rtol=0)
