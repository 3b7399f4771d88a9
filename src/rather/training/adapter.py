"""LoRA: train a small adapter on every linear layer, and fold it into the weights at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from peft import LoraConfig, LoraModel
from transformers import PreTrainedModel

from rather.model import Loaded


class Adapted(LoraModel):
    """A model with a LoRA adapter, which can be put aside for a moment.

    It takes the place of peft's PeftModel, which asks the model for an attribute that transformers has deprecated.
    """

    def get_base_model(self) -> PreTrainedModel:
        """The model inside, its linear layers wrapped."""
        return self.model  # pyright: ignore[reportReturnType]

    @contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Within, the model is the one that the adapter was put on."""
        self.disable_adapter_layers()
        try:
            yield
        finally:
            self.enable_adapter_layers()


def add_lora(loaded: Loaded, rank: int, *, seed: int, scalar: bool = False) -> Adapted:
    """The model with a fresh adapter of `rank` (α = 2·rank, no dropout); only the adapter is trainable.

    scalar: it is a reward model, whose head is trained whole. The adapter starts as zero, so the policy starts as the
    reference, and no second model is ever loaded.
    """
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=["score"] if scalar else None,
        task_type="SEQ_CLS" if scalar else "CAUSAL_LM",
    )
    adapted = Adapted(loaded.model, config, "default")
    if scalar:
        head: torch.nn.Module = loaded.model.score  # pyright: ignore[reportAssignmentType]
        head.requires_grad_(True)
    adapted.eval()
    return adapted


def merged(policy: torch.nn.Module) -> PreTrainedModel:
    """The plain model: adapter folded in where there is one."""
    model = policy.merge_and_unload() if isinstance(policy, Adapted) else policy
    assert isinstance(model, PreTrainedModel)
    return model
