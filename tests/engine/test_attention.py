"""Attention in bfloat16 is that of float32, but for its rounding."""

import pytest
import torch

from stream.engine.attention import attend, attend_all_halved, attend_halved, by_head

BATCH, POSITIONS, HEADS, HEAD_SIZE = 2, 50, 3, 16


def vectors(n: int = POSITIONS) -> torch.Tensor:
    return torch.randn(BATCH, n, HEADS, HEAD_SIZE)


@pytest.fixture(params=[False, True], ids=["whole", "masked"])
def mask(request: pytest.FixtureRequest) -> torch.Tensor | None:
    lengths = torch.tensor([POSITIONS, 20])
    real = torch.arange(POSITIONS) < lengths[:, None]
    return real[:, None, None, :] if request.param else None


def test_of_all_positions_to_all(mask: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    query, keys, values = vectors(), vectors(), vectors()
    expected = attend(query, keys, values, mask)
    halved = attend_all_halved(query, keys, values, mask)
    assert halved.dtype is torch.float32
    torch.testing.assert_close(halved, expected, atol=0.03, rtol=0)
    if mask is not None:  # what is hidden has no part in it
        values[1, 20:] = 1e6
        torch.testing.assert_close(attend_all_halved(query, keys, values, mask), halved)


def test_of_tokens_to_the_audio_with_its_weights(mask: torch.Tensor | None) -> None:
    torch.manual_seed(0)
    query, keys, values = vectors(4), vectors(), vectors()
    attended, weights = attend_halved(query, keys.bfloat16(), values.bfloat16(), mask)
    torch.testing.assert_close(attended, attend(query, keys, values, mask), atol=0.03, rtol=0)
    assert weights.shape == (BATCH, HEADS, 4, POSITIONS)
    torch.testing.assert_close(weights.sum(-1), torch.ones(BATCH, HEADS, 4))
    if mask is not None:
        assert not weights[1, :, :, 20:].any()
    alone, _ = attend_halved(query[:, :1], keys.bfloat16(), values.bfloat16(), mask)
    torch.testing.assert_close(alone, attended[:, :1], atol=0.005, rtol=0)


def test_by_head_changes_the_order_of_memory_alone() -> None:
    x = vectors()
    assert torch.equal(by_head(x), x)
    assert by_head(x).transpose(1, 2).is_contiguous()
