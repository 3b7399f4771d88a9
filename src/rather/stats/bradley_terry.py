"""Scores of items from votes alike in trust: Bradley and Terry's model, and Newman's with ties.

    maximise  Σ_V weight · log P(outcome)  −  Σ_I score² / 2·spread²

The prior keeps an item that won its one comparison at a finite score, and makes the answer to one vote a probability below 1.
With `spread` infinite these are the maximum-likelihood scores that evalica computes; unlike it, no matrix of items × items
is made, so that a million answers of which each is compared with three others fit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from rather.stats.odds import NO_TIES, log_davidson
from rather.stats.votes import FIRST, SECOND, TIE, Floats, Votes, total

SPREAD = 1.0
"""Standard deviation of scores before any vote: two random items then differ by 1.4 logits, odds of 4 to 1, or less."""

TIE_SPREAD = 2.0


@dataclass(frozen=True)
class Scores:
    """Scores in logits [I], and the logit of a tie between equals."""

    score: Floats
    tie: float = NO_TIES


def bradley_terry(votes: Votes, *, spread: float = SPREAD) -> Scores:
    """Bradley and Terry 1952: P(first) = σ(difference); a tie counts half a vote for either."""
    votes = votes.oriented()
    points = 1 - votes.outcome / 2

    def loss(score: Floats) -> tuple[float, Floats]:
        gap = score[votes.first] - score[votes.second]
        value = votes.weight @ (np.logaddexp(0, gap) - points * gap)
        pull = votes.weight * (_sigmoid(gap) - points)
        slope = total(votes.first, pull, votes.items) - total(votes.second, pull, votes.items)
        return float(value + 0.5 * (score @ score) / spread**2), slope + score / spread**2

    return Scores(lowest(loss, np.zeros(votes.items)))


def newman(votes: Votes, *, spread: float = SPREAD) -> Scores:
    """Newman 2023: Bradley–Terry in which a tie is an outcome of its own. His ν is exp(tie) / 2."""
    votes = votes.oriented()
    is_tie = votes.outcome == TIE
    lead = (votes.outcome == FIRST) * 0.5 - (votes.outcome == SECOND) * 0.5
    tie_precision = 0.0 if np.isinf(spread) else 1 / TIE_SPREAD**2

    def loss(point: Floats) -> tuple[float, Floats]:
        score, tie = point[:-1], point[-1]
        first, even, second = log_davidson(score[votes.first] - score[votes.second], tie)
        value = -votes.weight @ np.select([votes.outcome == FIRST, is_tie], [first, even], second)
        pull = votes.weight * ((np.exp(first) - np.exp(second)) / 2 - lead)
        slope = total(votes.first, pull, votes.items) - total(votes.second, pull, votes.items)
        tie_slope = votes.weight @ (np.exp(even) - is_tie) + tie * tie_precision
        value += 0.5 * (score @ score) / spread**2 + 0.5 * tie_precision * tie**2
        return float(value), np.append(slope + score / spread**2, tie_slope)

    found = lowest(loss, np.zeros(votes.items + 1))
    return Scores(found[:-1], float(found[-1]))


def lowest(loss: Callable[[Floats], tuple[float, Floats]], start: Floats) -> Floats:
    """Where a smooth function is lowest; `loss` gives value and slope."""
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=_EXACT)
    return found.x


# Far below what a probability is written with; the iterations' number bounds the time for separable data without a prior.
_EXACT = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-14, "gtol": 1e-7, "maxcor": 20}


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))
