"""Losses of one number: how much further than the reference the policy tells chosen from rejected.

f_divergence and alpha, where a loss takes them: see `divergences`. With the default, the reverse KL, s_c − s_r is the
log-ratio margin h.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.divergences import FDivergence, score_margin
from rather.losses.logps import PairLogps, smoothed, smoothing_or_fail
from rather.losses.numerics import cross_entropy, exp_tangent


def dpo(
    lp: PairLogps,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.0,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """−log σ(β·h), h the log-ratio margin [P]. Rafailov et al. 2023 (arXiv 2305.18290), eq. 7.

    With soft labels and offsets it is −q·log σ(z) − (1 − q)·log σ(−z), z = β·h − margin, where
    q = label·(1 − ε) + (1 − label)·ε. `lp.margin` is the offset of ODPO (Amini et al. 2024, arXiv 2402.10571): chosen must
    win by as much, in units of reward.

    label_smoothing: ε, the share of labels taken for flipped; alone it is conservative DPO (Mitchell 2023, eq. 3).
    f_divergence, alpha: z = β·(s_c − s_r) − margin under another divergence (see `divergences`).
    Raises ValueError without a reference, for ε not in [0, ½), for an unknown divergence or an alpha that does nothing.
    """
    return _logistic(lp, beta * score_margin(lp, f_divergence=f_divergence, alpha=alpha), label_smoothing)


def dpo_norm(
    lp: PairLogps,
    *,
    beta: float = 5.0,
    label_smoothing: float = 0.0,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """−log σ(β·(r_c/|y_c| − r_r/|y_r|)) [P], r the log-ratios: length-normalised DPO. Tülu 3 (arXiv 2411.15124).

    Labels, offsets, options and errors as in `dpo`, and ValueError without token counts. β multiplies means over tokens, so
    it is larger than DPO's: 5 in Tülu 3. TRL's sigmoid_norm, where β is 0.1 unless set.
    """
    margin = score_margin(lp, f_divergence=f_divergence, alpha=alpha, per_token=True)
    return _logistic(lp, beta * margin, label_smoothing)


def ipo(
    lp: PairLogps,
    *,
    beta: float = 0.1,
    per_token: bool = False,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """(h − 1/(2β))² [P]. Azar et al. 2023 (arXiv 2310.12036), eq. 17, β for its τ.

    With soft labels q·(h − 1/(2β))² + (1 − q)·(h + 1/(2β))².

    per_token: take h between means over tokens instead of sums, so that β does not depend on length. TRL always does; the
        paper does not say so, but its authors told TRL's that its results were had this way.
    f_divergence, alpha: s_c − s_r in place of h (see `divergences`).
    Raises ValueError without a reference, or per token without token counts.
    """
    margin = score_margin(lp, f_divergence=f_divergence, alpha=alpha, per_token=per_token)
    loss = (margin - 1 / (2 * beta)).square()
    if lp.label is None:
        return loss
    return lp.label * loss + (1 - lp.label) * (margin + 1 / (2 * beta)).square()


def hinge(
    lp: PairLogps, *, beta: float = 0.1, f_divergence: FDivergence = "reverse_kl", alpha: float | None = None
) -> Tensor:
    """max(0, 1 − β·h) [P]. SLiC-HF's hinge on DPO's margin: RSO, Liu et al. 2023 (arXiv 2309.06657), hinge-norm, β for its γ.

    A pair that is won by 1/β nats teaches nothing more. Options and errors as in `dpo`.
    """
    return F.relu(1 - beta * score_margin(lp, f_divergence=f_divergence, alpha=alpha))


def robust(
    lp: PairLogps,
    *,
    beta: float = 0.1,
    label_smoothing: float = 0.1,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """[−(1 − ε)·log σ(β·h) + ε·log σ(−β·h)] / (1 − 2ε) [P]: rDPO. Chowdhury et al. 2024 (arXiv 2403.00409).

    Where a share ε of the labels is flipped at random, its expectation is DPO's loss under the true labels (their unbiased
    estimate; TRL's robust). One pair's value
    has no lower bound: it falls by ε·β/(1 − 2ε) a nat as the margin grows, so a set fitted pair by pair earns without end.

    label_smoothing: ε, the share of flipped labels; with 0 it is `dpo` (and TRL's default).
    Other options and errors as in `dpo`.
    """
    smoothing_or_fail(label_smoothing)
    logits = beta * score_margin(lp, f_divergence=f_divergence, alpha=alpha)
    kept, flipped = -F.logsigmoid(logits), -F.logsigmoid(-logits)
    return ((1 - label_smoothing) * kept - label_smoothing * flipped) / (1 - 2 * label_smoothing)


def exo(
    lp: PairLogps,
    *,
    beta: float = 0.1,
    label_smoothing: float = 1e-3,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """KL([σ(z), σ(−z)] ‖ [q, 1 − q]), z = β·h, q = 1 − ε [P]: EXO-pref. Ji et al. 2024 (arXiv 2402.00856), eq. 16.

    The reverse of DPO's KL: it seeks one mode of the labels. A soft label enters q as in `dpo`. A very wrong margin gives a
    value but hardly a gradient, since σ(z) is flat there.

    label_smoothing: ε, above 0, for a KL to a certain label is infinite.
    Other options and errors as in `dpo`; ValueError too for ε = 0.
    """
    if label_smoothing <= 0:
        raise ValueError("label_smoothing must be above 0 in exo: the KL to a label that is certain is infinite")
    smoothing_or_fail(label_smoothing)
    z = beta * score_margin(lp, f_divergence=f_divergence, alpha=alpha)
    if lp.label is None:
        log_q, log_rest = math.log1p(-label_smoothing), math.log(label_smoothing)
    else:  # each from the label: 1 − q would lose the digits of a small ε
        log_q, log_rest = smoothed(lp.label, label_smoothing).log(), smoothed(1 - lp.label, label_smoothing).log()
    log_won, log_lost = F.logsigmoid(z), F.logsigmoid(-z)
    return log_won.exp() * (log_won - log_q) + log_lost.exp() * (log_lost - log_rest)


def discopop(
    lp: PairLogps,
    *,
    beta: float = 0.05,
    tau: float = 0.05,
    f_divergence: FDivergence = "reverse_kl",
    alpha: float | None = None,
) -> Tensor:
    """(1 − m)·(−log σ(z)) + m·e^−z, z = β·h, m = σ(z/τ) [P]: DiscoPOP (LRML). Lu et al. 2024 (arXiv 2406.08414), eq. 5.

    Found by a search over programs: logistic for pairs that are lost, exponential for pairs that are won.

    Its slope is reversed where the one passes into the other: with the paper's τ it lowers the margin while z is between
    −0.12 and 0.07, and at z = 0 training starts.

    tau: τ, how sharply one passes into the other; the smaller, the sharper.
    m·e^−z is computed as one exponential, e^(log σ(z/τ) − z), which only τ > 1 lets grow; past an exponent of 20 it goes on
    as its tangent. Other options and errors as in `dpo`.
    """
    z = beta * score_margin(lp, f_divergence=f_divergence, alpha=alpha)
    logistic = torch.sigmoid(-z / tau) * -F.logsigmoid(z)
    return logistic + exp_tangent(F.logsigmoid(z / tau) - z)


def dpop(lp: PairLogps, *, beta: float = 0.1, dpop_lambda: float = 50.0) -> Tensor:
    """−log σ(β·(h − λ·max(0, log π_ref(y_c) − log π(y_c)))) [P]: DPO-Positive. Pal et al. 2024 (arXiv 2402.13228), eq. 3.

    A margin may not be bought by making the chosen answer less likely than the reference has it.

    dpop_lambda: λ, what a nat lost on chosen costs against a nat of margin; with 0 it is `dpo`.
    Raises ValueError without a reference.
    """
    chosen, _ = lp.log_ratios()
    return -F.logsigmoid(beta * (lp.log_ratio_margin() - dpop_lambda * F.relu(-chosen)))


def _logistic(lp: PairLogps, logits: Tensor, label_smoothing: float) -> Tensor:
    """Cross-entropy with the pairs' labels, of logits that must exceed the pairs' margins."""
    if lp.margin is not None:
        logits = logits - lp.margin
    return cross_entropy(logits, lp.target(label_smoothing))
