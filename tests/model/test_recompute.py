"""Gradient checkpointing: the same gradients to the last bit, and less kept for them."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from rather.model import Sample, completions
from rather.model.recompute import layers_kept, recompute_layers

# Two prompts with two answers each.
SAMPLES = [
    Sample(tokens=(*prompt, *answer), prompt_tokens=len(prompt))
    for prompt in (tuple(range(5, 25)), tuple(range(5, 15)))
    for answer in ((100, 101, 102), (110, 100))
]

# Small models of families whose layers differ: norms on both sides and softcapping, a sliding window, experts.
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {},
    "gemma2": {"head_dim": 8},
    "qwen3": {"head_dim": 8},
    "mistral": {"sliding_window": 4},
    "gpt_neox": {},
    "qwen2_moe": {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                  "shared_expert_intermediate_size": 16},
}  # fmt: skip


def made(family: str) -> torch.nn.Module:
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        family, vocab_size=300, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, pad_token_id=0, initializer_range=0.2, **FAMILIES[family],
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config).eval()


def gradients(model: torch.nn.Module, **options: Any) -> tuple[Tensor, dict[str, Tensor]]:
    model.zero_grad()
    found = completions(model, SAMPLES, **options)
    (found.sums() * torch.linspace(-1, 1, len(SAMPLES))).sum().backward()
    return found.logp_C.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def kept_bytes(model: torch.nn.Module) -> int:
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        held = completions(model, SAMPLES)
    del held
    return sum(storages.values())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_log_probabilities_and_gradients_are_the_same_to_the_last_bit(
    family: str, packed: bool, dtype: torch.dtype
) -> None:
    model = made(family)
    logp, grads = gradients(model, packed=packed, dtype=dtype)
    assert recompute_layers(model) == 3
    before = model.config._attn_implementation
    again, same = gradients(model, packed=packed, dtype=dtype)
    assert model.config._attn_implementation == before, "packed attention is taken back after the backward, too"
    assert torch.equal(logp, again)
    assert grads.keys() == same.keys()
    assert all(torch.equal(grads[name], same[name]) for name in grads)


def test_less_is_kept_and_within_a_block_as_much_as_before() -> None:
    model = made("llama")
    whole = kept_bytes(model)
    recompute_layers(model)
    less = kept_bytes(model)
    assert less < whole / 2
    with layers_kept(model) as layers:
        assert layers == 3
        assert kept_bytes(model) == whole
    assert kept_bytes(model) == less


def test_a_copy_computes_its_own_layers_again() -> None:
    model = made("llama")
    recompute_layers(model)
    theirs = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(1.1)
    gradients(theirs)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not torch.equal(gradients(model)[0], gradients(theirs)[0])


def test_a_model_without_such_layers_has_none() -> None:
    assert recompute_layers(torch.nn.Sequential(torch.nn.Linear(2, 2))) == 0
