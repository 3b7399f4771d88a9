"""Dawid and Skene's model: every pair has a true outcome, every judge a matrix of what it says when.

    P(judge says v | truth z) = C_j[z, v]      z, v ∈ {first, tie, second}, as the pair was shown

fitted by expectation–maximisation (Dawid & Skene 1979). Three things differ from the textbook, each for a reason:
the prior of first and of second is the same, for which answer has the lower number says nothing; a judge of few votes is drawn
towards the matrix of all (`STRENGTH` votes of it a row), or one with three votes would be a prophet; and a vote without a
side counts half in each orientation. Pairs that gold judges decided keep their verdicts as truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rather.stats.judges import Z95, Judges, counted
from rather.stats.odds import Odds
from rather.stats.votes import FIRST, SECOND, TIE, Bools, Floats, Ints, Votes, total

STRENGTH = 4.0
ORDINARY = 0.5 + 2 * np.eye(3)
"""Votes of nobody that stand beside everybody's: before there are data, judges are right in 5 of 7 cases."""
ROUNDS = 500
TOLERANCE = 1e-9


@dataclass(frozen=True)
class DawidSkene:
    """What was found: the odds of every compared pair (`low` against `high`, [K]) and the judges."""

    low: Ints
    high: Ints
    odds: Odds
    judges: Judges
    confusion: Floats
    """[J, truth, said]"""


def dawid_skene(votes: Votes, *, gold: Bools | None = None) -> DawidSkene:
    """Fit the model. gold: judges whose votes are the truth [J]."""
    gold = np.zeros(votes.judges, bool) if gold is None else gold
    low, high, pair_V, turned_V = votes.pairs()
    truth = _truth(votes.outcome, turned_V, pair_V, votes.weight * gold[votes.judge], len(low))
    rows = _Rows.of(votes, pair_V, turned_V, ~gold[votes.judge])
    known = truth.sum(axis=1) > 0
    truth[known] /= truth[known].sum(axis=1, keepdims=True)
    belief = _truth(votes.outcome, turned_V, pair_V, votes.weight, len(low)) + 1 / 3
    belief /= belief.sum(axis=1, keepdims=True)
    belief[known] = truth[known]
    for _ in range(ROUNDS):
        confusion, counts = rows.confusion(belief, votes.judges)
        after = rows.belief(confusion, _prior(belief), len(low))
        after[known] = truth[known]
        change = np.abs(after - belief).max(initial=0)
        belief = after
        if change < TOLERANCE:
            break
    confusion, counts = rows.confusion(belief, votes.judges)
    confusion[gold] = np.eye(3)
    odds = Odds(belief[:, FIRST], belief[:, TIE], belief[:, SECOND])
    return DawidSkene(low, high, odds, _judges(votes, confusion, counts, gold), confusion)


@dataclass(frozen=True)
class _Rows:
    """Votes by pair, judge and outcome as shown; one without a side stands here twice, at half its weight."""

    pair: Ints
    judge: Ints
    said: Ints
    turned: Bools
    weight: Floats

    @classmethod
    def of(cls, votes: Votes, pair_V: Ints, turned_V: Bools, mask: Bools) -> _Rows:
        bare = np.flatnonzero(mask & ~votes.sided)
        rows = np.r_[np.flatnonzero(mask), bare]
        other_side = np.r_[np.zeros(mask.sum(), bool), np.ones(len(bare), bool)]
        said = np.where(other_side, SECOND - votes.outcome[rows], votes.outcome[rows])
        weight = votes.weight[rows] * np.where(votes.sided[rows], 1.0, 0.5)
        return cls(pair_V[rows], votes.judge[rows], said, turned_V[rows] ^ other_side, weight)

    def confusion(self, belief: Floats, judges: int) -> tuple[Floats, Floats]:
        """What each judge says when, and how many votes a row rests on."""
        shown = np.where(self.turned[:, None], belief[self.pair][:, ::-1], belief[self.pair])
        counts = np.zeros((judges, 3, 3))
        for z in range(3):
            cell = self.judge * 3 + self.said
            counts[:, z] = np.bincount(cell, shown[:, z] * self.weight, judges * 3).reshape(judges, 3)
        pooled = counts.sum(axis=0) + ORDINARY
        pooled = (pooled + pooled[::-1, ::-1]) / 2  # all judges together favour no side
        pooled /= pooled.sum(axis=1, keepdims=True)
        weighed = counts + STRENGTH * pooled
        rests_on = weighed.sum(axis=2)
        return weighed / rests_on[:, :, None], rests_on

    def belief(self, confusion: Floats, prior: Floats, pairs: int) -> Floats:
        """The odds of each pair."""
        logs = np.log(confusion)
        said = np.empty((pairs, 3))
        for z in range(3):
            shown = np.where(self.turned, SECOND - z, z)
            said[:, z] = np.log(prior[z]) + np.bincount(
                self.pair, logs[self.judge, shown, self.said] * self.weight, pairs
            )
        said = np.exp(said - said.max(axis=1, keepdims=True))
        return said / said.sum(axis=1, keepdims=True)


def _truth(outcome: Ints, turned: Bools, pair: Ints, weight: Floats, pairs: int) -> Floats:
    """Weight of the votes for each outcome of each pair, lower item first [K, 3]."""
    upright = np.where(turned, SECOND - outcome, outcome)
    return total(pair * 3 + upright, weight, pairs * 3).reshape(pairs, 3)


def _prior(belief: Floats) -> Floats:
    share = belief.mean(axis=0)
    return np.clip((share + share[::-1]) / 2, 1e-9, None)


def _judges(votes: Votes, confusion: Floats, rests_on: Floats, gold: Bools) -> Judges:
    """Skill: how much likelier a judge names an answer when it is the better one than when it is the worse one."""
    right = (confusion[:, FIRST, FIRST] + confusion[:, SECOND, SECOND]) / 2
    wrong = (confusion[:, FIRST, SECOND] + confusion[:, SECOND, FIRST]) / 2
    first = (confusion[:, FIRST, FIRST] + confusion[:, SECOND, FIRST]) / 2
    second = (confusion[:, FIRST, SECOND] + confusion[:, SECOND, SECOND]) / 2
    decided = first + second
    skill_sd = _sd(confusion, rests_on, np.array([[0.5, -0.5], [-0.5, 0.5]])[None])
    slopes = np.stack([second, -first], axis=1)[:, None, :] / 2 / decided[:, None, None] ** 2
    side_sd = _sd(confusion, rests_on, np.broadcast_to(slopes, (len(first), 2, 2)))
    skill, side = right - wrong, first / decided
    skill_sd[gold] = side_sd[gold] = 0
    unseen = np.bincount(votes.judge, votes.sided, votes.judges) == 0
    side[unseen], side_sd[unseen] = 0.5, np.nan
    given, ties = counted(votes)
    return Judges(
        skill, np.maximum(skill - Z95 * skill_sd, -1), np.minimum(skill + Z95 * skill_sd, 1),
        side, np.maximum(side - Z95 * side_sd, 0), np.minimum(side + Z95 * side_sd, 1), ties, given,
    )  # fmt: skip


def _sd(confusion: Floats, rests_on: Floats, slopes: Floats) -> Floats:
    """Standard deviation of a quantity with these slopes in (truth first or second) × (said first or second) [J, 2, 2].

    Each row of the matrix is a Dirichlet posterior; the rows are independent.
    """
    variance = np.zeros(len(confusion))
    for row, z in enumerate((FIRST, SECOND)):
        said = confusion[:, z][:, [FIRST, SECOND]]
        slope = np.broadcast_to(slopes[:, row], said.shape)
        mean = (slope * said).sum(axis=1)
        variance += ((slope**2 * said).sum(axis=1) - mean**2) / (rests_on[:, z] + 1)
    return np.sqrt(np.maximum(variance, 0))
