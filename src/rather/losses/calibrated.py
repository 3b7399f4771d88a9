"""Losses that place each answer's reward and not their difference alone.

r_c and r_r are the log-ratios log π − log π_ref of chosen and rejected, in nats. All raise ValueError without a reference.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import PairLogps


def cal_dpo(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """−log σ(h) + (r_c − 1/(2β))² + (r_r + 1/(2β))² [P]: Cal-DPO. Xiao et al. 2024 (arXiv 2412.14516).

    DPO's reward is free to sink for both answers; here it is drawn to ±1/2 in units of β. As in the authors' pseudocode and
    code the first term takes h without β, which is in the other two; their code weighs those two with ½, the paper does not.
    """
    chosen, rejected = lp.log_ratios()
    calibration = (chosen - 1 / (2 * beta)).square() + (rejected + 1 / (2 * beta)).square()
    return -F.logsigmoid(lp.log_ratio_margin()) + calibration


def nca(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """−log σ(β·r_c) − ½·log σ(−β·r_c) − ½·log σ(−β·r_r) [P]: NCA with two answers. Chen et al. 2024 (arXiv 2402.05369).

    Chosen is told from noise, with both answers as the noise: its reward settles at a level and does not rise for ever. The
    form is that of the authors' code for pairs, and TRL's nca_pair.
    """
    chosen, rejected = lp.log_ratios()
    return -F.logsigmoid(beta * chosen) - 0.5 * F.logsigmoid(-beta * chosen) - 0.5 * F.logsigmoid(-beta * rejected)


def bco(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """−log σ(β·(r_c − b)) − log σ(−β·(r_r − b)) [P]: BCO on pairs. Jung et al. 2024 (arXiv 2404.04656).

    A classifier of single answers. b is `lp.baseline`, the running mean ½·(E[r_c] + E[r_r]) in nats (the paper's δ is β·b);
    None counts as 0, which is what is known before the first update and what TRL's bco_pair always takes.
    """
    chosen, rejected = lp.log_ratios()
    if lp.baseline is not None:
        chosen, rejected = chosen - lp.baseline, rejected - lp.baseline
    return -F.logsigmoid(beta * chosen) - F.logsigmoid(-beta * rejected)


def sppo(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """(r_c − 1/(2β))² + (r_r + 1/(2β))² [P]: SPPO with certain labels. Wu et al. 2024 (arXiv 2405.00675), eq. 4.7.

    1/β is the paper's η. Its estimated win rates are replaced by 1 for chosen and 0 for rejected: TRL's sppo_hard.
    """
    chosen, rejected = lp.log_ratios()
    return (chosen - 1 / (2 * beta)).square() + (rejected + 1 / (2 * beta)).square()


def apo_zero(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """(1 − σ(β·r_c)) + σ(β·r_r) [P]: APO-zero. D'Oosterlinck et al. 2024 (arXiv 2408.06266), eq. 7, plus 1 as in TRL.

    Raises chosen and lowers rejected. For data whose chosen answers are better than what the model says by itself.
    """
    chosen, rejected = lp.log_ratios()
    return torch.sigmoid(-beta * chosen) + torch.sigmoid(beta * rejected)


def apo_down(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """σ(β·r_c) + (1 − σ(β·h)) [P]: APO-down. D'Oosterlinck et al. 2024 (arXiv 2408.06266), eq. 8, plus 1 as in TRL.

    Lowers both, rejected more. For data whose chosen answers are worse than what the model says by itself.
    """
    chosen, _ = lp.log_ratios()
    return torch.sigmoid(beta * chosen) + torch.sigmoid(-beta * lp.log_ratio_margin())
