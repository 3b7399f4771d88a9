"""What must not change, whatever the numbers: swaps, orders, limits, and that extremes stay finite."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rather.losses import FACTS, LOSSES, ListLogps, PairLogps
from rather.losses.numerics import exp_tangent, expm1_tangent, log1mexp
from tests.losses.made import NEEDS, full, gradients, input_of, lists, pairs, random_pairs, samples, take, without

ALL = sorted(FACTS)
PAIRED = sorted(name for name in FACTS if FACTS[name].input in ("pair", "score"))
WITH_LABEL = sorted(name for name in FACTS if "label" in FACTS[name].takes)
WITH_DIVERGENCE = ["dpo", "dpo_norm", "hinge", "ipo", "robust", "exo", "discopop"]
OTHER_DIVERGENCES: list[dict[str, Any]] = [
    {"f_divergence": "forward_kl"},
    {"f_divergence": "js"},
    {"f_divergence": "alpha"},
    {"f_divergence": "alpha", "alpha": -3.0},
    {"f_divergence": "alpha", "alpha": 4.0},
]
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ALL),
    *((name, divergence) for name in WITH_DIVERGENCE for divergence in OTHER_DIVERGENCES),
    ("dpo", {"label_smoothing": 0.4}),
    ("ipo", {"per_token": True}),
    ("ipo", {"per_token": True, "f_divergence": "forward_kl"}),
    ("robust", {"label_smoothing": 0.49}),
    ("robust", {"label_smoothing": 0.0}),
    ("exo", {"label_smoothing": 1e-9}),
    ("discopop", {"beta": 1.0, "tau": 3.0}),
    ("ld_dpo", {"alpha": 0.0}),
    ("tdpo", {"variant": "tdpo1"}),
    ("alphapo", {"alpha": 2.0}),
    ("alphapo", {"alpha": -2.0}),
    ("bradley_terry", {"center_rewards_coefficient": 0.1}),
    ("aot_unpaired", {"label_smoothing": 0.3}),
    ("kto", {"desirable_weight": 2.0}),
]

LOGP = st.floats(-1e4, 0, allow_nan=False)
FOUR = st.tuples(LOGP, LOGP, LOGP, LOGP)
TOKENS = st.tuples(st.integers(1, 99), st.integers(1, 99))


@st.composite
def some_pairs(draw: st.DrawFn, *, dtype: torch.dtype = torch.float64, longest: int = 99) -> PairLogps:
    rows = draw(st.lists(st.tuples(FOUR, TOKENS), min_size=1, max_size=6))
    logps = torch.tensor([row for row, _ in rows], dtype=dtype)
    return full(*logps.unbind(1), torch.tensor([row for _, row in rows]).clamp(max=longest))


def backward(values: Tensor, lp: Any) -> dict[str, Tensor]:
    """The gradients of the sum, each of the shape of its field."""
    values.sum().backward()
    return gradients(lp)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_extreme_margins_have_finite_value_and_gradient(name: str, options: dict[str, Any], dtype: torch.dtype):
    """Log-ratios of ±10,000 nats and 0, answers of one token."""
    corner = torch.cartesian_prod(*[torch.tensor([0.0, -1e4], dtype=dtype)] * 4)
    for tokens in (torch.ones(len(corner), 2, dtype=torch.long), torch.full((len(corner), 2), 7)):
        lp = input_of(name, full(*corner.unbind(1), tokens))
        values = LOSSES[name](lp, **options)
        assert torch.isfinite(values).all()
        slopes = backward(values, lp)
        assert slopes
        for slope in slopes.values():
            assert torch.isfinite(slope).all()


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@pytest.mark.parametrize("tokens", [(0, 0), (0, 3), (1, 0)], ids=str)
def test_an_answer_of_no_tokens_has_finite_value_and_gradient(
    name: str, options: dict[str, Any], tokens: tuple[int, int]
):
    """Cut to nothing: its log-probability is 0 under policy and reference alike."""
    sides = torch.tensor([[-3.0, -5.0], [-4.0, -2.0], [0.0, 0.0]])
    sides = sides * torch.tensor([bool(count) for count in tokens])
    chosen, rejected = sides.unbind(1)
    lp = input_of(name, full(chosen, rejected, chosen.flip(0), rejected.flip(0), torch.tensor([tokens] * 3)))
    values = LOSSES[name](lp, **options)
    assert torch.isfinite(values).all()
    assert all(torch.isfinite(slope).all() for slope in backward(values, lp).values())


@pytest.mark.parametrize(("name", "options"), VARIANTS)
@given(lp=some_pairs(dtype=torch.float32))
def test_any_margin_has_finite_value_and_gradient(name: str, options: dict[str, Any], lp: PairLogps):
    given_lp = input_of(name, take(lp, slice(None)))
    values = LOSSES[name](given_lp, **options)
    assert torch.isfinite(values).all()
    assert all(torch.isfinite(slope).all() for slope in backward(values, given_lp).values())


@pytest.mark.parametrize("name", WITH_DIVERGENCE[:2])
@pytest.mark.parametrize("divergence", OTHER_DIVERGENCES[:1] + OTHER_DIVERGENCES[2:])
def test_an_exponential_past_its_limit_still_pulls(name: str, divergence: dict[str, Any]):
    """TRL cuts the exponent, and with it the gradient of the very pairs that are worst."""
    lp = pairs(chosen=[-5000.0, 0.0], rejected=[0.0, -5000.0], ref_chosen=[0.0, -5000.0], ref_rejected=[-5000.0, 0.0])
    slopes = backward(LOSSES[name](lp, **divergence)[:1], lp)
    assert slopes["chosen"][0] < 0 or slopes["rejected"][0] > 0


@given(st.floats(-50, 19.9))
def test_tangents_are_the_exponential_below_their_limit(x: float):
    value = torch.tensor(x, dtype=torch.float64)
    torch.testing.assert_close(exp_tangent(value), value.exp())
    torch.testing.assert_close(expm1_tangent(value), value.expm1())


def test_tangents_go_on_with_the_same_slope():
    x = torch.tensor([20.0, 21.0, 1020.0], dtype=torch.float64, requires_grad=True)
    values = exp_tangent(x)
    e20 = 485165195.4097903
    torch.testing.assert_close(values, torch.tensor([e20, 2 * e20, 1001 * e20], dtype=torch.float64))
    (slope,) = torch.autograd.grad(values.sum(), x)
    torch.testing.assert_close(slope, torch.full_like(x, e20))


@given(st.floats(-700, -1e-5))
def test_log1mexp(x: float):
    value = torch.tensor(x, dtype=torch.float64)
    torch.testing.assert_close(log1mexp(value).expm1(), -value.exp(), rtol=1e-9, atol=1e-15)


class TestSwapped:
    @given(some_pairs())
    def test_negates_the_margin(self, lp: PairLogps):
        assert torch.equal(lp.swapped().log_ratio_margin(), -lp.log_ratio_margin())

    @given(some_pairs(), st.floats(0.01, 1.0))
    def test_dpo_differs_by_the_scaled_margin(self, lp: PairLogps, beta: float):
        # −log σ(−x) + log σ(x) = x
        difference = LOSSES["dpo"](lp.swapped(), beta=beta) - LOSSES["dpo"](lp, beta=beta)
        torch.testing.assert_close(difference, beta * lp.log_ratio_margin(), rtol=1e-9, atol=1e-9)

    @given(some_pairs())
    def test_twice_is_the_same(self, lp: PairLogps):
        lp = dataclasses.replace(lp, label=torch.full_like(lp.chosen, 0.25), margin=torch.full_like(lp.chosen, 2.0))
        for field in dataclasses.fields(PairLogps):
            assert torch.equal(getattr(lp.swapped().swapped(), field.name), getattr(lp, field.name))

    def test_exchanges_every_field(self):
        """By their names, so that a field that is added is not forgotten."""
        names = [field.name for field in dataclasses.fields(PairLogps)]
        lp = PairLogps(**{name: torch.tensor([0.125 * place]) for place, name in enumerate(names)})
        for name in names:
            value = getattr(lp.swapped(), name)
            if name == "label":
                assert torch.equal(value, 1 - getattr(lp, name))
            elif name == "margin":
                assert torch.equal(value, -getattr(lp, name))
            else:
                exchanged = {"chosen": "rejected", "rejected": "chosen"}
                other = "_".join(exchanged.get(word, word) for word in name.split("_"))
                assert value is getattr(lp, other)

    @pytest.mark.parametrize("name", WITH_LABEL)
    @given(lp=some_pairs())
    def test_a_label_of_a_half_is_symmetric(self, name: str, lp: PairLogps):
        lp = dataclasses.replace(lp, label=torch.full_like(lp.chosen, 0.5))
        torch.testing.assert_close(LOSSES[name](lp.swapped()), LOSSES[name](lp), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("name", WITH_LABEL)
    @given(lp=some_pairs(), label=st.floats(0, 1), margin=st.floats(-5, 5))
    def test_a_label_and_a_margin_say_the_same_either_way(self, name: str, lp: PairLogps, label: float, margin: float):
        lp = dataclasses.replace(lp, label=torch.full_like(lp.chosen, label), margin=torch.full_like(lp.chosen, margin))
        torch.testing.assert_close(LOSSES[name](lp.swapped()), LOSSES[name](lp), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("name", WITH_LABEL)
    def test_a_label_of_1_is_no_label(self, name: str):
        lp = random_pairs(5)
        labelled = dataclasses.replace(lp, label=torch.ones_like(lp.chosen))
        torch.testing.assert_close(LOSSES[name](labelled), LOSSES[name](lp), rtol=1e-12, atol=0)


# Where policy and reference agree: down is −1, up is +1, of the loss's slope
STEP_0 = dict.fromkeys(PAIRED, (-1, 1)) | {
    "sft": (-1, 0),
    # at this point the two terms that move chosen cancel; elsewhere it sinks (test_values)
    "apo_down": (0, 1),
    # its slope is reversed around 0, where its two forms are blended
    "discopop": (1, -1),
}


@pytest.mark.parametrize("name", PAIRED)
def test_the_first_step_raises_chosen_and_lowers_rejected(name: str):
    lp = random_pairs(4)
    assert lp.ref_chosen is not None
    assert lp.ref_rejected is not None
    assert lp.chosen_tokens is not None
    same = full(
        lp.ref_chosen,
        lp.ref_rejected,
        lp.ref_chosen,
        lp.ref_rejected,
        torch.stack([lp.chosen_tokens, lp.rejected_tokens], 1),  # type: ignore[list-item]
    )
    same = without(same, "baseline")
    slopes = backward(LOSSES[name](same), same)
    # ld_dpo sees chosen twice: as a whole and its common part
    for side, sign in zip(("chosen", "rejected"), STEP_0[name], strict=True):
        slope = slopes.get(side, torch.zeros(4)) + slopes.get(f"{side}_common", torch.zeros(4))
        assert torch.equal(slope.sign(), torch.full_like(slope, sign))


# Monotone: no target level, so no margin is enough
MONOTONE = [
    "dpo",
    "dpo_norm",
    "hinge",
    "dpop",
    "ld_dpo",
    "tdpo",
    "wpo",
    "bco",
    "apo_zero",
    "aot",
    "beta_dpo",
    "simpo",
    "alphapo",
    "orpo",
    "cpo",
    "logp_gap",
    "logp_ratio",
    "robust",
]


@pytest.mark.parametrize("name", MONOTONE)
@given(lp=some_pairs())
def test_chosen_is_never_lowered_and_rejected_never_raised(name: str, lp: PairLogps):
    lp = take(lp, slice(None))
    slopes = backward(LOSSES[name](lp), lp)
    # rounding of a difference of terms that have faded
    assert (slopes["chosen"] <= 1e-12).all()
    assert (slopes["rejected"] >= -1e-12).all()


@pytest.mark.parametrize("name", ALL)
@given(lp=some_pairs(), data=st.data())
def test_every_pair_has_its_own_value_in_any_order(name: str, lp: PairLogps, data: st.DataObject):
    logps = input_of(name, lp)
    values = LOSSES[name](logps)
    order = torch.tensor(data.draw(st.permutations(range(len(values)))))
    permuted, expected = LOSSES[name](take(logps, order)), values[order]
    if FACTS[name].batch:  # which of two pairs of one rank has which value is open
        permuted, expected = permuted.sort().values, expected.sort().values
    torch.testing.assert_close(permuted, expected, rtol=1e-9, atol=1e-12)


SAME: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("robust", {"label_smoothing": 0.0}, "dpo", {}),
    ("ld_dpo", {"alpha": 1.0}, "dpo", {}),
    ("tdpo", {"alpha": 0.0}, "dpo", {}),
    ("dpop", {"dpop_lambda": 0.0}, "dpo", {}),
    ("beta_dpo", {"alpha": 0.0}, "dpo", {}),
    ("dpo", {"f_divergence": "alpha", "alpha": 1.0}, "dpo", {}),
    ("dpo", {"f_divergence": "alpha", "alpha": 0.0}, "dpo", {"f_divergence": "forward_kl"}),
    ("alphapo", {"alpha": 0.0}, "simpo", {}),
    ("cpo", {"alpha": 0.0, "beta": 1.0}, "logp_ratio", {}),
    ("logp_ratio", {}, "bradley_terry", {}),
]


@pytest.mark.parametrize(("name", "options", "other", "other_options"), SAME)
@given(lp=some_pairs())
def test_limits_that_are_another_loss(
    name: str, options: dict[str, Any], other: str, other_options: dict[str, Any], lp: PairLogps
):
    ours, theirs = LOSSES[name](lp, **options), LOSSES[other](lp, **other_options)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_ld_dpo_that_discounts_nothing_is_exactly_dpo():
    lp = random_pairs(20, dtype=torch.float32)
    assert torch.equal(LOSSES["ld_dpo"](lp, alpha=1.0), LOSSES["dpo"](lp))


def test_divergences_near_their_limits_meet_them():
    lp = random_pairs(5)
    near = LOSSES["dpo"](lp, f_divergence="alpha", alpha=1.00001)
    torch.testing.assert_close(near, LOSSES["dpo"](lp), rtol=1e-3, atol=1e-3)
    near = LOSSES["alphapo"](lp, alpha=1e-5)
    torch.testing.assert_close(near, LOSSES["simpo"](lp), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", sorted(name for name in FACTS if "alignment" in FACTS[name].needs))
def test_on_policy_answers_weigh_1(name: str):
    lp = random_pairs(5)
    zero = torch.zeros_like(lp.chosen)
    lp = dataclasses.replace(lp, chosen_alignment=zero, rejected_alignment=zero)
    assert torch.equal(LOSSES[name](lp), LOSSES["dpo"](lp))


@given(lp=some_pairs(), epsilon=st.floats(0, 0.45))
def test_robust_is_dpo_on_average_over_flips(lp: PairLogps, epsilon: float):
    kept, flipped = (LOSSES["robust"](way, label_smoothing=epsilon) for way in (lp, lp.swapped()))
    expected = (1 - epsilon) * kept + epsilon * flipped
    torch.testing.assert_close(expected, LOSSES["dpo"](lp), rtol=1e-9, atol=1e-8)


@given(lp=some_pairs())
def test_unpaired_and_paired_apo_are_one(lp: PairLogps):
    chosen, rejected = LOSSES["apo_zero_unpaired"](samples(lp)).chunk(2)
    torch.testing.assert_close(chosen + rejected, LOSSES["apo_zero"](lp))
    at_0 = dataclasses.replace(samples(lp), baseline=torch.tensor(0.0, dtype=torch.float64))
    torch.testing.assert_close(LOSSES["kto"](at_0), LOSSES["apo_zero_unpaired"](at_0))


class TestAotUnpaired:
    @given(lp=some_pairs())
    def test_pulls_good_ones_up_and_bad_ones_down(self, lp: PairLogps):
        both = samples(lp)
        slope = backward(LOSSES["aot_unpaired"](both), both)["policy"]
        assert (slope[both.desirable] <= 1e-12).all()
        assert (slope[~both.desirable] >= -1e-12).all()

    @given(lp=some_pairs(), good=st.integers(1, 6), times=st.integers(2, 3))
    def test_an_answer_told_twice_is_two_answers(self, lp: PairLogps, good: int, times: int):
        """The distributions stay as they are: so does the mean over the good, and over the bad ones, however many each are."""
        both = samples(lp)
        rows = torch.arange(len(both.policy))
        rows = rows[(rows < good) | ~both.desirable]
        few, many = take(both, rows), take(both, torch.cat([rows, rows[~both.desirable[rows]]]))
        means = [LOSSES["aot_unpaired"](part)[part.desirable].mean() for part in (few, take(both, rows.repeat(times)))]
        torch.testing.assert_close(*means, rtol=1e-9, atol=1e-9)
        values = LOSSES["aot_unpaired"](many)
        torch.testing.assert_close(values[many.desirable].mean(), values[~many.desirable].mean(), rtol=1e-9, atol=1e-9)

    @pytest.mark.parametrize("desirable", [True, False])
    def test_with_nothing_to_compare_it_teaches_nothing(self, desirable: bool):
        both = samples(random_pairs(4))
        alone = take(both, both.desirable == desirable)
        values = LOSSES["aot_unpaired"](alone)
        assert values.tolist() == [0.0] * 4
        assert (backward(values, alone)["policy"] == 0).all()


@given(lp=some_pairs(), beta=st.floats(0.01, 2.0))
def test_lists_of_two_are_dpo(lp: PairLogps, beta: float):
    two = take(lists(lp), slice(None))
    two = ListLogps(policy=two.policy[:, :2], ref=two.ref[:, :2], present=two.present[:, :2])
    ours, theirs = LOSSES["plackett_luce"](two, beta=beta), LOSSES["dpo"](lp, beta=beta)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


class TestLists:
    def test_what_stands_in_the_padding_changes_nothing(self):
        lp = lists(random_pairs(6))
        assert lp.ref is not None
        noise = torch.where(lp.present, 0.0, 1e4)
        other = ListLogps(policy=(lp.policy + noise).detach().requires_grad_(), ref=lp.ref, present=lp.present)
        assert torch.equal(LOSSES["plackett_luce"](lp), LOSSES["plackett_luce"](other))
        slopes = backward(LOSSES["plackett_luce"](other), other)["policy"]
        assert (slopes[~lp.present] == 0).all()
        assert (slopes[lp.present] != 0).all()

    def test_a_list_of_one_is_worth_nothing(self):
        lp = lists(random_pairs(4))
        only = dataclasses.replace(lp, present=torch.tensor([[True, False, False]]).repeat(4, 1))
        values = LOSSES["plackett_luce"](only)
        assert values.tolist() == [0.0] * 4
        assert (backward(values, only)["policy"] == 0).all()

    def test_the_best_is_raised_and_the_last_lowered(self):
        lp = lists(random_pairs(6))
        slopes = backward(LOSSES["plackett_luce"](lp), lp)["policy"]
        last = lp.present.sum(1) - 1
        assert (slopes[:, 0] < 0).all()
        assert (slopes[torch.arange(6), last] > 0).all()
        torch.testing.assert_close(slopes.sum(1), torch.zeros(6, dtype=torch.float64))


def test_no_gradient_passes_through_a_weight_or_a_batch_level():
    lp = random_pairs(4)
    assert lp.chosen_alignment is not None
    alignment = lp.chosen_alignment.clone().requires_grad_()
    LOSSES["wpo"](dataclasses.replace(lp, chosen_alignment=alignment)).sum().backward()
    assert alignment.grad is None
    # β' taken as a number, the slope in the margin is −β'·σ(−β'·h)
    lp = take(lp, slice(None))
    h = lp.log_ratio_margin().detach()
    assert lp.baseline is not None
    beta = (0.1 * (1 + 0.6 * (h.mean() - lp.baseline))).clamp(min=1e-3)
    slopes = backward(LOSSES["beta_dpo"](lp), lp)
    torch.testing.assert_close(slopes["chosen"], -beta * torch.sigmoid(-beta * h))


def test_needs_names_fields_that_exist():
    fields = {field.name for field in dataclasses.fields(PairLogps)}
    assert {name for names in NEEDS.values() for name in names} <= fields
