"""What failures cost a long run: how often to keep a checkpoint, and how long the run then takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Hours between two failures of one GPU and what is around it: 419 unexpected interruptions of 16,384 GPUs in 54 days (The Llama 3
# herd of models, arXiv 2407.21783, section 3.3.4).
GPU_HOURS = 16_384 * 54 * 24 / 419


@dataclass(frozen=True)
class Failures:
    """Seconds. between: from one failure of the whole to the next, on the average. checkpoint: to write one. restart: until
    training goes on."""

    between: float
    checkpoint: float
    restart: float

    @property
    def young(self) -> float:
        """Seconds of training between two checkpoints that cost least, where failures are far between: √(2·checkpoint·between).
        Young 1974 (Communications of the ACM 17, 530)."""
        return math.sqrt(2 * self.checkpoint * self.between)

    @property
    def daly(self) -> float:
        """The same to higher order, also where they are not (Daly 2006, Future Generation Computer Systems 22, eq. 37)."""
        cost, mean = self.checkpoint, self.between
        if cost >= 2 * mean:
            return mean
        ratio = cost / (2 * mean)
        return math.sqrt(2 * cost * mean) * (1 + math.sqrt(ratio) / 3 + ratio / 9) - cost

    def expected(self, training: float, interval: float) -> float:
        """Seconds that `training` seconds take in all, with a checkpoint after every `interval` of them: failures come at random
        (exponentially), also while a checkpoint is written or the run restarts (Daly 2006, eq. 20).

        A stretch of interval + checkpoint succeeds or begins again: its mean length is M·e^{R/M}·(e^{(τ+δ)/M} − 1).
        """
        stretch = (interval + self.checkpoint) / self.between
        if stretch > 700:
            return math.inf
        each = self.between * math.exp(self.restart / self.between) * math.expm1(stretch)
        return training / interval * each


def failures_of(gpus: int, *, checkpoint: float, restart: float = 300.0, gpu_hours: float = GPU_HOURS) -> Failures:
    """Of a run that any failure of any of its GPUs stops. restart: 5 minutes assumed, to notice, start and load."""
    return Failures(gpu_hours * 3600 / gpus, checkpoint, restart)
