"""f-divergences in place of the reverse KL that DPO's reward is derived from (Wang et al. 2023, arXiv 2309.16240).

A policy that is held near the reference by D_f has the implicit reward β·f'(π/π_ref) up to a constant of the prompt. With
r = log π − log π_ref of an answer, f' is

    reverse_kl  r
    forward_kl  1 − e^−r
    js          log 2 + log σ(r)
    alpha       (e^((α−1)·r) − 1) / (α − 1), which is r in the limit α → 1 and forward_kl at α = 0

Past an exponent of 20 the exponentials go on as their tangents (`numerics.expm1_tangent`), so that values and gradients stay
finite and still pull; TRL 1.16 lets forward_kl overflow and cuts alpha's exponent at 80, where its gradient ends.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

from rather.losses.logps import PairLogps
from rather.losses.numerics import power_score

FDivergence = Literal["reverse_kl", "forward_kl", "js", "alpha"]


def score_margin(
    lp: PairLogps, *, f_divergence: FDivergence = "reverse_kl", alpha: float | None = None, per_token: bool = False
) -> Tensor:
    """s_c − s_r [P], s = f'(π/π_ref) of an answer; with the reverse KL it is the log-ratio margin h.

    alpha: α of the alpha divergence (½ if not given), in nothing else.
    per_token: each s is divided by its answer's tokens, as TRL does, after f' was taken of the whole answer's ratio.
    Raises ValueError for an unknown divergence, for an alpha that would do nothing, and without a reference.
    """
    if alpha is not None and f_divergence != "alpha":
        raise ValueError(f'alpha does nothing in f_divergence="{f_divergence}"')
    if f_divergence == "reverse_kl" and not per_token:
        return lp.log_ratio_margin()
    chosen, rejected = (_slope(log_ratio, f_divergence, alpha) for log_ratio in lp.log_ratios())
    if per_token:
        chosen_tokens, rejected_tokens = lp.tokens()
        return chosen / chosen_tokens - rejected / rejected_tokens
    return chosen - rejected


def _slope(log_ratio: Tensor, f_divergence: FDivergence, alpha: float | None) -> Tensor:
    if f_divergence == "reverse_kl":
        return log_ratio
    if f_divergence == "forward_kl":
        return power_score(log_ratio, -1)
    if f_divergence == "js":
        return math.log(2) + F.logsigmoid(log_ratio)
    if f_divergence == "alpha":
        return power_score(log_ratio, (0.5 if alpha is None else alpha) - 1)
    raise ValueError(f"f_divergence must be one of {', '.join(get_args(FDivergence))}, not {f_divergence}")
