"""Losses of the whole update: one pair's value depends on the others, which must all be given at once.

Each still gives one value a pair, in the pair's place, so that the sum is divided once like any other.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import PairLogps, smoothing_or_fail
from rather.losses.numerics import cross_entropy

LEAST_BETA = 1e-3


def aot(lp: PairLogps, *, beta: float = 0.1, label_smoothing: float = 0.0) -> Tensor:
    """−log σ(β·(m₍ₖ₎ − m_ref₍ₖ₎)), m the margins log π(y_c) − log π(y_r), k their rank [P]: AOT. arXiv 2406.05882.

    Melnyk et al. 2024, the paired form: the policy's margins shall dominate the reference's as a distribution, the k-th
    smallest of the one against the k-th smallest of the other. The value stands in the place of the pair whose policy
    margin it is; TRL gives the same values sorted.

    label_smoothing: ε weighs the opposite direction, as in `dpo`.
    Raises ValueError without a reference, and for ε not in [0, ½).
    """
    smoothing_or_fail(label_smoothing)
    ref_chosen, ref_rejected = lp.reference()
    return _dominance(lp.chosen - lp.rejected, ref_chosen - ref_rejected, beta, label_smoothing)


def aot_unpaired(lp: PairLogps, *, beta: float = 0.1, label_smoothing: float = 0.0) -> Tensor:
    """−log σ(β·(r_c₍ₖ₎ − r_r₍ₖ₎)), r the log-ratios, k their rank [P]: AOT, unpaired. arXiv 2406.05882.

    Melnyk et al. 2024: the chosen answers' log-ratios shall dominate the rejected answers' as a distribution, whoever was
    compared with whom. The value stands in the place of the pair whose chosen answer it is; TRL gives the same sorted.

    Options and errors as in `aot`.
    """
    smoothing_or_fail(label_smoothing)
    chosen, rejected = lp.log_ratios()
    return _dominance(chosen, rejected, beta, label_smoothing)


def beta_dpo(lp: PairLogps, *, beta: float = 0.1, alpha: float = 0.6) -> Tensor:
    """−log σ(β'·h), β' = β·(1 + α·(mean(h) − M₀)) [P]: β-DPO, dynamic β of a batch. Wu et al. 2024 (arXiv 2407.08639).

    Pairs that the policy tells apart more easily than usual are held closer to the reference. β' has no gradient and is at
    least 0.001, as in the authors' code, where margins are likewise in nats, before β. Their filtering of pairs is not here.

    alpha: α, how fast β follows the margins; with 0 it is `dpo`.
    `lp.baseline` is M₀, the running mean of h in nats; None counts as 0, what is known before the first update.
    Raises ValueError without a reference.
    """
    margin = lp.log_ratio_margin()
    above = margin.detach().mean()
    if lp.baseline is not None:
        above = above - lp.baseline
    return -F.logsigmoid((beta * (1 + alpha * above)).clamp(min=LEAST_BETA) * margin)


def _dominance(upper: Tensor, lower: Tensor, beta: float, label_smoothing: float) -> Tensor:
    """[P] in the order of `upper`: each value against the value of `lower` that has the same rank."""
    rank = upper.argsort().argsort()
    return cross_entropy(beta * (upper - lower.sort().values[rank]), 1 - label_smoothing)
