"""A query has the same result to the last bit however many queries there are."""

import pytest
import torch

from stream.engine.attention import attend_few, attend_halved, multiplies_bfloat16

COUNTS = (2, 3, 4, 5, 17, 32, 33, 34, 35, 36, 48, 65)


def halved(*tensors):
    return attend_halved(*tensors)[0]


def by_head(batch, n_keys):
    """(batch, n_keys, heads, head_size) with a head's rows together in memory."""
    return torch.randn(batch, 8, n_keys, 64).transpose(1, 2)


def each_alone(attention, query, *others):
    return torch.cat([attention(one, *others) for one in query.split(1, dim=1)], dim=1)


@pytest.mark.parametrize("n_keys", [80, 96, 192])
def test_few_queries_among_float32_keys(n_keys):
    torch.manual_seed(n_keys)
    query, keys, values = (torch.randn(2, n, 8, 64) for n in (65, n_keys, n_keys))
    alone = each_alone(attend_few, query, keys, values, None)
    for n in COUNTS:
        assert torch.equal(attend_few(query[:, :n], keys, values, None), alone[:, :n]), n


@pytest.mark.parametrize("n_keys", [400, 524, 1024, 1026, 1500])  # 1025 never occurs
@pytest.mark.parametrize("batch", [1, 3])
def test_queries_among_float32_keys(n_keys, batch):
    torch.manual_seed(n_keys)
    query = torch.randn(batch, 65, 8, 64)
    keys, values = (by_head(batch, n_keys) for _ in range(2))
    alone = each_alone(attend_few, query, keys, values, None)
    for n in COUNTS:
        assert torch.equal(attend_few(query[:, :n], keys, values, None), alone[:, :n]), n


@pytest.mark.skipif(not multiplies_bfloat16(), reason="the CPU multiplies no bfloat16")
@pytest.mark.parametrize("n_keys", [400, 1024, 1025, 1500])
@pytest.mark.parametrize("batch", [1, 3])
def test_queries_among_bfloat16_keys(n_keys, batch):
    torch.manual_seed(n_keys)
    query = torch.randn(batch, 65, 8, 64)
    keys, values = (by_head(batch, n_keys).bfloat16() for _ in range(2))
    alone = each_alone(halved, query, keys, values, None)
    for n in COUNTS:
        assert torch.equal(halved(query[:, :n], keys, values, None), alone[:, :n]), n
