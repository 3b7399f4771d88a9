"""Weights of which every rank holds a part: FSDP2."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from rather.distributed.ranks import Ranks


class _WholeOrBody:
    """Stands in the place of a sharded model's `forward`: packed input goes to its body, whose head is read by our own code.

    FSDP2 gathers weights when the model that was sharded is called, so the body cannot be called in its place.
    """

    def __init__(self, model: Any) -> None:
        self.whole, self.model = model.forward, model

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return (self.model.base_model if "forest" in kwargs else self.whole)(*args, **kwargs)


def shard(model: torch.nn.Module) -> None:
    """From here on every rank holds a part of each weight, and of its gradient, in place. All ranks must call it, and from then on
    compute equally often.

    FSDP2 (Zhao et al. 2023, arXiv 2304.11277; torch's fully_shard): a layer's weights are gathered while it computes, gradients
    are summed into parts. Embedding, head and norms stay gathered from forward to backward.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    base: Any = _base(model)
    for layer in base.modules():
        if isinstance(layer, GradientCheckpointingLayer):
            fully_shard(layer)
    base.forward = _WholeOrBody(base)
    fully_shard(base)
    for module in base.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)  # sums: they are divided once, by the pairs of the update
            module.set_force_sum_reduction_for_comms(True)  # gloo knows no other


def settle(model: torch.nn.Module) -> None:
    """Let go of weights that a forward without a backward has left gathered, so that `model` has its parts as parameters."""
    base: Any = _base(model)
    if hasattr(base, "reshard"):
        base.reshard()


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def is_part(tensor: Tensor) -> bool:
    """True for a tensor of which this rank holds a part."""
    return hasattr(tensor, "to_local")


def whole(tensor: Tensor, ranks: Ranks) -> Tensor | None:
    """All of a tensor, on the first rank's CPU if it is one in parts: every rank must ask, and the others have None."""
    if not is_part(tensor):
        return tensor if ranks.first else None
    found: Any = tensor.full_tensor()  # pyright: ignore[reportAttributeAccessIssue]
    return found.cpu() if ranks.first else None


def put(target: Tensor, values: Tensor) -> Tensor:
    """Write values into a tensor in place, or into the part of it that this rank holds; return the tensor."""
    if not is_part(target):
        return target.copy_(values)
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = target.device_mesh, target.placements  # pyright: ignore[reportAttributeAccessIssue]
    part: Any = distribute_tensor(values.to(target.device, target.dtype), mesh, placements, src_data_rank=None)
    target.to_local().copy_(part.to_local())  # pyright: ignore[reportAttributeAccessIssue]
    return target


def clipped(model: torch.nn.Module, longest: float) -> float:
    """Scale the gradient down to `longest` where it is longer; return how long it was."""
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), longest)
    total: Any = getattr(norm, "full_tensor", None)  # of sharded gradients each rank has a part
    return float(norm if total is None else total())
