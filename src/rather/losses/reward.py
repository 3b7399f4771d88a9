"""Losses of a reward model's scores."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from rather.losses.pair_logps import PairLogps


def bradley_terry(lp: PairLogps) -> Tensor:
    """−log σ(s_c − s_r) [P], the fields `chosen` and `rejected` holding scores.

    Bradley & Terry 1952; Ouyang et al. 2022 (arXiv 2203.02155), eq. 1.
    """
    return -F.logsigmoid(lp.chosen - lp.rejected)
