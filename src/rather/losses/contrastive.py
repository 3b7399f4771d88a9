"""Losses of the log-ratio margin between policy and reference."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from rather.losses.pair_logps import PairLogps, tokens_or_fail


def dpo(lp: PairLogps, *, beta: float = 0.1) -> Tensor:
    """−log σ(β·h), h the log-ratio margin [P]. Rafailov et al. 2023 (arXiv 2305.18290), eq. 7."""
    return -F.logsigmoid(beta * lp.log_ratio_margin())


def ipo(lp: PairLogps, *, beta: float = 0.1, per_token: bool = False) -> Tensor:
    """(h − 1/(2β))² [P]. Azar et al. 2023 (arXiv 2310.12036), eq. 17, β for its τ.

    per_token: take h between means over tokens instead of sums, as TRL does, so that β does not depend on length.
    """
    if per_token:
        chosen_tokens = tokens_or_fail(lp.chosen_tokens, name="chosen_tokens")
        rejected_tokens = tokens_or_fail(lp.rejected_tokens, name="rejected_tokens")
        lp = PairLogps(
            chosen=lp.chosen / chosen_tokens,
            rejected=lp.rejected / rejected_tokens,
            ref_chosen=None if lp.ref_chosen is None else lp.ref_chosen / chosen_tokens,
            ref_rejected=None if lp.ref_rejected is None else lp.ref_rejected / rejected_tokens,
        )
    return (lp.log_ratio_margin() - 1 / (2 * beta)).square()
