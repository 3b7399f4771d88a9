"""Every loss against numbers worked by hand from its formula: −log σ(x) = ln(1 + e^−x), σ(x) = 1/(1 + e^−x)."""

from __future__ import annotations

from math import exp, log
from typing import Any

import pytest
import torch

from rather.losses import FACTS, LOSSES, ListLogps, PairLogps, SampleLogps
from tests.losses.made import column, pairs


def nls(x: float) -> float:
    """−log σ(x)."""
    return log(1 + exp(-x))


def sigma(x: float) -> float:
    return 1 / (1 + exp(-x))


# log-ratios r_c = −10 + 11 = 1 and r_r = −12 + 11.5 = −0.5, margin h = 1.5; means −10/4 = −2.5 and −12/8 = −1.5
EXAMPLE: dict[str, Any] = {
    "chosen": [-10.0],
    "rejected": [-12.0],
    "ref_chosen": [-11.0],
    "ref_rejected": [-11.5],
    "chosen_tokens": [4],
    "rejected_tokens": [8],
}
# the same but for chosen, which the policy has made less likely: r_c = −2, h = −1.5
SUNK = {**EXAMPLE, "chosen": [-13.0]}
# the first 4 of rejected's 8 tokens; chosen has no more than 4
COMMON = {
    "chosen_common": [-10.0],
    "rejected_common": [-7.0],
    "ref_chosen_common": [-11.0],
    "ref_rejected_common": [-6.0],
}
KL = {"chosen_kl": [0.8], "rejected_kl": [2.0]}

CASES: list[tuple[str, dict[str, Any], dict[str, Any], float]] = [
    # z = 0.1 · 1.5; ln(1 + e^−0.15) = ln 1.8607080 = 0.6209570
    ("dpo", {}, {}, 0.6209570),
    # ln(1 + e^−3) = ln 1.0497871
    ("dpo", {}, {"beta": 2.0}, 0.0485874),
    ("dpo", {}, {"label_smoothing": 0.1}, 0.9 * nls(0.15) + 0.1 * nls(-0.15)),
    ("dpo", {"label": [0.7]}, {}, 0.7 * nls(0.15) + 0.3 * nls(-0.15)),
    # q = 0.7 · 0.9 + 0.3 · 0.1 = 0.66
    ("dpo", {"label": [0.7]}, {"label_smoothing": 0.1}, 0.66 * nls(0.15) + 0.34 * nls(-0.15)),
    # ODPO: z = 1.5 − 0.5
    ("dpo", {"margin": [0.5]}, {"beta": 1.0}, nls(1.0)),
    ("dpo", {"margin": [0.5], "label": [0.7]}, {"beta": 1.0}, 0.7 * nls(1.0) + 0.3 * nls(-1.0)),
    # s_c − s_r = (1 − e^−1) − (1 − e^0.5)
    ("dpo", {}, {"beta": 1.0, "f_divergence": "forward_kl"}, nls(exp(0.5) - exp(-1))),
    # log σ(1) − log σ(−0.5)
    ("dpo", {}, {"beta": 1.0, "f_divergence": "js"}, nls(-nls(1) + nls(-0.5))),
    # α = ½: f' = (e^(−r/2) − 1)/(−½) = 2 − 2e^(−r/2)
    ("dpo", {}, {"beta": 1.0, "f_divergence": "alpha"}, nls(2 * exp(0.25) - 2 * exp(-0.5))),
    # α = 2: f' = e^r − 1
    ("dpo", {}, {"beta": 1.0, "f_divergence": "alpha", "alpha": 2.0}, nls(exp(1) - exp(-0.5))),
    # 1/4 − −0.5/8 = 0.3125
    ("dpo_norm", {}, {"beta": 2.0}, nls(0.625)),
    ("dpo_norm", {"label": [0.7], "margin": [0.125]}, {"beta": 2.0}, 0.7 * nls(0.5) + 0.3 * nls(-0.5)),
    # (1 − e^−1)/4 − (1 − e^0.5)/8
    ("dpo_norm", {}, {"f_divergence": "forward_kl"}, nls(5 * ((1 - exp(-1)) / 4 - (1 - exp(0.5)) / 8))),
    # (1.5 − 5)²
    ("ipo", {}, {}, 12.25),
    # (1.5 − 1/2)²
    ("ipo", {}, {"beta": 1.0}, 1.0),
    # (0.3125 − 0.5)²
    ("ipo", {}, {"beta": 1.0, "per_token": True}, 0.03515625),
    # 0.7 · 12.25 + 0.3 · 6.5²
    ("ipo", {"label": [0.7]}, {}, 21.25),
    ("ipo", {}, {"beta": 1.0, "f_divergence": "forward_kl"}, (exp(0.5) - exp(-1) - 0.5) ** 2),
    ("hinge", {}, {}, 0.85),
    ("hinge", {}, {"beta": 1.0}, 0.0),
    ("hinge", SUNK, {"beta": 1.0}, 2.5),
    ("robust", {}, {}, (0.9 * nls(0.15) - 0.1 * nls(-0.15)) / 0.8),
    ("robust", {}, {"beta": 1.0, "label_smoothing": 0.2}, (0.8 * nls(1.5) - 0.2 * nls(-1.5)) / 0.6),
    # KL([σ(0.15), σ(−0.15)] ‖ [0.9, 0.1])
    (
        "exo",
        {},
        {"label_smoothing": 0.1},
        sigma(0.15) * log(sigma(0.15) / 0.9) + sigma(-0.15) * log(sigma(-0.15) / 0.1),
    ),
    # 0.7 · 0.9 + 0.3 · 0.1 = 0.66
    (
        "exo",
        {"label": [0.7]},
        {"label_smoothing": 0.1},
        sigma(0.15) * log(sigma(0.15) / 0.66) + sigma(-0.15) * log(sigma(-0.15) / 0.34),
    ),
    # z = 0.15, m = σ(0.15/0.05) = σ(3)
    ("discopop", {}, {"beta": 0.1}, sigma(-3) * nls(0.15) + sigma(3) * exp(-0.15)),
    ("discopop", SUNK, {"beta": 1.0, "tau": 3.0}, sigma(0.5) * nls(-1.5) + sigma(-0.5) * exp(1.5)),
    # chosen has become more likely, nothing to pay
    ("dpop", {}, {"dpop_lambda": 3.0}, nls(0.15)),
    # 0.1 · (−1.5 − 3 · 2) = −0.75
    ("dpop", SUNK, {"dpop_lambda": 3.0}, nls(-0.75)),
    # rejected −7 + 0.25 · −5 = −8.25, its reference −6 + 0.25 · −5.5 = −7.375; h = (−10 + 8.25) − (−11 + 7.375) = 1.875
    ("ld_dpo", COMMON, {"alpha": 0.25}, nls(0.1875)),
    # α = 0: (−10 + 7) − (−11 + 6) = 2
    ("ld_dpo", COMMON, {"alpha": 0.0}, nls(0.2)),
    # 1.5 − ½ · (2 − 0.8) = 0.9
    ("tdpo", KL, {}, nls(0.09)),
    ("tdpo", KL, {"alpha": 0.25}, nls(0.12)),
    # 1.5 − (2 − 0.8) = 0.3
    ("tdpo", KL, {"variant": "tdpo1"}, nls(0.03)),
    ("wpo", {"chosen_alignment": [-0.2], "rejected_alignment": [-0.5]}, {}, exp(-0.7) * nls(0.15)),
    # ±1/(2 · 0.25) = ±2
    ("cal_dpo", {}, {"beta": 0.25}, nls(1.5) + (1 - 2) ** 2 + (-0.5 + 2) ** 2),
    ("nca", {}, {}, nls(0.1) + 0.5 * nls(-0.1) + 0.5 * nls(0.05)),
    ("bco", {}, {}, nls(0.1) + nls(0.05)),
    # 0.1 · (1 − 0.5) and −0.1 · (−0.5 − 0.5)
    ("bco", {"baseline": 0.5}, {}, nls(0.05) + nls(0.1)),
    ("sppo", {}, {"beta": 0.25}, 3.25),
    ("apo_zero", {}, {}, sigma(-0.1) + sigma(-0.05)),
    ("apo_down", {}, {}, sigma(0.1) + sigma(-0.15)),
    # alone a pair is the whole distribution, and this is DPO
    ("aot", {}, {}, nls(0.15)),
    # β' = 0.1 · (1 + 0.6 · (1.5 − 1)) = 0.13
    ("beta_dpo", {"baseline": 1.0}, {}, nls(0.195)),
    # 0.1 · (1 + 0.4 · 1.5) = 0.16
    ("beta_dpo", {}, {"alpha": 0.4}, nls(0.24)),
    # 0.1 · (1 + 1.5 − 20) is below 0.001, which stands in
    ("beta_dpo", {"baseline": 20.0}, {"alpha": 1.0}, nls(0.0015)),
    # 2 · (−2.5 + 1.5) − 1 = −3
    ("simpo", {}, {}, nls(-3)),
    ("simpo", {}, {"gamma": 0.5, "label_smoothing": 0.1}, 0.9 * nls(-2.5) + 0.1 * nls(2.5)),
    # α = ½: ρ = 2 − 2e^(−mean/2); 2 · (2e^0.75 − 2e^1.25) − 1
    ("alphapo", {}, {"alpha": 0.5}, nls(4 * exp(0.75) - 4 * exp(1.25) - 1)),
    # α = −1: ρ = p − 1
    ("alphapo", {}, {"alpha": -1.0, "gamma": 0.0}, nls(2 * (exp(-2.5) - exp(-1.5)))),
    # p = e^−2.5 and e^−1.5; odds 1/(e^2.5 − 1) and 1/(e^1.5 − 1)
    ("orpo", {}, {}, 2.5 + 0.1 * nls(log((exp(1.5) - 1) / (exp(2.5) - 1)))),
    # 0.1 · (−10 + 12) = 0.2, 10/4 = 2.5
    ("cpo", {}, {}, nls(0.2) + 2.5),
    ("cpo", {}, {"alpha": 0.5, "label_smoothing": 0.1}, 0.9 * nls(0.2) + 0.1 * nls(-0.2) + 1.25),
    ("sft", {}, {}, 2.5),
    ("logp_gap", {}, {}, -2.0),
    # ln(1 + e^−2) = ln 1.1353353
    ("logp_ratio", {}, {}, 0.1269280),
    ("bradley_terry", {}, {}, 0.1269280),
    ("bradley_terry", {"margin": [0.5]}, {}, nls(1.5)),
    ("bradley_terry", {"margin": [0.5], "label": [0.7]}, {}, 0.7 * nls(1.5) + 0.3 * nls(-1.5)),
    # (−10 − 12)² = 484
    ("bradley_terry", {}, {"center_rewards_coefficient": 0.01}, 0.1269280 + 4.84),
]


@pytest.mark.parametrize(("name", "fields", "options", "value"), CASES)
def test_pairs(name: str, fields: dict[str, Any], options: dict[str, Any], value: float):
    assert LOSSES[name](pairs(**{**EXAMPLE, **fields}), **options).tolist() == pytest.approx([value], abs=1e-7)


def test_every_loss_of_pairs_is_among_them():
    assert {case[0] for case in CASES} == {name for name in FACTS if FACTS[name].input in ("pair", "score")}


# margins log π(y_c) − log π(y_r): 1, −2, 4; of the reference: 3, 0, −1. log-ratios: chosen −1, 2, 6; rejected 1, 4, 1
THREE = {
    "chosen": [-9.0, -8.0, -4.0],
    "rejected": [-10.0, -6.0, -8.0],
    "ref_chosen": [-8.0, -10.0, -10.0],
    "ref_rejected": [-11.0, -10.0, -9.0],
}


@pytest.mark.parametrize(
    ("name", "fields", "options", "values"),
    [
        # sorted −2, 1, 4 against −1, 0, 3: differences −1, 1, 1, in the places of the second, first and third pair
        ("aot", {}, {"beta": 0.5}, [nls(0.5), nls(-0.5), nls(0.5)]),
        # h: −2, −2, 5; mean 1/3, β' = 0.3 · (1 + 0.5 · (1/3 + 1)) = 0.5
        ("beta_dpo", {"baseline": -1.0}, {"beta": 0.3, "alpha": 0.5}, [nls(-1), nls(-1), nls(2.5)]),
    ],
)
def test_pairs_of_one_update(name: str, fields: dict[str, Any], options: dict[str, Any], values: list[float]):
    assert LOSSES[name](pairs(**THREE, **fields), **options).tolist() == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "options", "values"),
    [
        # log-ratios 1 and −0.5 against the baseline 0.25: 0.075 and −0.075
        ("kto", {}, [sigma(-0.075), sigma(-0.075)]),
        ("kto", {"desirable_weight": 1.5, "undesirable_weight": 0.5}, [1.5 * sigma(-0.075), 0.5 * sigma(-0.075)]),
        ("apo_zero_unpaired", {}, [sigma(-0.1), sigma(-0.05)]),
        ("apo_zero_unpaired", {"beta": 2.0, "undesirable_weight": 3.0}, [sigma(-2), 3 * sigma(-1)]),
        # 0.1 · (1 − 0.25) and −0.1 · (−0.5 − 0.25)
        ("bco_unpaired", {}, [nls(0.075), nls(0.075)]),
        ("bco_unpaired", {"beta": 2.0, "desirable_weight": 3.0}, [3 * nls(1.5), nls(1.5)]),
        # 1 against −0.5
        ("aot_unpaired", {}, [nls(0.15), nls(0.15)]),
    ],
)
def test_samples(name: str, options: dict[str, Any], values: list[float]):
    lp = SampleLogps(
        policy=column("policy", [-10.0, -12.0]),
        ref=column("ref", [-11.0, -11.5]),
        desirable=column("desirable", [True, False]),
        baseline=column("baseline", 0.25),
    )
    assert LOSSES[name](lp, **options).tolist() == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize(
    ("ratios", "desirable", "options", "values"),
    [
        # chosen −1, 2, 6 and rejected 1, 4, 1; sorted −1, 2, 6 against 1, 1, 4: differences −2, 1, 2
        (
            [-1.0, 2.0, 6.0, 1.0, 4.0, 1.0],
            [True, True, True, False, False, False],
            {"beta": 0.5},
            [nls(-1), nls(0.5), nls(1), nls(-1), nls(1), nls(0.5)],
        ),
        ([1.0, -0.5], [True, False], {"label_smoothing": 0.1}, [0.9 * nls(0.15) + 0.1 * nls(-0.15)] * 2),
        # good 3, 1 and bad 2, 0, −1: the lower good one meets −1 for 1/3 of the quantiles and 0 for 1/6, the upper one 0 for
        # 1/6 and 2 for 1/3
        (
            [3.0, 2.0, 0.0, 1.0, -1.0],
            [True, False, False, True, False],
            {"beta": 1.0},
            [
                (nls(3) + 2 * nls(1)) / 3,
                nls(1),
                (nls(1) + nls(3)) / 2,
                (2 * nls(2) + nls(1)) / 3,
                nls(2),
            ],
        ),
    ],
)
def test_aot_of_single_answers(
    ratios: list[float], desirable: list[bool], options: dict[str, Any], values: list[float]
):
    lp = SampleLogps(
        policy=column("policy", [ratio - 5 for ratio in ratios]),
        ref=column("ref", [-5.0] * len(ratios)),
        desirable=column("desirable", desirable),
    )
    assert LOSSES["aot_unpaired"](lp, **options).tolist() == pytest.approx(values, abs=1e-12)


def test_lists():
    """Log-ratios 1, −0.5, 2: first 1 of all three, then −0.5 of the two that are left."""
    policy, ref = [[-10.0, -12.0, -3.0], [-10.0, -12.0, 0.0]], [[-11.0, -11.5, -5.0], [-11.0, -11.5, 0.0]]
    lp = ListLogps(
        policy=column("policy", policy),
        ref=column("ref", ref),
        present=column("present", [[True, True, True], [True, True, False]]),
    )
    first = -log(exp(0.1) / (exp(0.1) + exp(-0.05) + exp(0.2)))
    then = -log(exp(-0.05) / (exp(-0.05) + exp(0.2)))
    assert LOSSES["plackett_luce"](lp).tolist() == pytest.approx([first + then, nls(0.15)], abs=1e-12)


@pytest.mark.parametrize(
    ("name", "fields", "chosen", "rejected"),
    [
        # d/dy_c −log σ(β·h) = −β·σ(−β·h) = −0.1 · 0.4625702
        ("dpo", {}, -0.04625702, 0.04625702),
        # 2 · (h − 5)
        ("ipo", {}, -7.0, 7.0),
        ("hinge", {}, -0.1, 0.1),
        # m = σ(1.5) with β = τ = 0.05, z = 0.075: m'(e^−z − ln(1 + e^−z)) − (1 − m)·σ(−z) − m·e^−z, times β
        (
            "discopop",
            {},
            0.05
            * (
                sigma(1.5) * sigma(-1.5) / 0.05 * (exp(-0.075) - nls(0.075))
                - sigma(-1.5) * sigma(-0.075)
                - sigma(1.5) * exp(-0.075)
            ),
            -0.05
            * (
                sigma(1.5) * sigma(-1.5) / 0.05 * (exp(-0.075) - nls(0.075))
                - sigma(-1.5) * sigma(-0.075)
                - sigma(1.5) * exp(-0.075)
            ),
        ),
        ("sft", {}, -0.25, 0.0),
        ("logp_gap", {}, -1.0, 1.0),
        # −σ(−2) = −1/(1 + e²)
        ("logp_ratio", {}, -0.1192029, 0.1192029),
        ("bradley_terry", {}, -0.1192029, 0.1192029),
        # z = 0.1 · (−1.5 − 50 · 2) = −10.15; chosen counts 1 + 50 times
        ("dpop", SUNK, -5.1 * sigma(10.15), 0.1 * sigma(10.15)),
        # 2 · (1 − 5), 2 · (−0.5 + 5)
        ("sppo", {}, -8.0, 9.0),
        # β·σ'(0.1) − β·σ'(0.15) and β·σ'(0.15): chosen sinks too, but by less
        (
            "apo_down",
            {},
            0.1 * (sigma(0.1) * sigma(-0.1) - sigma(0.15) * sigma(-0.15)),
            0.1 * sigma(0.15) * sigma(-0.15),
        ),
    ],
)
def test_slopes(name: str, fields: dict[str, Any], chosen: float, rejected: float):
    lp = pairs(**{**EXAMPLE, **fields})
    LOSSES[name](lp).sum().backward()
    slopes = [0.0 if side.grad is None else side.grad.item() for side in (lp.chosen, lp.rejected)]
    assert slopes == pytest.approx([chosen, rejected], abs=1e-7)


@pytest.mark.parametrize(
    ("options", "chosen", "rejected"),
    [
        # −log σ(0.09): the chosen KL is stopped, the rejected KL pays β · ½ · σ(−0.09)
        ({}, None, 0.05 * sigma(-0.09)),
        ({"variant": "tdpo1"}, -0.1 * sigma(-0.03), 0.1 * sigma(-0.03)),
    ],
)
def test_tdpo2_stops_the_gradient_of_the_chosen_kl(options: dict[str, Any], chosen: float | None, rejected: float):
    lp = pairs(**EXAMPLE, **KL)
    LOSSES["tdpo"](lp, **options).sum().backward()
    assert lp.chosen_kl is not None
    assert lp.rejected_kl is not None
    assert lp.rejected_kl.grad is not None
    assert lp.rejected_kl.grad.item() == pytest.approx(rejected, abs=1e-12)
    if chosen is None:
        assert lp.chosen_kl.grad is None
    else:
        assert lp.chosen_kl.grad is not None
        assert lp.chosen_kl.grad.item() == pytest.approx(chosen, abs=1e-12)


@pytest.mark.parametrize("beta", [0.01, 0.1, 5.0])
def test_dpo_at_zero_margin_is_ln_2(beta: float):
    lp = pairs(chosen=[-5.0, -700.0], rejected=[-9.0, -1.0], ref_chosen=[-5.0, -700.0], ref_rejected=[-9.0, -1.0])
    assert LOSSES["dpo"](lp, beta=beta).tolist() == pytest.approx([0.6931471805599453] * 2, abs=1e-12)


def test_dpo_still_pulls_at_a_very_wrong_margin():
    # −β·σ(β·10⁴) = −0.1: no saturation on the side that must be mended
    lp = pairs(chosen=[-1e4], rejected=[0.0])
    LOSSES["dpo"](lp).sum().backward()
    assert lp.chosen.grad is not None
    assert lp.chosen.grad.item() == pytest.approx(-0.1, abs=1e-12)


def test_sft_of_no_tokens_is_not_divided_by_zero():
    lp = pairs(chosen=[-3.0], rejected=[0.0], chosen_tokens=[0], rejected_tokens=[0])
    assert LOSSES["sft"](lp).tolist() == [3.0]


@pytest.mark.parametrize("label", [None, 1.0])
def test_exo_keeps_the_digits_of_a_small_smoothing_in_fp32(label: float | None):
    # z = −100: KL([0, 1] ‖ [1 − ε, ε]) = −ln ε
    zero = torch.zeros(1)
    lp = PairLogps(
        chosen=zero - 1000,
        rejected=zero,
        ref_chosen=zero,
        ref_rejected=zero,
        label=None if label is None else torch.tensor([label]),
    )
    assert LOSSES["exo"](lp).item() == pytest.approx(-log(1e-3), rel=1e-6)
