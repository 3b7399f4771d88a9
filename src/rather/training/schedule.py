"""Learning rates: how each schedule falls from the peak once warm-up is over."""

from __future__ import annotations

import math
from collections.abc import Callable

Falling = Callable[[float], float]
"""Share of the updates after warm-up that are done, in [0, 1) → share of the peak."""

SCHEDULES: dict[str, Falling] = {
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2.0,
    "constant": lambda done: 1.0,
}


def learning_rate(step: int, steps: int, *, peak: float, warmup: float, schedule: str = "linear") -> float:
    """The rate of update `step`, counted from 0, of `steps`.

    In the first w = round(warmup · steps) updates, peak · (step + 1) / w. From there, with x = (step − w) / (steps − w):
    linear peak · (1 − x), cosine peak · (1 + cos πx) / 2 (Loshchilov and Hutter 2017, eq. 5, without restarts), constant peak.
    """
    rising = round(warmup * steps)
    if step < rising:
        return peak * (step + 1) / rising
    return peak * SCHEDULES[schedule]((step - rising) / max(steps - rising, 1))
