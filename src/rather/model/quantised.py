"""Weights of four bits that give one product for one input, whether a gradient is wanted or not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

Dequantise = Callable[[Tensor, Any], Tensor]
"""(packed weight, its scales) → weight [out, in]."""


class _Product(torch.autograd.Function):
    """x·Wᵀ; W stands in full only while it is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, packed: Tensor, scales: Any, dequantise: Dequantise) -> Tensor:
        ctx.save_for_backward(packed)
        ctx.scales, ctx.dequantise = scales, dequantise
        return x @ dequantise(packed, scales).to(x.dtype).t()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (packed,), (grad,) = ctx.saved_tensors, grads
        return grad @ ctx.dequantise(packed, ctx.scales).to(grad.dtype), None, None, None


def four_bit_linear(layer: Any, x: Tensor, *, dequantise: Dequantise) -> Tensor:
    """What a `bitsandbytes.nn.Linear4bit` computes, in its compute dtype."""
    asked = x if layer.compute_dtype is None else x.to(layer.compute_dtype)
    out: Any = _Product.apply(asked, layer.weight.data, layer.weight.quant_state, dequantise)
    return (out if layer.bias is None else out + layer.bias.to(out.dtype)).to(x.dtype)


def one_product_for_all(model: torch.nn.Module) -> None:
    """Give every 4-bit layer of `model` the one product.

    bitsandbytes takes another kernel where no gradient is wanted. The reference is computed without one, so it would differ
    from the policy that it is, before anything is learned.
    """
    layers, functions = import_module("bitsandbytes.nn"), import_module("bitsandbytes.functional")
    for module in model.modules():
        if isinstance(module, layers.Linear4bit):
            module.forward = partial(four_bit_linear, module, dequantise=functions.dequantize_4bit)
