"""A query has the same result to the last bit however many queries there are."""

import pytest
import torch

from stream.engine.network.cross_attention import (
    PackedCrossAttentionCache,
    PlainCrossAttentionCache,
)
from stream.engine.network.self_attention import (
    CompiledSelfAttentionCache,
    DecodeStep,
    PlainSelfAttentionCache,
)

COUNTS = (2, 3, 4, 5, 17, 32, 33, 34, 35, 36, 48, 65)


def step(before: int, n_new: int, rows: int) -> DecodeStep:
    """Of rows that are alike."""
    after = torch.full((rows,), before + n_new)
    positions = torch.arange(before, before + n_new)
    mask = torch.arange(before + n_new) <= positions[None, None, :, None]
    slots = (slice(None), slice(before, before + n_new))
    return DecodeStep(positions[None], slots, after - n_new, after - before, after, mask)


def test_new_tokens_among_repeated_ones():
    torch.manual_seed(1)
    qkv = torch.randn(3, 65, 3 * 512)
    said, plain = (
        CompiledSelfAttentionCache(qkv[..., :512], 65, 8),
        PlainSelfAttentionCache(qkv[..., :512], 65, 8),
    )
    alone = torch.cat([said.attend(qkv[:, i : i + 1], step(i, 1, 3)) for i in range(65)], dim=1)
    torch.testing.assert_close(alone, plain.attend(qkv, step(0, 65, 3)), atol=1e-5, rtol=0)
    for n in COUNTS:
        together = CompiledSelfAttentionCache(qkv[..., :512], 65, 8)
        first = together.attend(qkv[:, :n], step(0, n, 3))
        assert torch.equal(first, alone[:, :n]), n
        if n < 65:
            rest = together.attend(qkv[:, n:], step(n, 65 - n, 3))
            assert torch.equal(rest, alone[:, n:]), n


@pytest.mark.parametrize("n_positions", [(1, 37, 20), (400, 1500, 1025)])
def test_queries_to_the_audio(n_positions):
    torch.manual_seed(sum(n_positions))
    project = torch.nn.Linear(512, 1024).requires_grad_(False)
    audio, query = torch.randn(3, max(n_positions), 512), torch.randn(3, 65, 8, 64)
    heard = PackedCrossAttentionCache(audio, torch.tensor(n_positions), 8, project)
    plain = PlainCrossAttentionCache(
        *project(audio).unflatten(-1, (2, 8, 64)).unbind(2), heard.lengths
    )

    def attend(query):
        return heard.attend(query, torch.full((3,), query.shape[1]), [1, 6])

    alone = [attend(one) for one in query.split(1, dim=1)]
    expected = plain.attend(query, torch.full((3,), 65), [1, 6])
    for found, right in zip(zip(*alone, strict=True), expected, strict=True):
        torch.testing.assert_close(torch.cat(found, dim=1), right, atol=1e-4, rtol=0)
    for n in COUNTS:
        for found, single in zip(attend(query[:, :n]), zip(*alone, strict=True), strict=True):
            assert torch.equal(found, torch.cat(single, dim=1)[:, :n]), n


def test_padding_is_not_listened_for():
    project = torch.nn.Linear(64, 128).requires_grad_(False)
    heard = PackedCrossAttentionCache(torch.randn(2, 30, 64), torch.tensor([30, 7]), 1, project)
    query = torch.randn(2, 5, 1, 64)
    attended, weights = heard.attend(query, torch.tensor([2, 5]), [0])
    assert not attended[0, 2:].any()
    assert attended[1].all()
    assert not weights[1, :, :, 7:].any()
    torch.testing.assert_close(weights[1].sum(-1), torch.ones(5, 1))
