"""What a model of scores says of a pair: the probabilities that the first is better, that neither is, that the second is.

Davidson's model of ties (Davidson 1970; Newman 2023, "Efficient computation of rankings from pairwise comparisons", eq. 24):

    first : tie : second = exp(d/2) : exp(t) : exp(−d/2)

with d the difference of scores and t the logit of a tie between equals. Without ties (t = −∞) it is Bradley and Terry's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rather.stats.votes import Floats, Ints

NO_TIES = -np.inf


@dataclass(frozen=True)
class Odds:
    """Probabilities of many pairs, [K] each; they sum to 1."""

    first: Floats
    tie: Floats
    second: Floats

    @property
    def better(self) -> Floats:
        """That the first is better, a tie counting half to either side: 1 − that of the swapped pair."""
        return 0.5 + (self.first - self.second) / 2

    @property
    def tied(self) -> np.ndarray:
        """True where a tie is likelier than either answer, or the two are equally likely."""
        return (self.tie > np.maximum(self.first, self.second)) | (np.abs(self.first - self.second) < 1e-9)


def davidson(difference: Floats, tie: Floats | float) -> Odds:
    """The odds of pairs whose scores differ by `difference`."""
    first, even, second = log_davidson(difference, tie)
    return Odds(np.exp(first), np.exp(even), np.exp(second))


def log_davidson(difference: Floats, tie: Floats | float) -> tuple[Floats, Floats, Floats]:
    """Logarithms of the three probabilities, without overflow."""
    half, even = difference / 2, np.broadcast_to(np.asarray(tie, np.float64), difference.shape)
    top = np.maximum(np.abs(half), even)
    log_sum = top + np.log(np.exp(half - top) + np.exp(even - top) + np.exp(-half - top))
    return half - log_sum, even - log_sum, -half - log_sum


def between(score: Floats, tie: float, first: Ints, second: Ints) -> Odds:
    """The odds of items by their scores."""
    return davidson(score[first] - score[second], tie)
