"""A running level of the log-ratios, for losses that ask whether a pair stands above what is usual."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rather.errors import ConfigError
from rather.losses import FACTS, PairLogps
from rather.training.objective import Logps, Objective, log_ratios_of

# β-DPO's moving average (Wu et al. 2024, arXiv 2407.08639, section 4.3).
MOMENTUM = 0.9


@dataclass
class Baseline:
    """The level before an update is made of the updates before it; None before the first.

    kept_for  "bco": mean of ½(r_c + r_r) over all pairs so far; "beta_dpo": moving average of the updates' mean h;
              "bco_unpaired": mean of r over all answers so far; "kto": what was measured for this very update (mismatch.py)
    """

    kept_for: str | None
    level: float | None = None
    pairs: int = 0

    @classmethod
    def of(cls, objective: Objective) -> Baseline:
        """What `objective` needs kept. Raises ConfigError for a mixture that needs two different levels."""
        names = [term.name for term in objective.terms if "baseline" in FACTS[term.name].needs]
        if len(names) > 1:
            raise ConfigError(f"{' and '.join(names)} each compare with a level of their own; choose one of them")
        return cls(names[0] if names else None)

    def value(self, device: torch.device) -> Tensor | None:
        """[] for `PairLogps.baseline`."""
        return None if self.level is None else torch.tensor(self.level, device=device)

    def seen(self, logps: Logps) -> None:
        """Take in an update's examples, once it is done."""
        if self.kept_for in ("bco", "bco_unpaired"):
            ratios = log_ratios_of(logps)
            mean, count = float(ratios.cpu().double().mean()), len(ratios) // (2 if isinstance(logps, PairLogps) else 1)
            self.level = ((self.level or 0.0) * self.pairs + mean * count) / (self.pairs + count)
            self.pairs += count
        elif self.kept_for == "beta_dpo" and isinstance(logps, PairLogps):
            mean = float(logps.log_ratio_margin().cpu().double().mean())
            self.level = mean if self.level is None else MOMENTUM * self.level + (1 - MOMENTUM) * mean
            self.pairs += len(logps.chosen)
