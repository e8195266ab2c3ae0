"""Attention over keys and values of shape (batch, n, heads, head_size), by PyTorch's kernels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from stream.engine.network.transfers import send


def attend(
    query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, *, causal: bool = False
) -> Tensor:
    """Compute scaled dot-product attention over (batch, n, heads, head_size).

    Args:
        query: (batch, n_queries, heads, head_size).
        keys: (batch, n_keys, heads, head_size).
        values: of the shape of `keys`.
        mask: broadcasts to (batch, heads, n_queries, n_keys), true if the query attends to the
            key. Without a mask PyTorch uses its flash kernel on CUDA.
        causal: query i attends to keys 0..i.

    Returns:
        (batch, n_queries, heads * head_size).
    """
    q, k, v = query.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
    attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    return attended.transpose(1, 2).flatten(2)


def split_qkv(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split (batch, n, 3 * d_model) into query, keys, values: (batch, n, heads, head_size)."""
    query, keys, values = qkv.view(*qkv.shape[:2], 3, heads, -1).unbind(2)
    return query, keys, values


def split_kv(kv: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    """Split (batch, n, 2 * d_model) into keys and values: (batch, n, heads, head_size)."""
    keys, values = kv.view(*kv.shape[:2], 2, heads, -1).unbind(2)
    return keys, values


def length_mask(lengths: Tensor, size: int, device: torch.device) -> Tensor | None:
    """Return (batch, size), true up to the length of each row; None if no row has padding."""
    if bool((lengths == size).all()):
        return None
    return send(torch.arange(size) < lengths[:, None], device)


def real_spans(qkv: Tensor, key_mask: Tensor | None) -> list[tuple[int, int]]:
    """Return where the real positions of each row begin and end; they are neighbours.

    Args:
        qkv: (batch, n, ...).
        key_mask: (batch, 1, 1, n), true if a position is real; None if all are.
    """
    batch, n = qkv.shape[:2]
    if key_mask is None:
        return [(0, n)] * batch
    real = key_mask.view(batch, n)
    starts = real.int().argmax(-1)
    ends = starts + real.sum(-1)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def move_rows(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """Move rows within (batch, ...), in place, to an order that `closed_up` returned.

    Returns a view of the first len(order) rows, (len(order), ...).
    """
    for place, row in enumerate(order):
        if place != row:
            tensor[place] = tensor[row]
    return tensor[: len(order)]
