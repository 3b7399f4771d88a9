"""The losses against numbers worked by hand. ln 2 = 0.693147; log σ(x) = −ln(1 + e^−x)."""

from __future__ import annotations

import dataclasses
import inspect
import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from rather.losses import LOSSES, SCORE_LOSSES, UNBOUNDED, Loss, PairLogps, loss_options
from rather.losses.contrastive import dpo, ipo
from rather.losses.reference_free import logp_gap, logp_ratio, sft
from rather.losses.reward import bradley_terry

LN_2 = 0.6931471805599453
WITH_REFERENCE = ["dpo", "ipo"]
ALL_LOSSES = sorted(LOSSES)


def logps(
    chosen: list[float],
    rejected: list[float],
    ref_chosen: list[float] | None = None,
    ref_rejected: list[float] | None = None,
    *,
    tokens: tuple[list[int], list[int]] | None = None,
) -> PairLogps:
    """PairLogps in fp64, the policy's with gradient; a reference that is not given is 0."""
    zero = [0.0] * len(chosen)
    chosen_tokens, rejected_tokens = tokens or ([1] * len(chosen), [1] * len(chosen))
    return PairLogps(
        chosen=torch.tensor(chosen, dtype=torch.float64, requires_grad=True),
        rejected=torch.tensor(rejected, dtype=torch.float64, requires_grad=True),
        ref_chosen=torch.tensor(ref_chosen or zero, dtype=torch.float64),
        ref_rejected=torch.tensor(ref_rejected or zero, dtype=torch.float64),
        chosen_tokens=torch.tensor(chosen_tokens),
        rejected_tokens=torch.tensor(rejected_tokens),
    )


# h = (−10 − −12) − (−11 − −11.5) = 2 − 0.5 = 1.5
EXAMPLE = {"chosen": [-10.0], "rejected": [-12.0], "ref_chosen": [-11.0], "ref_rejected": [-11.5]}
TOKENS = ([4], [8])


@pytest.mark.parametrize(
    ("loss", "options", "value"),
    [
        # −log σ(0.1 · 1.5) = ln(1 + e^−0.15) = ln 1.8607080 = 0.6209570
        (dpo, {}, 0.6209570),
        # −log σ(2 · 1.5) = ln(1 + e^−3) = ln 1.0497871 = 0.0485874
        (dpo, {"beta": 2.0}, 0.0485874),
        # (1.5 − 1/0.2)² = (−3.5)² = 12.25
        (ipo, {}, 12.25),
        # (1.5 − 1/2)² = 1
        (ipo, {"beta": 1.0}, 1.0),
        # means over 4 and 8 tokens: (−2.5 − −1.5) − (−2.75 − −1.4375) = −1 + 1.3125 = 0.3125
        # (0.3125 − 0.5)² = 0.03515625
        (ipo, {"beta": 1.0, "per_token": True}, 0.03515625),
        # 10 / 4
        (sft, {}, 2.5),
        # 10 − 12
        (logp_gap, {}, -2.0),
        # −log σ(−10 + 12) = ln(1 + e^−2) = ln 1.1353353 = 0.1269280
        (logp_ratio, {}, 0.1269280),
        (bradley_terry, {}, 0.1269280),
    ],
)
def test_value_by_hand(loss: Loss, options: dict[str, object], value: float):
    assert loss(logps(**EXAMPLE, tokens=TOKENS), **options).tolist() == pytest.approx([value], abs=1e-7)


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        # d/dy_c −log σ(β·h) = −β·σ(−β·h) = −0.1 · 1/(1 + e^0.15) = −0.1 · 0.4625702
        (dpo, -0.04625702),
        # 2(h − 5) = 2 · −3.5
        (ipo, -7.0),
        # −1/4
        (sft, -0.25),
        (logp_gap, -1.0),
        # −σ(−2) = −1/(1 + e²) = −0.1192029
        (logp_ratio, -0.1192029),
        (bradley_terry, -0.1192029),
    ],
)
def test_slope_by_hand(loss: Loss, slope: float):
    """The gradient raises chosen by this and, but for sft, lowers rejected by as much."""
    lp = logps(**EXAMPLE, tokens=TOKENS)
    loss(lp).sum().backward()
    assert lp.chosen.grad is not None
    assert lp.chosen.grad.item() == pytest.approx(slope, abs=1e-7)
    lowered = 0.0 if lp.rejected.grad is None else lp.rejected.grad.item()
    assert lowered == pytest.approx(0.0 if loss is sft else -slope, abs=1e-7)


@pytest.mark.parametrize("beta", [0.01, 0.1, 5.0])
def test_dpo_at_zero_margin_is_ln_2(beta: float):
    lp = logps([-5.0, -700.0], [-9.0, -1.0], [-5.0, -700.0], [-9.0, -1.0])
    assert dpo(lp, beta=beta).tolist() == pytest.approx([LN_2, LN_2], abs=1e-12)


# At a margin h of ±10,000, in exact arithmetic.
EXTREMES = {
    # β·h = ±1000: −log σ(1000) = e^−1000 = 0 in fp64 and fp32; −log σ(−1000) = 1000
    "dpo": (0.0, 1000.0),
    # (10000 − 5)², (−10000 − 5)²
    "ipo": (99_900_025.0, 100_100_025.0),
    # chosen is 0 on the left, −10000 on the right, one token
    "sft": (0.0, 10_000.0),
    "logp_gap": (-10_000.0, 10_000.0),
    "logp_ratio": (0.0, 10_000.0),
    "bradley_terry": (0.0, 10_000.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ALL_LOSSES)
def test_extreme_margins_have_finite_value_and_gradient(name: str, dtype: torch.dtype):
    lp = logps([0.0, -1e4], [-1e4, 0.0])
    chosen = lp.chosen.detach().to(dtype).requires_grad_()
    rejected = lp.rejected.detach().to(dtype).requires_grad_()
    values = LOSSES[name](dataclasses.replace(lp, chosen=chosen, rejected=rejected))
    assert values.tolist() == pytest.approx(EXTREMES[name], rel=1e-6)
    values.sum().backward()
    assert chosen.grad is not None
    assert torch.isfinite(chosen.grad).all()
    assert rejected.grad is None or torch.isfinite(rejected.grad).all()


def test_dpo_still_pulls_at_a_very_wrong_margin():
    # −β·σ(β·10⁴) = −0.1: no saturation on the side that must be mended
    lp = logps([-1e4], [0.0])
    dpo(lp).sum().backward()
    assert lp.chosen.grad is not None
    assert lp.chosen.grad.item() == pytest.approx(-0.1, abs=1e-12)


def test_sft_of_no_tokens_is_not_divided_by_zero():
    assert sft(logps([-3.0], [0.0], tokens=([0], [0]))).tolist() == [3.0]


LOGP = st.floats(-1e4, 0, allow_nan=False)
FOUR = st.tuples(LOGP, LOGP, LOGP, LOGP)


@st.composite
def some_pairs(draw: st.DrawFn) -> PairLogps:
    rows = draw(st.lists(FOUR, min_size=1, max_size=6))
    tokens = draw(st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=len(rows), max_size=len(rows)))
    chosen, rejected, ref_chosen, ref_rejected = (list(column) for column in zip(*rows, strict=True))
    counts = [list(column) for column in zip(*tokens, strict=True)]
    return logps(chosen, rejected, ref_chosen, ref_rejected, tokens=(counts[0], counts[1]))


@given(some_pairs())
def test_swapping_negates_the_margin(lp: PairLogps):
    assert torch.equal(lp.swapped().log_ratio_margin(), -lp.log_ratio_margin())


@given(some_pairs(), st.floats(0.01, 1.0))
def test_dpo_of_a_pair_and_its_swap_differ_by_the_scaled_margin(lp: PairLogps, beta: float):
    # −log σ(−x) + log σ(x) = x
    difference = dpo(lp.swapped(), beta=beta) - dpo(lp, beta=beta)
    torch.testing.assert_close(difference, beta * lp.log_ratio_margin(), rtol=1e-9, atol=1e-9)


@given(some_pairs())
def test_swapped_twice_is_the_same(lp: PairLogps):
    for field in dataclasses.fields(PairLogps):
        assert getattr(lp.swapped().swapped(), field.name) is getattr(lp, field.name)


def test_swapped_exchanges_every_field():
    lp = logps([1.0], [2.0], [3.0], [4.0], tokens=([5], [6])).swapped()
    values = [getattr(lp, field.name).item() for field in dataclasses.fields(PairLogps)]
    assert values == [2.0, 1.0, 4.0, 3.0, 6, 5]


@pytest.mark.parametrize("name", ALL_LOSSES)
@given(lp=some_pairs(), data=st.data())
def test_every_pair_has_its_own_value_in_any_order(name: str, lp: PairLogps, data: st.DataObject):
    order = torch.tensor(data.draw(st.permutations(range(len(lp.chosen)))))
    values = LOSSES[name](lp)
    assert values.shape == lp.chosen.shape
    fields = {field.name: getattr(lp, field.name) for field in dataclasses.fields(lp)}
    permuted = PairLogps(**{key: None if value is None else value[order] for key, value in fields.items()})
    torch.testing.assert_close(LOSSES[name](permuted), values[order], rtol=1e-12, atol=0)


def test_pair_logps_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        logps([0.0], [0.0]).chosen = torch.zeros(1)  # type: ignore[misc]


def without(lp: PairLogps, *names: str) -> PairLogps:
    return dataclasses.replace(lp, **dict.fromkeys(names))


@pytest.mark.parametrize("missing", ["ref_chosen", "ref_rejected"])
@pytest.mark.parametrize("name", WITH_REFERENCE)
def test_a_missing_reference_is_a_clear_error(name: str, missing: str):
    with pytest.raises(ValueError, match="ref_chosen and ref_rejected must be given"):
        LOSSES[name](without(logps(**EXAMPLE), missing))


@pytest.mark.parametrize(
    ("loss", "options", "missing"),
    [
        (sft, {}, "chosen_tokens"),
        (ipo, {"per_token": True}, "chosen_tokens"),
        (ipo, {"per_token": True}, "rejected_tokens"),
    ],
)
def test_missing_token_counts_are_a_clear_error(loss: Loss, options: dict[str, object], missing: str):
    with pytest.raises(ValueError, match=f"{missing} must be given"):
        loss(without(logps(**EXAMPLE), missing), **options)


@pytest.mark.parametrize("name", sorted(set(LOSSES) - set(WITH_REFERENCE)))
def test_the_others_need_no_reference(name: str):
    lp = logps(**EXAMPLE)
    assert torch.equal(LOSSES[name](without(lp, "ref_chosen", "ref_rejected")), LOSSES[name](lp))


class TestContract:
    """What every entry of LOSSES promises."""

    @pytest.mark.parametrize("name", ALL_LOSSES)
    def test_one_differentiable_value_a_pair(self, name: str):
        values = LOSSES[name](logps([-1.0, -2.0, -3.0], [-3.0, -2.0, -1.0]))
        assert isinstance(values, Tensor)
        assert values.shape == (3,)
        assert values.requires_grad

    @pytest.mark.parametrize("name", ALL_LOSSES)
    def test_is_documented_and_found_under_its_own_name(self, name: str):
        assert "[P]" in (inspect.getdoc(LOSSES[name]) or "")
        assert LOSSES[name].__name__ == name

    @pytest.mark.parametrize("name", ALL_LOSSES)
    def test_options_are_keywords_with_defaults(self, name: str):
        options = loss_options(name)
        assert inspect.Parameter.empty not in options.values()
        assert len(options) == len(inspect.signature(LOSSES[name]).parameters) - 1
        lp = logps(**EXAMPLE)
        assert torch.equal(LOSSES[name](lp, **options), LOSSES[name](lp))

    def test_the_options_there_are(self):
        assert {name: loss_options(name) for name in LOSSES} == {
            "dpo": {"beta": 0.1},
            "ipo": {"beta": 0.1, "per_token": False},
            "sft": {},
            "logp_gap": {},
            "logp_ratio": {},
            "bradley_terry": {},
        }

    @pytest.mark.parametrize("name", ALL_LOSSES)
    def test_unbounded_says_which_have_no_lower_bound(self, name: str):
        value = LOSSES[name](logps([0.0], [-1e9])).item()
        assert (value < -1e6) is (name in UNBOUNDED)

    def test_the_trainer_offers_every_loss_of_a_policy(self):
        config = pytest.importorskip("rather.training.config")
        assert set(get_args(config.TrainConfig.model_fields["loss"].annotation)) == set(LOSSES) - SCORE_LOSSES
        assert set(config.BETA_LOSSES) == {name for name in LOSSES if "beta" in loss_options(name)}


def test_ln_2_is_what_it_says():
    assert math.log(2) == LN_2
