"""TR-DPO: the reference follows the policy when it is told to, and only then."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from rather.errors import ConfigError
from rather.model import Sample, completions
from rather.training.config import TrainConfig
from rather.training.moving import MovingReference
from rather.training.run import train
from tests.conftest import WriteFile

SAMPLES = [Sample((60, 61, 62, 70, 71), 3), Sample((60, 61, 62, 90), 3)]
ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)]


def sums(found: Any) -> list[float]:
    return found.sums().tolist()


@pytest.mark.parametrize("adapter", [False, True])
def test_it_stays_until_its_step_and_then_moves_by_alpha(tiny: Path, adapter: bool) -> None:
    policy: Any = AutoModelForCausalLM.from_pretrained(tiny)
    if adapter:
        policy = get_peft_model(policy, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    start = copy.deepcopy(policy)
    moving = MovingReference(policy, mixup=0.25, every=2)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    learned = [parameter.detach().clone() for parameter in policy.parameters()]
    there = moving.of(SAMPLES, dtype=torch.float32, packed=True)
    assert sums(there) == sums(completions(start, SAMPLES))
    assert not there.logp_C.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(learned, policy.parameters(), strict=True)), "the policy is back"
    moving.after(1)
    assert sums(moving.of(SAMPLES, dtype=torch.float32, packed=True)) == sums(there)
    moving.after(2)
    between = copy.deepcopy(start)
    with torch.no_grad():
        for parameter, to in zip(between.parameters(), learned, strict=True):
            parameter.copy_(0.75 * parameter + 0.25 * to)
    expected = pytest.approx(sums(completions(between, SAMPLES)), abs=1e-4)
    assert sums(moving.of(SAMPLES, dtype=torch.float32, packed=True)) == expected


def test_a_hard_update_starts_the_margin_from_nothing(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """After each move policy and reference are one again: the next update begins at a margin of exactly 0."""
    out = tmp_path / "out"
    train(
        write_file(ROWS), model=str(tiny), out=out, lr=1e-3, batch_pairs=2, epochs=2, warmup=0.0, ref_sync_steps=3,
        ref_mixup_alpha=1.0,
    )  # fmt: skip
    margins = [json.loads(line)["margin"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [margin == 0 for margin in margins] == [step % 3 == 0 for step in range(8)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ref_mixup_alpha": 0.5}, "--ref-mixup-alpha does nothing without --ref-sync-steps"),
        ({"ref_sync_steps": 5, "loss": "simpo"}, "--ref-sync-steps does nothing in the loss simpo"),
        ({"ref_sync_steps": 5, "loss": "tdpo"}, "cannot move the reference of tdpo"),
    ],
)
def test_options_that_cannot_act(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        TrainConfig.build(options)
