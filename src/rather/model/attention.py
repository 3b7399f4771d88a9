"""Attention over a packed forest, put in place of a model's own through transformers' `AttentionInterface`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from rather.model.blocks import Block
from rather.model.flex import block_mask, flex_attention_of
from rather.model.pack import Packed

NAME = "rather_tree"

# Probabilities of this many scores (of one head) are kept for the backward; of more they are computed again there.
KEPT_SCORES = 1 << 19


@dataclass
class Forest:
    """What attention needs to know of a packed micro-batch, made once for all layers.

    `masks[window]` are the blocks' masks, True where a score is thrown away, under a sliding window or without one.
    """

    packed: Packed
    masks: dict[int | None, list[Tensor | None]] = field(default_factory=dict)
    flex_masks: dict[int | None, Any] = field(default_factory=dict)

    @property
    def keeps_probabilities(self) -> bool:
        """True if the probabilities of all blocks are few enough to be kept in every layer."""
        return sum((b.stop - b.start) * _keys(b) for b in self.packed.blocks) <= KEPT_SCORES

    def flex_mask(self, window: int | None) -> Any:
        """The same for FlexAttention."""
        if window not in self.flex_masks:
            self.flex_masks[window] = block_mask(self.packed, window)
        return self.flex_masks[window]

    def hidden(self, window: int | None) -> list[Tensor | None]:
        """For each block, [S, A + S] of bool, or [S, S] where all A keys before the block are seen; None for nothing."""
        if window not in self.masks:
            self.masks[window] = [self._mask(block, window) for block in self.packed.blocks]
        return self.masks[window]

    def _mask(self, block: Block, window: int | None) -> Tensor | None:
        own = torch.arange(block.start, block.stop, device=self.packed.token_T.device)
        mask = own[None, :] > own[:, None]
        if not block.chain:
            mask |= own[:, None] >= self.packed.subtree_end_T[own][None, :]
        if window is None:
            return mask if block.stop - block.start > 1 else None
        before = [torch.arange(start, stop, device=own.device) for start, stop in block.before]
        mask = torch.cat([mask.new_zeros(len(own), _keys(block) - len(own)), mask], dim=1)
        # An ancestor's distance is a distance in depth, which is what the model's own forward counts.
        depth = self.packed.position_T
        return mask | (depth[own][:, None] - depth[torch.cat([*before, own])][None, :] >= window)


class _Form(NamedTuple):
    scale: float
    softcap: float | None
    window: int | None


def forest_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    forest: Forest,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of every token over its ancestors. query [1, H, T, D]; key, value [1, K, T, D] -> [1, T, H, D].

    sliding_window: tokens that a token sees, itself included. softcap: scores become cap·tanh(score / cap).
    """
    if attention_mask is not None or dropout or s_aux is not None:
        raise ValueError("packed attention takes no mask of its own, no dropout and no sinks")
    scale = scaling if scaling is not None else query.shape[-1] ** -0.5
    if query.device.type == "cuda":
        return flex_attention_of(query, key, value, forest.flex_mask(sliding_window), scale, softcap), None
    # Under autocast values come from a product, queries and keys from a rotation in float32.
    query, key = query[0].to(value.dtype), key[0].to(value.dtype)
    out = _ForestAttention.apply(query, key, value[0], forest, _Form(scale, softcap, sliding_window))
    return out.unsqueeze(0), None  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


class _ForestAttention(torch.autograd.Function):
    """Block by block: plain batched products with a float softmax, and a backward that writes into place.

    For blocks of a few hundred tokens that is faster on a CPU than a masked fused kernel (a tree of 128 tokens, forward
    and backward in bf16: 0.4 against 11.4 ms), and no gradient of a slice is ever padded with zeros.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, forest: Forest, form: _Form) -> Tensor:
        heads, tokens, _ = query.shape
        out = query.new_empty(tokens, heads, value.shape[-1])
        kept: list[Tensor] = []
        keep = forest.keeps_probabilities
        with torch.autocast(query.device.type, enabled=False):
            for block, mask in zip(forest.packed.blocks, forest.hidden(form.window), strict=True):
                asked, keys, values = _rows(query, key, block), _ranges(key, block), _ranges(value, block)
                probabilities, _ = _probabilities(asked, keys, mask, form)
                found = torch.bmm(probabilities, values)
                out[block.start : block.stop] = found.view(heads, -1, value.shape[-1]).transpose(0, 1)
                if keep:
                    kept.append(probabilities)
        ctx.save_for_backward(query, key, value, *kept)
        ctx.forest, ctx.form = forest, form
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (dout,) = grads
        query, key, value, *kept = ctx.saved_tensors
        form: _Form = ctx.form
        heads, _, width = query.shape
        dquery = torch.empty_like(query)
        # Shared keys collect from many blocks: in float32, and cast once.
        wide = torch.promote_types(key.dtype, torch.float32)
        dkey, dvalue = torch.zeros_like(key, dtype=wide), torch.zeros_like(value, dtype=wide)
        dout = dout.transpose(0, 1)
        hidden = ctx.forest.hidden(form.window)
        with torch.autocast(query.device.type, enabled=False):
            for number, block in enumerate(ctx.forest.packed.blocks):
                asked, keys, values = _rows(query, key, block), _ranges(key, block), _ranges(value, block)
                bend = None
                if kept and form.softcap is None:
                    probabilities = kept[number]
                else:
                    probabilities, bend = _probabilities(asked, keys, hidden[number], form)
                doutput = _rows(dout, key, block)
                _add(dvalue, block, torch.bmm(probabilities.transpose(1, 2), doutput))
                dprobabilities = torch.bmm(doutput, values.transpose(1, 2))
                dscores = torch._softmax_backward_data(dprobabilities, probabilities, -1, probabilities.dtype)
                if bend is not None:
                    dscores = dscores * bend
                dasked = torch.bmm(dscores, keys).mul_(form.scale)
                dquery[:, block.start : block.stop] = dasked.view(heads, -1, width)
                _add(dkey, block, torch.bmm(dscores.transpose(1, 2), asked).mul_(form.scale))
        return dquery, dkey.to(key.dtype), dvalue.to(value.dtype), None, None


def _probabilities(asked: Tensor, keys: Tensor, mask: Tensor | None, form: _Form) -> tuple[Tensor, Tensor | None]:
    """[K, groups·S, A + S] in the dtype of the products, and with softcapping the slope of the cap at each score.

    torch's softmax computes in float32 whatever it is given, so scores that are bf16 already lose nothing by staying so.
    """
    scores = torch.bmm(asked * form.scale, keys.transpose(1, 2))
    bend = None
    if form.softcap is not None:
        capped = scores.to(torch.promote_types(scores.dtype, torch.float32)).div_(form.softcap).tanh_()
        bend = (1 - capped.square()).to(asked.dtype)
        scores = capped.mul_(form.softcap).to(asked.dtype)
    if mask is not None:
        size, seen = mask.shape
        grouped = scores.view(len(scores), -1, size, scores.shape[-1])
        grouped[..., scores.shape[-1] - seen :].masked_fill_(mask, float("-inf"))
    return scores.softmax(dim=-1), bend


def _rows(heads_first: Tensor, key: Tensor, block: Block) -> Tensor:
    """[H, T, D] → the block's rows [K, groups·S, D]: heads that share a key stand together, so one product serves them."""
    rows = heads_first[:, block.start : block.stop]
    return rows.reshape(key.shape[0], -1, rows.shape[-1])


def _ranges(tensor: Tensor, block: Block) -> Tensor:
    """[K, T, D] → what the block sees [K, A + S, D]."""
    parts = [tensor[:, start:stop] for start, stop in (*block.before, (block.start, block.stop))]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _add(total: Tensor, block: Block, part: Tensor) -> None:
    """Add [K, A + S, D] to the places that `_ranges` took."""
    done = 0
    for start, stop in (*block.before, (block.start, block.stop)):
        total[:, start:stop] += part[:, done : done + stop - start]
        done += stop - start


def _keys(block: Block) -> int:
    return sum(stop - start for start, stop in block.before) + block.stop - block.start


AttentionInterface.register(NAME, forest_attention)


@contextmanager
def packed_attention(model: PreTrainedModel) -> Iterator[None]:
    """Within it, `model` attends over packed forests; outside, as it was loaded."""
    before = model.config._attn_implementation
    if before == NAME:
        yield
        return
    model.set_attn_implementation(NAME)
    try:
        yield
    finally:
        model.set_attn_implementation(before)
