"""Attention over packed trees, put in place of a model's own through transformers' `AttentionInterface`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

NAME = "rather_tree"

# Below this many tokens a tree's scores are plain batched products with a float softmax: measured faster, forward and
# backward, than the masked fused kernel (a tree of 128 tokens: 0.4 against 11.4 ms in bf16). Above it the S² scores
# that the plain form keeps for its backward cost more than it gains.
PLAIN_PRODUCT_TOKENS = 640


def tree_masks(tree_bounds: tuple[tuple[int, int], ...], subtree_end_T: Tensor) -> list[Tensor]:
    """[S, S] of bool for each tree of S tokens: True where row q may attend to column k."""
    masks = []
    for start, stop in tree_bounds:
        index = torch.arange(stop - start, device=subtree_end_T.device)
        end_S = subtree_end_T[start:stop]
        masks.append((index[None, :] <= index[:, None]) & (index[:, None] < end_S[None, :]))
    return masks


def tree_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    tree_bounds: tuple[tuple[int, int], ...],
    tree_masks: list[Tensor],
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of each tree over itself. query [1, H, T, D]; key, value [1, K, T, D] -> [1, T, H, D]."""
    if attention_mask is not None or dropout:
        raise ValueError("packed attention takes neither a mask of its own nor dropout")
    if softcap is not None:
        raise ValueError("packed attention has no softcapping yet")
    if sliding_window is not None and any(stop - start > sliding_window for start, stop in tree_bounds):
        raise ValueError("packed attention has no sliding window yet")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    out = [
        _attend(query[0, :, start:stop], key[0, :, start:stop], value[0, :, start:stop], mask, scale)
        for (start, stop), mask in zip(tree_bounds, tree_masks, strict=True)
    ]
    return torch.cat(out, dim=0).unsqueeze(0), None


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, scale: float) -> Tensor:
    """One tree: query [H, S, D]; key, value [K, S, D]; mask [S, S] -> [S, H, D]."""
    heads, size, width = query.shape
    groups = heads // key.shape[0]
    if size > PLAIN_PRODUCT_TOKENS:
        out = F.scaled_dot_product_attention(
            query[None], key[None], value[None], attn_mask=mask, scale=scale, enable_gqa=groups > 1
        )[0]
        return out.transpose(0, 1)
    # Heads that share a key stand together, so that one product serves them all and nothing is repeated.
    grouped = query.reshape(-1, groups * size, width)
    scores = torch.matmul(grouped * scale, key.transpose(1, 2)).view(-1, groups, size, size)
    weights = scores.float().masked_fill(~mask, float("-inf")).softmax(dim=-1).to(value.dtype)
    out = torch.matmul(weights.view(-1, groups * size, size), value)
    return out.view(heads, size, width).transpose(0, 1)


AttentionInterface.register(NAME, tree_attention)


@contextmanager
def packed_attention(model: PreTrainedModel) -> Iterator[None]:
    """Within it, `model` attends over packed trees; outside, as it was loaded."""
    before = model.config._attn_implementation
    if before == NAME:
        yield
        return
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
