"""What it costs that an update ends with its slowest rank."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from statistics import NormalDist


def slowest(ranks: int, spread: float) -> float:
    """How much longer the slowest of `ranks` takes than the mean, where their times are normal with this relative spread.

    1 + spread · E[max of n standard normals], by Blom 1958: Φ⁻¹((n − 0.375) / (n + 0.25)), within 1 % of it from 8 ranks
    on and 5 % below.
    """
    return 1.0 if ranks == 1 else 1 + spread * NormalDist().inv_cdf((ranks - 0.375) / (ranks + 0.25))


def fullest(lengths: Sequence[float], ranks: int) -> float:
    """Tokens of the rank that has most over the mean, pairs of these lengths being dealt as training deals them: the largest
    first, each to whoever has least (Graham 1969; `training/batches.py`)."""
    loads = [0.0] * ranks
    for length in sorted(lengths, reverse=True):
        heapq.heapreplace(loads, loads[0] + length)
    return max(1.0, max(loads) * ranks / sum(lengths))
