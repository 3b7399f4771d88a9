"""One update: the division happens once, by the pairs of the update."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from rather.losses import FACTS, LOSSES, Loss, PairLogps
from rather.model import Sample, completions
from rather.training.baseline import Baseline
from rather.training.memory import OutOfMemory
from rather.training.objective import Objective, Term
from rather.training.step import MicroBatch, NonFinite, train_step

PAIRS = [
    (Sample((60 + i, 61, 62, *range(70, 72 + i)), 3), Sample((60 + i, 61, 62, *range(90, 94 - i % 3)), 3))
    for i in range(8)
]


def one(loss: Loss | str, **options: Any) -> Objective:
    """An objective of one loss; a function stands under dpo's name and so under its facts."""
    name, function = (loss, LOSSES[loss]) if isinstance(loss, str) else ("dpo", loss)
    return Objective((Term(name, 1.0, partial(function, **options)),))


def micro_batch(model: torch.nn.Module, pairs: list[tuple[Sample, Sample]], first: int = 0) -> MicroBatch:
    with torch.no_grad():
        found = completions(model, [sample for pair in pairs for sample in pair])
    return MicroBatch(tuple(pairs), found, tuple(f"pair{first + i}" for i in range(len(pairs))))


# Steeper than the others at the start: the same step size in weights needs a smaller rate.
STEEP = {
    "ipo": 0.1,
    "sppo": 0.1,
    "dpo_norm": 0.3,
    "simpo": 0.3,
    "alphapo": 0.3,
    "discopop": 0.3,
    "cal_dpo": 0.01,
    "orpo": 0.3,
}


def updated(tiny: Path, cuts: list[int], *, packed: bool = True, loss: str = "dpo") -> dict[str, torch.Tensor]:
    """Weights after two updates on the eight pairs, cut into micro-batches of these sizes."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01 * STEEP.get(loss, 1.0))
    reference_model = copy.deepcopy(model)
    batches, start = [], 0
    for size in cuts:
        batches.append(micro_batch(model, PAIRS[start : start + size], first=start))
        start += size
    objective = one(loss)
    baseline = Baseline.of(objective)
    for _ in range(2):
        stats = train_step(
            model, batches, objective, optimizer, max_grad_norm=1e9, reward_scale=0.1, packed=packed,
            reference_model=reference_model, baseline=baseline,
        )  # fmt: skip
    assert math.isfinite(stats.loss)
    return {name: p.detach().clone() for name, p in model.named_parameters()}


PAIRWISE = [name for name, facts in FACTS.items() if facts.input == "pair"]


@pytest.mark.parametrize("loss", PAIRWISE)
@pytest.mark.parametrize("cuts", [[5, 3], [1, 7]], ids=str)
def test_any_micro_batch_split_gives_the_same_update(tiny: Path, cuts: list[int], loss: str) -> None:
    whole, split = updated(tiny, [8], loss=loss), updated(tiny, cuts, loss=loss)
    assert all((whole[name] - split[name]).abs().max() < 1e-6 for name in whole)


def test_the_plain_path_gives_the_same_update(tiny: Path) -> None:
    packed, plain = updated(tiny, [8]), updated(tiny, [8], packed=False)
    assert all((packed[name] - plain[name]).abs().max() < 1e-6 for name in packed)


def test_the_first_loss_is_ln_2_and_the_metrics_start_at_zero(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    batch = micro_batch(model, PAIRS)
    stats = train_step(model, [batch], one("dpo", beta=0.1), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert stats.loss == pytest.approx(math.log(2), abs=1e-6)
    assert (stats.margin, stats.chosen_reward, stats.rejected_reward) == (0, 0, 0)
    assert stats.accuracy == 0.5
    assert stats.chosen_logp == pytest.approx(float(batch.reference.sums()[::2].mean()), rel=1e-6)
    again = train_step(model, [batch], one("dpo"), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert again.loss < stats.loss
    assert again.margin > 0


def test_a_non_finite_loss_names_its_pairs_and_changes_nothing(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def poisoned(logps: PairLogps) -> torch.Tensor:
        loss = LOSSES["dpo"](logps)
        return torch.where(torch.arange(len(loss)) == 3, torch.nan, loss)

    with pytest.raises(NonFinite) as caught:
        train_step(model, [micro_batch(model, PAIRS)], one(poisoned), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert caught.value.ids == ("pair3",)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_non_finite_gradient_changes_nothing(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def steep(logps: PairLogps) -> torch.Tensor:
        return (logps.chosen - logps.chosen.detach()).abs().sqrt()  # value 0, slope infinite

    with pytest.raises(NonFinite, match="gradient"):
        train_step(model, [micro_batch(model, PAIRS)], one(steep), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_lack_of_memory_changes_nothing_and_is_told_from_other_errors(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def failing(error: Exception) -> Objective:
        def fail(logps: PairLogps) -> torch.Tensor:
            logps.chosen.sum().backward()
            raise error

        return one(fail)

    batch = micro_batch(model, PAIRS)
    for error in (torch.OutOfMemoryError("CUDA"), RuntimeError("DefaultCPUAllocator: not enough memory: you tried")):
        with pytest.raises(OutOfMemory):
            train_step(model, [batch], failing(error), optimizer, max_grad_norm=1.0, reward_scale=0.1)
        assert all(parameter.grad is None for parameter in model.parameters())
    with pytest.raises(RuntimeError, match="another"):
        train_step(model, [batch], failing(RuntimeError("another")), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
