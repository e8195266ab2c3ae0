"""What attention in 8 bits and in 16 bits have in common: padding and rows of zeros."""

import pytest
import torch

from stream.engine.network.int8_attention import Int8Attention, attend_int8
from stream.engine.network.int16_attention import Int16Attention, attend_int16


@pytest.mark.parametrize("attend", [attend_int8, attend_int16])
def test_a_row_of_zeros_gives_zeros(attend):
    attended = torch.full((9, 64), 7.0)
    attend(torch.zeros(9, 3 * 64), 1, attended)
    assert not attended.any()


@pytest.mark.parametrize("attention", [Int8Attention(), Int16Attention()])
def test_rows_do_not_depend_on_their_padding(attention):
    torch.manual_seed(3)
    qkv = torch.randn(3, 300, 3 * 512)
    mask = torch.ones(3, 1, 1, 300, dtype=torch.bool)
    mask[1, ..., 120:] = False
    mask[2] = False
    attended = attention(qkv, 8, mask)
    assert torch.equal(attended[:1], attention(qkv[:1], 8, None))
    assert torch.equal(attended[1:2, :120], attention(qkv[1:2, :120], 8, None))
    assert not attended[1, 120:].any()
    assert not attended[2].any()
    qkv[1, 120:] = 1e6
    assert torch.equal(attended, attention(qkv, 8, mask))
