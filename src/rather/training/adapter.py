"""LoRA: train a small adapter on every linear layer, and fold it into the weights at the end."""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

from rather.model import Loaded


def add_lora(loaded: Loaded, rank: int, *, seed: int, scalar: bool = False) -> PeftModel:
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
        task_type="SEQ_CLS" if scalar else "CAUSAL_LM",
    )
    adapted = get_peft_model(loaded.model, config)
    adapted.eval()
    assert isinstance(adapted, PeftModel)
    return adapted


def merged(policy: torch.nn.Module) -> PreTrainedModel:
    """The plain model: adapter folded in where there is one."""
    model = policy.merge_and_unload() if isinstance(policy, PeftModel) else policy  # pyright: ignore[reportCallIssue]
    assert isinstance(model, PreTrainedModel)
    return model
