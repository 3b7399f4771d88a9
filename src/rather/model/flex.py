"""Attention over a packed forest on a GPU: FlexAttention, with the one-vector mask."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from rather.model.pack import Packed

# The kernel works on blocks of this many tokens; a micro-batch is filled up to a multiple with tokens that see themselves.
BLOCK = 128


def flex_attention_of(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: BlockMask,
    scale: float,
    softcap: float | None,
) -> Tensor:
    """query [1, H, T, D]; key, value [1, K, T, D] -> [1, T, H, D]: every token over what `mask` lets it see."""
    tokens = query.shape[2]
    missing = -tokens % BLOCK
    query, key, value = (F.pad(part.to(value.dtype), (0, 0, 0, missing)) for part in (query, key, value))
    run: Any = _compiled() if query.is_cuda else flex_attention
    out = run(
        query,
        key,
        value,
        score_mod=None if softcap is None else _capped(softcap),
        block_mask=mask,
        scale=scale,
        enable_gqa=query.shape[1] != key.shape[1],
    )
    return out[:, :, :tokens].transpose(1, 2)


@lru_cache(maxsize=8)
def _capped(softcap: float) -> Any:
    def capped(score: Tensor, batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return softcap * torch.tanh(score / softcap)

    return capped


@lru_cache(maxsize=1)
def _compiled() -> Any:
    """One kernel for micro-batches of every size."""
    return torch.compile(flex_attention, dynamic=True)


def block_mask(packed: Packed, window: int | None) -> BlockMask:
    """The mask of a micro-batch, under a sliding window or without one; the same for all layers."""
    device, tokens = packed.token_T.device, len(packed.token_T)
    size = tokens + -tokens % BLOCK
    filler = torch.arange(tokens, size, device=device)
    end_T = torch.cat([packed.subtree_end_T, filler + 1])
    depth_T = torch.cat([packed.position_T, torch.zeros_like(filler)])

    def seen(batch: Tensor, head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        ancestor = (k <= q) & (q < end_T[k])
        return ancestor if window is None else ancestor & (depth_T[q] - depth_T[k] < window)

    return create_block_mask(seen, None, None, size, size, device=str(device), BLOCK_SIZE=BLOCK)
