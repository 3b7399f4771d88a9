"""Intervals of shares by resampling whole clusters, since the votes of one person are not independent."""

from __future__ import annotations

import numpy as np

from rather.stats.votes import Floats


def clustered_share(
    hits: Floats, totals: Floats, *, draws: int = 10_000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """Σ hits / Σ totals over clusters, and its percentile interval over clusters drawn with replacement (Efron 1979).

    `hits` may be differences of two counts, for a difference of shares.
    """
    random = np.random.default_rng(seed)
    shares = np.empty(draws)
    for start in range(0, draws, 500):
        drawn = random.integers(0, len(hits), (min(500, draws - start), len(hits)))
        shares[start : start + len(drawn)] = hits[drawn].sum(axis=1) / totals[drawn].sum(axis=1)
    tail = (1 - level) / 2
    return float(hits.sum() / totals.sum()), float(np.quantile(shares, tail)), float(np.quantile(shares, 1 - tail))
