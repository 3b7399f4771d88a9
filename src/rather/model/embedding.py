"""A matrix that is both embedding and head, with one gradient in place of two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass
class Shared:
    """weight_VH: the embedding as the head is to read it, once the model has embedded its tokens; None if it is not shared."""

    weight_VH: Tensor | None = None


@contextmanager
def shared_embedding(model: Any) -> Iterator[Shared]:
    """Within it the model's tied embedding hands out, beside its rows, the weight that the head must use.

    The gradient of an embedding is a dense matrix, nearly all of it zero, which autograd fills, and adds to the head's.
    For a small model that costs more than any layer. Here the rows are added to the head's gradient in place. An
    embedding that is not tied, not trained, or no plain `nn.Embedding` (Gemma 3 scales its own) stays as it is.
    """
    shared = Shared()
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    plain = type(embedding) is nn.Embedding and embedding.max_norm is None and not embedding.scale_grad_by_freq
    tied = plain and head is not None and head.weight is embedding.weight
    if not (tied and torch.is_grad_enabled() and embedding.weight.requires_grad):
        yield shared
        return

    def embed(ids: Tensor) -> Tensor:
        rows, shared.weight_VH = _Rows.apply(embedding.weight, ids, embedding.padding_idx)  # pyright: ignore
        return rows

    embedding.forward = embed
    try:
        yield shared
    finally:
        del embedding.forward


class _Rows(torch.autograd.Function):
    """weight [V, H], ids -> weight[ids], weight."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, ids: Tensor, padding: int | None) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(ids)
        ctx.padding, ctx.shape = padding, weight.shape
        return nn.functional.embedding(ids, weight), weight.view_as(weight)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, None, None]:
        drows, dweight = grads
        assert drows is not None
        assert dweight is not None
        (ids,) = ctx.saved_tensors
        ids, drows = ids.flatten(), drows.flatten(end_dim=-2)
        if ctx.padding is not None:  # nn.Embedding never trains this row as an input
            kept = ids != ctx.padding
            ids, drows = ids[kept], drows[kept]
        # The head's gradient belongs to nobody else: its backward made it, and handed it only to us.
        return dweight.index_add_(0, ids, drows.to(dweight.dtype)), None, None
