"""Losses of the whole update: one pair's value depends on the others, which must all be given at once.

Each still gives one value a pair (a single answer), in its place, so that the sum is divided once like any other.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import PairLogps, SampleLogps, smoothing_or_fail
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


def aot_unpaired(lp: SampleLogps, *, beta: float = 0.1, label_smoothing: float = 0.0) -> Tensor:
    """−log σ(β·(Q_D(t) − Q_U(t))), Q the quantiles of the good and of the bad answers' log-ratios [R]: AOT. arXiv 2406.05882.

    Melnyk et al. 2024, the unpaired form: the good answers' log-ratios shall dominate the bad answers' as a distribution,
    whoever was compared with whom. An answer's value is the mean over its share of the quantiles t, so that the mean over the
    good answers and that over the bad ones are each the integral over t; with as many of one as of the other the k-th smallest
    meets the k-th smallest, as in TRL, which takes pairs and gives the same values sorted. Where the update has good answers
    alone, or bad ones alone, there is nothing to compare them with, and every value is 0.

    Options and errors as in `aot`.
    """
    smoothing_or_fail(label_smoothing)
    ratio_R = lp.log_ratios()
    good, bad = lp.desirable.nonzero().flatten(), (~lp.desirable).nonzero().flatten()
    if not len(good) or not len(bad):
        return ratio_R * 0.0
    good, bad = good[ratio_R[good].argsort(stable=True)], bad[ratio_R[bad].argsort(stable=True)]
    begin_S, share_S = _shared_quantiles(len(good), len(bad), device=ratio_R.device)
    good_S, bad_S = good[begin_S // len(bad)], bad[begin_S // len(good)]
    loss_S = share_S.to(ratio_R.dtype) * cross_entropy(beta * (ratio_R[good_S] - ratio_R[bad_S]), 1 - label_smoothing)
    whole_R = torch.zeros_like(ratio_R)
    return whole_R.index_add(0, good_S, loss_S / len(bad)).index_add(0, bad_S, loss_S / len(good))


def beta_dpo(lp: PairLogps, *, beta: float = 0.1, alpha: float = 0.6) -> Tensor:
    """−log σ(β'·h), β' = β·(1 + α·(mean(h) − M₀)) [P]: β-DPO, dynamic β of a batch. Wu et al. 2024 (arXiv 2407.08639).

    Pairs that the policy tells apart more easily than usual are held closer to the reference. β' has no gradient and is at
    least 0.001, as in the authors' code, where margins are likewise in nats, before β; there M₀ begins at 0 and has taken the
    batch itself in, here it is that of the updates before. Their filtering of pairs is not here.

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


def _shared_quantiles(good: int, bad: int, *, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where each stretch begins on which neither staircase of quantiles has a step, and how long it is [S], S < good + bad.

    In units of 1/(good·bad): a step of the good ones has the length `bad`, one of the bad ones the length `good`.
    """
    steps = torch.cat([torch.arange(good + 1, device=device) * bad, torch.arange(bad, device=device) * good]).unique()
    return steps[:-1], steps.diff()
