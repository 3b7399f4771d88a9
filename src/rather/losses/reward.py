"""Losses of a reward model's scores."""

from __future__ import annotations

from torch import Tensor

from rather.losses.logps import PairLogps
from rather.losses.numerics import cross_entropy


def bradley_terry(lp: PairLogps, *, center_rewards_coefficient: float = 0.0) -> Tensor:
    """−log σ(s_c − s_r) [P], the fields `chosen` and `rejected` holding scores.

    Bradley & Terry 1952; Ouyang et al. 2022 (arXiv 2203.02155), eq. 1. `lp.margin` is subtracted from the difference: chosen
    must win by as much (Touvron et al. 2023, arXiv 2307.09288, eq. 2). A soft label q weighs it as
    −q·log σ(z) − (1 − q)·log σ(−z).

    center_rewards_coefficient: γ adds γ·(s_c + s_r)², which holds scores around 0 (Eisenstein et al. 2023, arXiv 2312.09244);
        TRL's name and term.
    """
    logits = lp.chosen - lp.rejected
    if lp.margin is not None:
        logits = logits - lp.margin
    loss = cross_entropy(logits, lp.target())
    if not center_rewards_coefficient:
        return loss
    return loss + center_rewards_coefficient * (lp.chosen + lp.rejected).square()
