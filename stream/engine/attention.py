"""Attention over keys and values of shape (batch, n, heads, head_size).

What the CPU's kernels are fast at, and what they must be kept from: a token verified in a draft
must get the very numbers that it gets alone, or a draft would change words.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST_QUERIES, QUERIES_TOGETHER = 4, 32
"""MKL multiplies fewer rows than this by other kernels, which sum in another order, and PyTorch
gives it so many queries at a time. A decoder pass of one token is filled up, as is the last part of
one of many, so that a token's numbers are the same alone and in a draft."""


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool = False
) -> Tensor:
    """Scaled dot-product attention over (batch, n, heads, head_size).

    Args:
        query: n is the number of queries.
        keys: n is the number of keys.
        values: as keys.
        mask: broadcasts to (batch, heads, n_queries, n_keys), true where a query may look. Without
            one, PyTorch takes its flash kernel on CUDA.
        causal: query i sees keys 0..i.

    Returns:
        (batch, n_queries, heads * head_size).
    """
    q, k, v = query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    return attended.transpose(1, 2).flatten(2)


def attend_few(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool = False
) -> Tensor:
    """As `attend`; on the CPU the result for a query does not depend on how many there are."""
    n = query.shape[1]
    last = n % QUERIES_TOGETHER
    missing = LEAST_QUERIES - last
    if last == 0 or missing <= 0:
        return attend(query, keys, values, mask, causal=causal)
    query = F.pad(query, (0, 0, 0, 0, 0, missing))  # (batch, n + missing, heads, head_size)
    if mask is not None and mask.shape[2] > 1:
        mask = torch.cat([mask, mask[:, :, -1:].expand(-1, -1, missing, -1)], dim=2)
    return attend(query, keys, values, mask, causal=causal)[:, :n]


def length_mask(lengths: Tensor, size: int, device: torch.device) -> Tensor | None:
    """(batch, size), true where a row is real; None where all of it is, the fast case."""
    if bool((lengths == size).all()):
        return None
    return (torch.arange(size) < lengths[:, None]).to(device)


def move_rows(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """Move rows within (batch, ...) to the order of `closed_up`; returns (len(order), ...)."""
    for place, row in enumerate(order):
        if place != row:
            tensor[place] = tensor[row]
    return tensor[: len(order)]
