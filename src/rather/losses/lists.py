"""Losses of ranked lists: several answers to one prompt, best first."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import ListLogps


def plackett_luce(lp: ListLogps, *, beta: float = 0.1) -> Tensor:
    """−Σ_k log(e^(β·r_k) / Σ_{j ≥ k} e^(β·r_j)) [L]: DPO of rankings. Rafailov et al. 2023 (arXiv 2305.18290), eq. 18 to 20.

    r are the log-ratios log π − log π_ref, best answer first: of those that are left, the best is chosen, again and again.
    Two answers make it `dpo`; a list of fewer is worth 0. A list's value grows with its length.

    Raises ValueError without a reference.
    """
    reward_LK = beta * lp.log_ratios()
    places = reward_LK.shape[1]
    after_KK = torch.ones(places, places, dtype=torch.bool, device=reward_LK.device).triu(1)
    worse_LKK = after_KK & lp.present[:, None, :]
    # of a term, −log σ(r_k − log Σ_{j > k} e^r_j): unlike the quotient it keeps its digits when one answer dominates.
    # The fill is finite because −∞ − (−∞) would send nan back into the padding
    fill = torch.finfo(reward_LK.dtype).min
    rest_LK = reward_LK[:, None, :].masked_fill(~worse_LKK, fill).logsumexp(dim=-1)
    counts_LK = lp.present & worse_LKK.any(dim=-1)
    margin_LK = torch.where(counts_LK, reward_LK - rest_LK, 0.0)
    return (-F.logsigmoid(margin_LK) * counts_LK).sum(dim=-1)
