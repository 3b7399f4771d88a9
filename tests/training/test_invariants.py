"""What must not change an update, whatever the pairs: how it is cut, packed, ordered and referenced; and what a swap turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from rather.model import Sample, completions
from rather.training.config import TrainConfig
from rather.training.moving import MovingReference
from rather.training.objective import objective_of
from rather.training.said import UNSAID, Said
from rather.training.step import MicroBatch, StepStats, train_step

Drawn = list[tuple[list[int], ...]]
Weights = dict[str, torch.Tensor]

TOKENS = st.integers(0, 200)
ANSWER = st.lists(TOKENS, min_size=1, max_size=6)
PAIRS = st.lists(st.tuples(st.lists(TOKENS, min_size=1, max_size=5), ANSWER, ANSWER), min_size=2, max_size=5)
LOSSES = ["dpo", "ipo", "dpo_norm:0.5,sft:0.5", "aot"]

few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def samples(drawn: Drawn) -> list[tuple[Sample, Sample]]:
    return [(Sample((*p, *c), len(p)), Sample((*p, *r), len(p))) for p, c, r in drawn]


def swapped(drawn: Drawn) -> Drawn:
    return [(prompt, rejected, chosen) for prompt, chosen, rejected in drawn]


def updated(
    tiny: Path,
    drawn: Drawn,
    cuts: list[int] | None = None,
    *,
    loss: str = "dpo",
    packed: bool = True,
    said: Said = UNSAID,
    moved: bool = True,
    live: bool = False,
) -> tuple[Weights, StepStats]:
    """The change of the weights by one update of SGD with rate 1, which is the gradient, and the figures of the update.

    cuts: pairs of each micro-batch. moved: the policy has left its reference before. live: the reference is not kept, but
    asked in the policy's place.
    """
    policy = AutoModelForCausalLM.from_pretrained(tiny)
    reference = AutoModelForCausalLM.from_pretrained(tiny)
    live_reference = MovingReference(policy, mixup=1.0, every=10**9)
    if moved:
        make = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=make))
    before = {name: p.detach().clone() for name, p in policy.named_parameters()}
    pairs, batches, start = samples(drawn), [], 0
    for size in cuts or [len(pairs)]:
        part = tuple(pairs[start : start + size])
        asked = [sample for pair in part for sample in pair]
        with torch.no_grad():
            kept = completions(reference, asked)
        found = live_reference.of(asked, dtype=torch.float32, packed=packed) if live else kept
        rows = range(start, start + size)
        batches.append(MicroBatch(part, found, tuple(f"pair{row}" for row in rows), said.of(rows)))
        start += size
    stats = train_step(
        policy,
        batches,
        objective_of(TrainConfig(loss=loss)),
        torch.optim.SGD(policy.parameters(), lr=1.0),
        max_grad_norm=1e9,
        reward_scale=0.1,
        packed=packed,
    )
    return {name: p.detach() - before[name] for name, p in policy.named_parameters()}, stats


def assert_same(one: tuple[Weights, StepStats], other: tuple[Weights, StepStats], *, sign: int = 1) -> None:
    """Gradients and figures; the former by the size of the largest, since they are sums of many that cancel."""
    for name, change in one[0].items():
        largest = max(float(change.abs().max()), 1e-3)
        assert (change - sign * other[0][name]).abs().max() < 2e-3 * largest, name
    if sign == 1:
        assert one[1].row() == pytest.approx(other[1].row(), rel=2e-3, abs=2e-5)


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(drawn=PAIRS, data=st.data())
def test_packed_is_plain_is_one_at_a_time_is_any_split(
    tiny: Path, loss: str, drawn: Drawn, data: st.DataObject
) -> None:
    whole = updated(tiny, drawn, loss=loss)
    first = data.draw(st.integers(1, len(drawn) - 1))
    assert_same(whole, updated(tiny, drawn, loss=loss, packed=False))
    assert_same(whole, updated(tiny, drawn, [1] * len(drawn), loss=loss))
    assert_same(whole, updated(tiny, drawn, [first, len(drawn) - first], loss=loss))


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(drawn=PAIRS, data=st.data())
def test_the_order_of_the_pairs(tiny: Path, loss: str, drawn: Drawn, data: st.DataObject) -> None:
    assert_same(updated(tiny, drawn, loss=loss), updated(tiny, data.draw(st.permutations(drawn)), loss=loss))


@pytest.mark.parametrize("loss", LOSSES)
@few
@given(drawn=PAIRS)
def test_a_kept_reference_is_a_live_one(tiny: Path, loss: str, drawn: Drawn) -> None:
    assert_same(updated(tiny, drawn, loss=loss), updated(tiny, drawn, loss=loss, live=True))


@few
@given(drawn=PAIRS)
def test_a_swap_negates_the_margin_and_the_first_step(tiny: Path, drawn: Drawn) -> None:
    one, other = updated(tiny, drawn), updated(tiny, swapped(drawn))
    assert one[1].margin is not None
    assert one[1].margin == pytest.approx(-other[1].margin, rel=1e-3, abs=1e-6)  # pyright: ignore[reportOperatorIssue]
    assert one[1].accuracy == pytest.approx(1 - other[1].accuracy)
    assert one[1].chosen_logp == pytest.approx(other[1].rejected_logp, rel=1e-4)
    # Where policy and reference agree the slope of −log σ is the same on both sides.
    assert_same(updated(tiny, drawn, moved=False), updated(tiny, swapped(drawn), moved=False), sign=-1)


@few
@given(drawn=PAIRS, label=st.floats(0, 1))
def test_a_label_says_the_same_of_the_swapped_pair(tiny: Path, drawn: Drawn, label: float) -> None:
    """And ½ says nothing of which is which: it is the case label = 1 − label."""
    labels = torch.full((len(drawn),), label)
    options: dict[str, Any] = {"loss": "dpo"}
    one = updated(tiny, drawn, said=Said(label=labels), **options)
    other = updated(tiny, swapped(drawn), said=Said(label=1 - labels), **options)
    assert_same((one[0], one[1]), (other[0], one[1]))
    assert one[1].loss == pytest.approx(other[1].loss, rel=1e-4)
