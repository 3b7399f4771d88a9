"""Aggregates that count: the mean of scores, and Borda's share of comparisons won."""

from __future__ import annotations

import numpy as np

from rather.stats.votes import Floats, Ints, Votes, total


def mean_score(item: Ints, score: Floats, weight: Floats, items: int) -> Floats:
    """Weighted mean score of each item; NaN for one that nobody scored."""
    weights = total(item, weight, items)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights > 0, total(item, score * weight, items) / weights, np.nan)


def borda(votes: Votes) -> Floats:
    """Share of its comparisons that each item won, a tie counting half; NaN for one that was in none.

    In one full ranking of n items this is Borda's count (Borda 1781), n − place, divided by n − 1.
    """
    votes = votes.oriented()
    points = 1 - votes.outcome / 2
    won = total(votes.first, points * votes.weight, votes.items)
    won += total(votes.second, (1 - points) * votes.weight, votes.items)
    compared = total(votes.first, votes.weight, votes.items) + total(votes.second, votes.weight, votes.items)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(compared > 0, won / compared, np.nan)
