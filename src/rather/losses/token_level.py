"""Losses that weigh an answer's tokens: they need more of it than its summed log-probability."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.contrastive import dpo
from rather.losses.logps import PairLogps, given_or_fail
from rather.losses.numerics import exp_tangent


def ld_dpo(lp: PairLogps, *, beta: float = 0.1, alpha: float = 0.5, label_smoothing: float = 0.0) -> Tensor:
    """DPO of log π̂(y) = Σ_{t ≤ l} log π(y_t) + α·Σ_{t > l} log π(y_t), l = min(|y_c|, |y_r|) [P]. arXiv 2409.06411.

    Liu et al. 2024: what the longer answer says after the shorter has ended counts for less, under policy and reference
    alike, so that length itself earns less. TRL's ld_alpha.

    alpha: α, weight of those tokens; with 1 it is `dpo`, with 0 they do not count.
    Labels, offsets and other options as in `dpo`. Raises ValueError without a reference, or without the sums over the common
    length (`chosen_common` and its three companions).
    """

    ref_chosen, ref_rejected = lp.reference()

    def discounted(whole: Tensor, common: Tensor | None, name: str) -> Tensor:
        # lerp and not common + α·(whole − common): it is exact at both ends
        return torch.lerp(given_or_fail(common, name=name), whole, alpha)

    discounted_lp = replace(
        lp,
        chosen=discounted(lp.chosen, lp.chosen_common, "chosen_common"),
        rejected=discounted(lp.rejected, lp.rejected_common, "rejected_common"),
        ref_chosen=discounted(ref_chosen, lp.ref_chosen_common, "ref_chosen_common"),
        ref_rejected=discounted(ref_rejected, lp.ref_rejected_common, "ref_rejected_common"),
    )
    return dpo(discounted_lp, beta=beta, label_smoothing=label_smoothing)


def tdpo(
    lp: PairLogps, *, beta: float = 0.1, variant: Literal["tdpo1", "tdpo2"] = "tdpo2", alpha: float | None = None
) -> Tensor:
    """−log σ(β·(h − α·(K_r − sg(K_c)))) [P], K the KL to the reference summed over an answer: TDPO. arXiv 2404.11999.

    Zeng et al. 2024, section 4.3. K = Σ_t KL(π_ref(·|s_t) ‖ π(·|s_t)). TDPO₁ takes α = 1 and the gradient through both;
    TDPO₂ stops the gradient (sg) of the chosen answer's KL, so that only the rejected answer's is held back.

    variant: "tdpo1" or "tdpo2".
    alpha: α of TDPO₂ (½ if not given).
    Raises ValueError without a reference, without `chosen_kl` and `rejected_kl`, for an unknown variant, and for an alpha
    with TDPO₁, where it does nothing.
    """
    chosen = given_or_fail(lp.chosen_kl, name="chosen_kl")
    rejected = given_or_fail(lp.rejected_kl, name="rejected_kl")
    if variant == "tdpo1":
        if alpha is not None:
            raise ValueError('alpha does nothing in variant="tdpo1"')
        difference = rejected - chosen
    elif variant == "tdpo2":
        difference = (0.5 if alpha is None else alpha) * (rejected - chosen.detach())
    else:
        raise ValueError(f"variant must be tdpo1 or tdpo2, not {variant}")
    return -F.logsigmoid(beta * (lp.log_ratio_margin() - difference))


def wpo(lp: PairLogps, *, beta: float = 0.1, label_smoothing: float = 0.0) -> Tensor:
    """w(y_c)·w(y_r)·DPO [P], w(y) = exp(mean_t(log π(y_t) − log Σ_v π(v)²)): WPO. Zhou et al. 2024 (arXiv 2406.11827), eq. 2.

    A pair counts for as much as the policy would itself have sampled its answers; w is 1 for an answer whose tokens are as
    likely as tokens sampled from the policy are. It is a weight: no gradient passes through it. TRL's use_weighting.

    Labels, offsets and options as in `dpo`. Raises ValueError without a reference, or without `chosen_alignment` and
    `rejected_alignment`. A weight past e^20 (no policy gives one) goes on as a line.
    """
    chosen = given_or_fail(lp.chosen_alignment, name="chosen_alignment")
    rejected = given_or_fail(lp.rejected_alignment, name="rejected_alignment")
    return exp_tangent((chosen + rejected).detach()) * dpo(lp, beta=beta, label_smoothing=label_smoothing)
