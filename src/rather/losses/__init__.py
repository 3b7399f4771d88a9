"""Objectives: pure functions of log-probabilities, one value a pair, no reduction.

`LOSSES[name](pair_logps, **options) -> [P]`. To add one, write the function and one line here. Whoever trains divides
the sum once, by the pairs of the whole update.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable

from torch import Tensor

from rather.losses.contrastive import dpo, ipo
from rather.losses.pair_logps import PairLogps
from rather.losses.reference_free import logp_gap, logp_ratio, sft
from rather.losses.reward import bradley_terry

Loss = Callable[..., Tensor]

LOSSES: dict[str, Loss] = {
    "dpo": dpo,
    "ipo": ipo,
    "sft": sft,
    "logp_gap": logp_gap,
    "logp_ratio": logp_ratio,
    "bradley_terry": bradley_terry,
}

SCORE_LOSSES = frozenset({"bradley_terry"})
"""Losses of a reward model's scores: they cannot train a policy."""

UNBOUNDED = frozenset({"logp_gap"})
"""Losses without a lower bound: training with one warns."""


def loss_options(name: str) -> dict[str, object]:
    """The options that a loss takes, with their defaults."""
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


__all__ = ["LOSSES", "SCORE_LOSSES", "UNBOUNDED", "Loss", "PairLogps", "loss_options"]
