"""Losses of single answers, each known to be good or bad: nobody compared it with another.

All raise ValueError without a reference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import SampleLogps, given_or_fail


def kto(
    lp: SampleLogps, *, beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0
) -> Tensor:
    """λ_D·(1 − σ(β·(r − z₀))) for good answers, λ_U·(1 − σ(β·(z₀ − r))) for bad ones [R]: KTO. arXiv 2402.01306, eq. 7.

    Ethayarajh et al. 2024; r is the log-ratio, z₀ is `lp.baseline`: the policy's KL from the reference in nats, estimated
    on mismatched answers as max(0, mean log-ratio) over the whole update, without gradient.

    desirable_weight, undesirable_weight: λ_D and λ_U; with n_D good and n_U bad answers, choose them so that λ_D·n_D and
        λ_U·n_U are about equal.
    Raises ValueError also without a baseline.
    """
    baseline = given_or_fail(lp.baseline, name="baseline, the estimated KL from the reference")
    return _utility_lost(lp, lp.log_ratios() - baseline, beta, desirable_weight, undesirable_weight)


def apo_zero_unpaired(
    lp: SampleLogps, *, beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0
) -> Tensor:
    """λ_D·(1 − σ(β·r)) for good answers, λ_U·σ(β·r) for bad ones [R]: APO-zero, unpaired. arXiv 2408.06266, eq. 7.

    D'Oosterlinck et al. 2024; r is the log-ratio. KTO that compares with 0 in place of an estimated KL.

    desirable_weight, undesirable_weight: λ_D and λ_U, as in `kto`.
    """
    return _utility_lost(lp, lp.log_ratios(), beta, desirable_weight, undesirable_weight)


def bco_unpaired(
    lp: SampleLogps, *, beta: float = 0.1, desirable_weight: float = 1.0, undesirable_weight: float = 1.0
) -> Tensor:
    """−λ_D·log σ(β·(r − b)) for good answers, −λ_U·log σ(−β·(r − b)) for bad ones [R]: BCO. Jung et al. 2024 (arXiv 2404.04656).

    A classifier of single answers; r is the log-ratio. b is `lp.baseline`, the running mean of r over all answers seen, as
    in TRL's BCO; None counts as 0, what is known before the first update. (The paper takes the middle of the two sides'
    means, which is the same where good and bad answers are equally many.)

    desirable_weight, undesirable_weight: λ_D and λ_U, as in `kto`.
    """
    gain = lp.log_ratios() if lp.baseline is None else lp.log_ratios() - lp.baseline
    good, bad = -desirable_weight * F.logsigmoid(beta * gain), -undesirable_weight * F.logsigmoid(-beta * gain)
    return torch.where(lp.desirable, good, bad)


def _utility_lost(lp: SampleLogps, gain: Tensor, beta: float, desirable: float, undesirable: float) -> Tensor:
    # 1 − σ(x) as σ(−x): it keeps its digits where σ(x) rounds to 1
    return torch.where(lp.desirable, desirable * torch.sigmoid(-beta * gain), undesirable * torch.sigmoid(beta * gain))
