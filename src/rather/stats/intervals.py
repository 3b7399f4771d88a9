"""Rates with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest


@dataclass(frozen=True)
class Rate:
    """`hits` of `total`, with Wilson's 95 % interval (Wilson 1927), all as shares of 1."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else 0.0


def rate(hits: int, total: int) -> Rate:
    """The rate with its interval; of nothing, the interval is everything."""
    if total == 0:
        return Rate(0, 0, 0.0, 1.0)
    interval = binomtest(hits, total).proportion_ci(method="wilson")
    return Rate(hits, total, float(interval.low), float(interval.high))
