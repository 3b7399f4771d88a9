"""Noisy Bradley–Terry: scores of items, and skill, side bias and readiness to tie of judges, in one model.

    first : tie : second = exp(d/2) : exp(t + t_j) : exp(−d/2)        d = k_j · (s_first − s_second) + b_j

k_j is judge j's skill (0: does not look; 1: as the average vote, or with gold as gold), b_j its bias to the side shown first,
t_j its readiness to call a tie; s = m_model + e, where it is known which model wrote an answer, so that a model's answers
speak for each other. The idea is CrowdBT's (Chen et al. 2013), with a skill that scales the difference, side bias, and Davidson's
ties.
All have normal priors; the fit is the posterior's mode, with judges' intervals from its curvature given the scores.
Votes without a side have no b_j. A gold judge has skill 1 and no bias, and each of its votes stands for `GOLD_VOTES`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rather.stats.bradley_terry import SPREAD, TIE_SPREAD, Scores, lowest
from rather.stats.judges import Z95, Judges, counted
from rather.stats.odds import log_davidson
from rather.stats.votes import FIRST, SECOND, TIE, Bools, Floats, Ints, Votes, total

ANSWER_SPREAD = 0.5
"""Of an answer around its model's score; `SPREAD` is that of models, and of answers of nobody known."""
SKILL_SPREAD = 0.5
SIDE_SPREAD = 0.5
JUDGE_TIE_SPREAD = 1.0
GOLD_VOTES = 20.0
SMALLEST_UNIT = 0.1


@dataclass(frozen=True)
class NoisyBradleyTerry:
    """What was found. `scores` are of items, for a judge of skill 1 without bias; `models` is [M]."""

    scores: Scores
    models: Floats
    judges: Judges


def noisy_bradley_terry(votes: Votes, *, model: Ints | None = None, gold: Bools | None = None) -> NoisyBradleyTerry:
    """Fit the model. model: who wrote each item, −1 where unknown [I]. gold: judges whose votes are the truth [J]."""
    model = np.full(votes.items, -1, np.int64) if model is None else model
    gold = np.zeros(votes.judges, bool) if gold is None else gold
    votes = votes.ordered()
    fit = _Fit(votes, model, gold)
    start = fit.centre
    if gold.any():
        # The mode is not unique: liars who agree look like experts. So judges are first held against the gold alone.
        pair_V = votes.pairs()[2]
        anchored = np.isin(pair_V, pair_V[gold[votes.judge]])
        start = lowest(_Fit(votes.kept(anchored), model, gold).loss, start)
    point = lowest(fit.loss, start)
    part = fit.parts(point)
    # As ready to tie as the average vote, not the average judge: most judges gave few votes.
    tie = part["tie"][0] + _of_average_vote(part["judge_tie"], votes, 0.0)
    # The scale of scores is free (double them, halve every skill): the average vote has skill 1, or the gold judges have.
    unit = 1.0 if gold.any() else max(_of_average_vote(part["skill"], votes, 1.0), SMALLEST_UNIT)
    scores = Scores(fit.score(part) * unit, float(tie))
    return NoisyBradleyTerry(scores, part["model"] * unit, fit.judges_at(part, unit))


def _of_average_vote(value_J: Floats, votes: Votes, prior: float) -> float:
    """A judge's value, averaged over votes; without any vote what it is before there are any."""
    weight = votes.weight.sum()
    return float(votes.weight @ value_J[votes.judge] / weight) if weight > 0 else prior


class _Fit:
    """The posterior's negative logarithm over one long vector of parameters."""

    def __init__(self, votes: Votes, model: Ints, gold: Bools) -> None:
        self.gold = gold
        self.votes = votes = replace(votes, weight=votes.weight * np.where(gold[votes.judge], GOLD_VOTES, 1.0))
        self.models = int(model.max(initial=-1)) + 1
        self.model = np.where(model < 0, self.models, model)  # the place behind the last stands for nobody known
        sizes = {"answer": votes.items, "model": self.models, "skill": votes.judges, "side": votes.judges,
                 "judge_tie": votes.judges, "tie": 1}  # fmt: skip
        spread = {
            "answer": np.where(model < 0, SPREAD, ANSWER_SPREAD), "model": SPREAD, "skill": SKILL_SPREAD,
            "side": SIDE_SPREAD, "judge_tie": JUDGE_TIE_SPREAD, "tie": TIE_SPREAD,
        }  # fmt: skip
        ends = np.cumsum(list(sizes.values()))
        self.places = {name: slice(end - size, end) for (name, size), end in zip(sizes.items(), ends, strict=True)}
        self.precision = (
            np.concatenate([np.broadcast_to(spread[name], (size,)) for name, size in sizes.items()]) ** -2.0
        )
        self.centre = np.zeros(ends[-1])
        self.centre[self.places["skill"]] = 1.0
        self.free = np.ones(ends[-1], bool)
        for name in ("skill", "side"):
            self.free[self.places[name]] = ~gold
        self.is_first, self.is_tie = votes.outcome == FIRST, votes.outcome == TIE
        self.lead = self.is_first * 0.5 - (votes.outcome == SECOND) * 0.5

    def parts(self, point: Floats) -> dict[str, Floats]:
        return {name: point[place] for name, place in self.places.items()}

    def score(self, part: dict[str, Floats]) -> Floats:
        return part["answer"] + np.append(part["model"], 0.0)[self.model]

    def logs(self, part: dict[str, Floats]) -> tuple[Floats, tuple[Floats, Floats, Floats]]:
        """Difference of scores, and logarithms of the three outcomes, of each vote."""
        votes, score = self.votes, self.score(part)
        gap = score[votes.first] - score[votes.second]
        drive = part["skill"][votes.judge] * gap + part["side"][votes.judge] * votes.sided
        return gap, log_davidson(drive, part["tie"][0] + part["judge_tie"][votes.judge])

    def loss(self, point: Floats) -> tuple[float, Floats]:
        votes, part, judge = self.votes, self.parts(point), self.votes.judge
        gap, (first, even, second) = self.logs(part)
        value = -votes.weight @ np.select([self.is_first, self.is_tie], [first, even], second)
        drive = votes.weight * ((np.exp(first) - np.exp(second)) / 2 - self.lead)
        tie = votes.weight * (np.exp(even) - self.is_tie)
        pull = drive * part["skill"][judge]
        item = total(votes.first, pull, votes.items) - total(votes.second, pull, votes.items)
        slope = np.concatenate([
            item,
            total(self.model, item, self.models + 1)[: self.models],
            total(judge, drive * gap, votes.judges),
            total(judge, drive * votes.sided, votes.judges),
            total(judge, tie, votes.judges),
            [tie.sum()],
        ])  # fmt: skip
        away = point - self.centre
        value += 0.5 * (self.precision * away) @ away
        return float(value), np.where(self.free, slope + self.precision * away, 0.0)

    def judges_at(self, part: dict[str, Floats], unit: float) -> Judges:
        """Judges with intervals, from the curvature in each one's skill, bias and tie at the scores found."""
        skill_sd, side_sd = self._deviations(part)
        skill_sd[self.gold] = side_sd[self.gold] = 0
        skill, skill_sd = part["skill"] / unit, skill_sd / unit
        unseen = np.bincount(self.votes.judge, self.votes.sided, self.votes.judges) == 0
        side_sd[unseen] = np.nan
        given, ties = counted(self.votes)
        low, high = (_sigmoid(part["side"] + sign * Z95 * side_sd) for sign in (-1, 1))
        return Judges(
            skill, skill - Z95 * skill_sd, skill + Z95 * skill_sd,
            _sigmoid(part["side"]), low, high, ties, given,
        )  # fmt: skip

    def _deviations(self, part: dict[str, Floats]) -> tuple[Floats, Floats]:
        votes = self.votes
        gap, logs = self.logs(part)
        first, even, second = (np.exp(log) for log in logs)
        # Information of (d, t) in one vote, and d's slopes in skill and side.
        dd = votes.weight * ((first + second) / 4 - ((first - second) / 2) ** 2)
        dt = -votes.weight * even * (first - second) / 2
        tt = votes.weight * even * (1 - even)
        along = (gap, votes.sided.astype(np.float64))
        curvature = np.zeros((votes.judges, 3, 3))
        for row in range(2):
            for column in range(2):
                curvature[:, row, column] = total(votes.judge, dd * along[row] * along[column], votes.judges)
            curvature[:, row, 2] = curvature[:, 2, row] = total(votes.judge, dt * along[row], votes.judges)
        curvature[:, 2, 2] = total(votes.judge, tt, votes.judges)
        curvature += np.diag([SKILL_SPREAD**-2.0, SIDE_SPREAD**-2.0, JUDGE_TIE_SPREAD**-2.0])
        deviation = np.sqrt(np.diagonal(np.linalg.inv(curvature), axis1=1, axis2=2))
        return deviation[:, 0].copy(), deviation[:, 1].copy()


def _sigmoid(x: Floats) -> Floats:
    return 0.5 * (1 + np.tanh(x / 2))
