"""LoRA: a fresh adapter changes nothing, can be put aside, and is folded in at the end, without a word from any library."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from rather.model import load
from rather.training.adapter import add_lora, merged

TOKENS = torch.arange(10)[None]


def test_an_adapter_is_put_on_put_aside_and_folded_in(tiny: Path) -> None:
    loaded = load(str(tiny))
    with torch.no_grad():
        before = loaded.model(TOKENS).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also what pytest is told to pass over
        policy = add_lora(loaded, 4, seed=3)
    assert {name.split(".")[-3] for name, weight in policy.named_parameters() if weight.requires_grad} == {
        "lora_A",
        "lora_B",
    }
    with torch.no_grad():
        assert torch.equal(policy(TOKENS).logits, before), "it starts as zero"
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
        after = policy(TOKENS).logits
        with policy.disable_adapter():
            assert torch.equal(policy(TOKENS).logits, before)
        assert torch.equal(policy(TOKENS).logits, after)
        assert not torch.allclose(after, before)
        plain = merged(policy)
        assert plain is loaded.model
        torch.testing.assert_close(plain(TOKENS).logits, after)
    assert not [name for name, _ in plain.named_parameters() if "lora" in name]
