import os
import subprocess
import sys

import pytest
import torch

from stream.engine.network.int8_attention import QUERIES_TOGETHER, attend_int8
from stream.engine.network.layers import FullAttention


def error(qkv: torch.Tensor) -> float:
    """Of a row, relative to its size."""
    attended = torch.empty(len(qkv), 512)
    attend_int8(qkv, 8, attended)
    right = FullAttention()(qkv[None], 8, None)[0]
    return float((attended - right).norm() / right.norm())


@pytest.mark.slow
@pytest.mark.parametrize(
    "n", [1, 2, 37, QUERIES_TOGETHER, QUERIES_TOGETHER + 1, 3 * QUERIES_TOGETHER - 1, 1500]
)
def test_it_is_attention(n):
    torch.manual_seed(n)
    qkv = torch.randn(n, 3 * 512)
    qkv[:, :512] *= 3  # so that a query looks at some places more than at others
    assert error(qkv) < 0.05


@pytest.mark.slow
def test_a_common_offset_of_all_positions_costs_no_precision():
    torch.manual_seed(2)
    qkv = torch.randn(400, 3 * 512)
    plain = error(qkv)
    qkv[:, 512:] += 50 * torch.randn(1024)
    assert error(qkv) < plain  # the mean of the values is exact


@pytest.mark.slow
def test_one_near_place_does_not_hide_what_is_far_and_wide():
    """Half of the attention is spread over 1499 places, each with a 3000th of the first's."""
    qkv = torch.zeros(1500, 3, 8, 64)
    qkv[:, 0] = 1.0
    qkv[0, 1] = 1.0
    qkv[1:, 1] = 1 - torch.tensor(1500.0).log() / 8
    qkv[1:, 2] = 1.0
    attended = torch.empty(1500, 512)
    attend_int8(qkv.flatten(1), 8, attended)
    torch.testing.assert_close(attended, torch.full((1500, 512), 0.5), atol=0.02, rtol=0)


def test_extreme_numbers_do_not_overflow():
    """The largest bytes everywhere."""
    qkv = torch.ones(64, 3, 8, 64)
    qkv[::2, 1:] = -1
    qkv[:, 2] *= 1e4
    assert error(qkv.flatten(1)) < 0.01
    qkv[:, :2] *= 1e4
    assert error(qkv.flatten(1)) < 0.01


@pytest.mark.slow
def test_extreme_numbers_do_not_overflow_on_avx2():
    test = f"{__file__}::{test_extreme_numbers_do_not_overflow.__name__}"
    old = {**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-m", "pytest", "-q", test], env=old, check=True)
