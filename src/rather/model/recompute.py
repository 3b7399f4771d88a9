"""Gradient checkpointing: of each layer only the input is kept, and the backward computes the rest again.

Chen et al. 2016 (arXiv 1604.06174). Not by transformers' own switch: that acts only in a layer that is in training mode,
where layers drop out, and its second forward would run after packed attention has been taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_layers import GradientCheckpointingLayer

from rather.model.attention import NAME, packed_attention


class _Recomputed:
    """Stands in the place of a layer's `forward`."""

    def __init__(self, forward: Callable[..., Any], model: PreTrainedModel) -> None:
        self.forward, self.model, self.on = forward, model, True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (self.on and torch.is_grad_enabled()):
            return self.forward(*args, **kwargs)
        packed = self.model.config._attn_implementation == NAME

        def contexts() -> tuple[AbstractContextManager[object], AbstractContextManager[object]]:
            return nullcontext(), packed_attention(self.model) if packed else nullcontext()

        # Nothing is drawn at random in a forward: the model is in eval mode.
        return checkpoint(
            self.forward, *args, use_reentrant=False, preserve_rng_state=False, context_fn=contexts, **kwargs
        )


def recompute_layers(model: torch.nn.Module) -> int:
    """From here on `model` computes its layers again in the backward; return how many they are."""
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # pyright: ignore[reportCallIssue]
    layers = [layer for layer in base.modules() if isinstance(layer, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = _Recomputed(layer.forward, base)
    return len(layers)


@contextmanager
def layers_kept(model: torch.nn.Module) -> Iterator[int]:
    """Within it, `model` keeps what its layers compute, as if nothing had been said; yields how many layers that concerns."""
    found = [layer.forward for layer in model.modules() if isinstance(layer.forward, _Recomputed)]
    try:
        for forward in found:
            forward.on = False
        yield len(found)
    finally:
        for forward in found:
            forward.on = True
