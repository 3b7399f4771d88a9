"""One update: the division happens once, by the pairs of the update."""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rather.losses import LOSSES, PairLogps
from rather.model import Sample, pair_logps
from rather.training.step import MicroBatch, NonFinite, train_step

PAIRS = [
    (Sample((60 + i, 61, 62, *range(70, 72 + i)), 3), Sample((60 + i, 61, 62, *range(90, 94 - i % 3)), 3))
    for i in range(8)
]


def micro_batch(model: torch.nn.Module, pairs: list[tuple[Sample, Sample]]) -> MicroBatch:
    with torch.no_grad():
        logps = pair_logps(model, pairs)
    return MicroBatch(tuple(pairs), logps.chosen, logps.rejected, tuple(f"pair{i}" for i in range(len(pairs))))


def updated(tiny: Path, cuts: list[int], *, packed: bool = True, loss: str = "dpo") -> dict[str, torch.Tensor]:
    """Weights after two updates on the eight pairs, cut into micro-batches of these sizes."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    # ipo's slope at the start is 1/β = 10 times that of the others; the same step size in weights needs a tenth.
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001 if loss == "ipo" else 0.01)
    whole = micro_batch(model, PAIRS)
    batches, start = [], 0
    for size in cuts:
        inside = slice(start, start + size)
        batches.append(
            MicroBatch(whole.samples[inside], whole.ref_chosen[inside], whole.ref_rejected[inside], whole.ids[inside])
        )
        start += size
    for _ in range(2):
        stats = train_step(model, batches, LOSSES[loss], optimizer, max_grad_norm=1e9, reward_scale=0.1, packed=packed)
    assert math.isfinite(stats.loss)
    return {name: p.detach().clone() for name, p in model.named_parameters()}


@pytest.mark.parametrize("loss", ["dpo", "ipo", "sft"])
@pytest.mark.parametrize("cuts", [[5, 3], [1, 7], [2, 2, 2, 2]], ids=str)
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
    stats = train_step(model, [batch], partial(LOSSES["dpo"], beta=0.1), optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert stats.loss == pytest.approx(math.log(2), abs=1e-6)
    assert (stats.margin, stats.chosen_reward, stats.rejected_reward) == (0, 0, 0)
    assert stats.accuracy == 0.5
    assert stats.chosen_logp == pytest.approx(float(batch.ref_chosen.mean()), rel=1e-6)
    again = train_step(model, [batch], LOSSES["dpo"], optimizer, max_grad_norm=1.0, reward_scale=0.1)
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
        train_step(model, [micro_batch(model, PAIRS)], poisoned, optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert caught.value.ids == ("pair3",)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_a_non_finite_gradient_changes_nothing(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    before = copy.deepcopy(model.state_dict())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def steep(logps: PairLogps) -> torch.Tensor:
        return (logps.chosen - logps.chosen.detach()).abs().sqrt()  # value 0, slope infinite

    with pytest.raises(NonFinite, match="gradient"):
        train_step(model, [micro_batch(model, PAIRS)], steep, optimizer, max_grad_norm=1.0, reward_scale=0.1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
