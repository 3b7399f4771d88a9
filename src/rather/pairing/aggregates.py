"""From all that was said of answers to one score each, and to the odds of a pair. To add one, write a function and a line.

AGGREGATES    judges are trusted alike
RELIABILITY   judges are trusted by what their votes show of them
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rather.errors import ConfigError
from rather.pairing.evidence import Evidence
from rather.stats.averages import borda, mean_score
from rather.stats.bradley_terry import Scores, bradley_terry, newman
from rather.stats.dawid_skene import dawid_skene
from rather.stats.judges import Judges
from rather.stats.noisy import noisy_bradley_terry
from rather.stats.odds import Odds, between
from rather.stats.plackett_luce import plackett_luce
from rather.stats.votes import FIRST, SECOND, TIE, Bools, Floats, Ints, Votes, total

OddsOf = Callable[[Ints, Ints], Odds]


class Direct:
    """Which pairs were compared directly, and which of them were called a tie more often than either answer was named.

    Scores alone cannot tell: those of one vote are drawn towards each other, and those of a pair that everybody called a tie may be
    drawn apart by what was said of other answers.
    """

    def __init__(self, votes: Votes, weight: Floats) -> None:
        low, high, pair_V, turned_V = votes.pairs()
        upright = np.where(turned_V, SECOND - votes.outcome, votes.outcome)
        said = np.bincount(pair_V * 3 + upright, weight, len(low) * 3).reshape(-1, 3)
        self._answers = np.int64(votes.items)
        self._compared = low * self._answers + high
        self._ties = self._compared[said[:, TIE] > np.maximum(said[:, FIRST], said[:, SECOND])]

    def compared(self, first: Ints, second: Ints) -> Bools:
        return self._in(self._compared, first, second)

    def ties(self, first: Ints, second: Ints) -> Bools:
        return self._in(self._ties, first, second)

    def _in(self, keys: Ints, first: Ints, second: Ints) -> Bools:
        wanted = np.minimum(first, second) * self._answers + np.maximum(first, second)
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        return keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)


@dataclass(frozen=True)
class Aggregated:
    """What judgments come to.

    score   of each answer; NaN where nothing was said [A]
    group   answers with the same number can be compared with each other [A]
    odds    (first, second) → Odds, NaN for pairs of which nothing is known; None if the aggregate gives no probabilities
    direct  what was said of pairs directly; None where the odds say that already, or the scores alone count
    middle  a score above which an answer is good by itself; None: its prompt's mean
    judges  what was found of the judges
    models  score of each model, where models were found together with judges
    """

    score: Floats
    group: Ints
    odds: OddsOf | None = None
    direct: Direct | None = None
    middle: float | None = None
    judges: Judges | None = None
    models: dict[str, float] = field(default_factory=dict)


def mean(evidence: Evidence) -> Aggregated:
    """Mean rating. Ratings on several scales are first put on 0 … 1. Raises ConfigError for other judgments than ratings."""
    others = {kind: count for kind, count in evidence.kinds.items() if kind != "rating"}
    if others:
        kind, count = next(iter(others.items()))
        raise ConfigError(f"--aggregate mean is of ratings, and there are {count:,} {kind}s; choose another, as borda")
    ratings = evidence.ratings
    scales = [evidence.scales[number] for number in np.unique(ratings.scale)]
    score, middle = ratings.score, None
    if len(scales) > 1:
        if None in scales:
            raise ConfigError(
                "--aggregate mean: some ratings have a scale and others none, so they cannot be put together; give every row a "
                '"scale", or choose --aggregate borda, which needs none'
            )
        low, high = (np.array([0.0 if s is None else s[end] for s in evidence.scales]) for end in (0, 1))
        score, middle = (score - low[ratings.scale]) / (high - low)[ratings.scale], 0.5
    elif scales[0] is not None:
        middle = sum(scales[0]) / 2
    score = mean_score(ratings.item, score, ratings.weight, evidence.answers)
    return Aggregated(score, evidence.prompt_A, middle=middle)


def by_borda(evidence: Evidence) -> Aggregated:
    """Share of its comparisons that an answer won; ratings and rankings count as comparisons."""
    votes = evidence.votes
    return Aggregated(borda(votes), connected(evidence, votes), direct=Direct(votes, votes.weight))


def by_bradley_terry(evidence: Evidence) -> Aggregated:
    """Bradley–Terry scores in logits; a tie is half a win for either."""
    return _scored(evidence, bradley_terry(evidence.votes))


def by_newman(evidence: Evidence) -> Aggregated:
    """Newman's scores in logits; a tie is an outcome of its own."""
    return _scored(evidence, newman(evidence.votes))


def by_plackett_luce(evidence: Evidence) -> Aggregated:
    """Plackett–Luce scores in logits, from whole rankings."""
    lists = evidence.lists
    return _scored(evidence, plackett_luce(lists.group, lists.item, lists.score, lists.weight, items=evidence.answers))


AGGREGATES: dict[str, Callable[[Evidence], Aggregated]] = {
    "mean": mean,
    "borda": by_borda,
    "bradley-terry": by_bradley_terry,
    "newman": by_newman,
    "plackett-luce": by_plackett_luce,
}


def by_dawid_skene(evidence: Evidence, gold: Bools) -> Aggregated:
    """Each compared pair by itself; an answer's score is its share of wins by these odds. Raises ConfigError without overlap."""
    votes = evidence.votes
    pair_V = votes.pairs()[2]
    judges_of_pair = np.unique(pair_V * len(evidence.judges) + votes.judge) // len(evidence.judges)
    if np.bincount(judges_of_pair).max(initial=0) < 2:
        raise ConfigError(
            "--reliability dawid-skene learns from judges of the same pair, and no pair has two; choose noisy-bradley-terry"
        )
    found = dawid_skene(votes, gold=gold)
    better, compared = found.odds.better, np.ones(len(found.low))
    wins = total(found.low, better, evidence.answers) + total(found.high, 1 - better, evidence.answers)
    count = total(found.low, compared, evidence.answers) + total(found.high, compared, evidence.answers)
    with np.errstate(invalid="ignore"):
        score = wins / count
    odds = _table(found.low, found.high, found.odds, evidence.answers, None)
    return Aggregated(score, connected(evidence, votes), odds, judges=found.judges)


def by_noisy_bradley_terry(evidence: Evidence, gold: Bools) -> Aggregated:
    """Scores of answers and models together with judges' skill and side bias; a pair that gold judged has gold's verdict."""
    votes = evidence.votes
    found = noisy_bradley_terry(votes, model=evidence.writer_A, gold=gold)
    scored = _scored(evidence, found.scores)
    odds = scored.odds
    if gold.any():
        truth = votes.kept(gold[votes.judge])
        low, high, pair_V, turned_V = truth.pairs()
        upright = np.where(turned_V, SECOND - truth.outcome, truth.outcome)
        share = np.bincount(pair_V * 3 + upright, truth.weight, len(low) * 3).reshape(-1, 3)
        share /= share.sum(axis=1, keepdims=True)
        odds = _table(low, high, Odds(share[:, FIRST], share[:, TIE], share[:, SECOND]), evidence.answers, odds)
    models = {name: round(float(score), 4) for name, score in zip(evidence.models, found.models, strict=True)}
    group = connected(evidence, votes, by_model=True)
    direct = Direct(votes, votes.weight * np.maximum(found.judges.skill, 0)[votes.judge])
    return Aggregated(found.scores.score, group, odds, direct, judges=found.judges, models=models)


RELIABILITY: dict[str, Callable[[Evidence, Bools], Aggregated]] = {
    "dawid-skene": by_dawid_skene,
    "noisy-bradley-terry": by_noisy_bradley_terry,
}


def default_aggregate(evidence: Evidence) -> str:
    """What suits the kinds of judgments that there are."""
    match sorted(kind for kind, count in evidence.kinds.items() if count):
        case ["rating"]:
            return "mean"
        case ["ranking"]:
            return "plackett-luce"
        case _:
            return "newman"


def connected(evidence: Evidence, votes: Votes, *, by_model: bool = False) -> Ints:
    """A number for each answer: equal for answers of a prompt that comparisons connect, directly or through others [A].

    by_model: answers of two models are connected too where comparisons connect the models.
    """
    answers, first, second = evidence.answers, votes.first, votes.second
    size = answers
    if by_model:
        size += len(evidence.models)
        judged = np.zeros(answers, bool)
        judged[first] = judged[second] = True
        known = np.flatnonzero(judged & (evidence.writer_A >= 0))
        first, second = np.r_[first, known], np.r_[second, answers + evidence.writer_A[known]]
    edges = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(size, size))
    part = connected_components(edges, directed=False)[1][:answers]
    return np.unique(evidence.prompt_A * np.int64(size) + part, return_inverse=True)[1]


def _scored(evidence: Evidence, scores: Scores) -> Aggregated:
    votes = evidence.votes
    judged = np.zeros(evidence.answers, bool)
    judged[votes.first] = judged[votes.second] = True

    def odds(first: Ints, second: Ints) -> Odds:
        return between(scores.score, scores.tie, first, second)

    score = np.where(judged, scores.score, np.nan)
    return Aggregated(score, connected(evidence, votes), odds, Direct(votes, votes.weight))


def _table(low: Ints, high: Ints, known: Odds, answers: int, rest: OddsOf | None) -> OddsOf:
    """Odds that are known pair by pair; others by `rest`, or NaN."""
    keys = low * np.int64(answers) + high  # in order, as `pairs` gives them

    def odds(first: Ints, second: Ints) -> Odds:
        wanted = np.minimum(first, second) * np.int64(answers) + np.maximum(first, second)
        place = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        there, turned = keys[place] == wanted, first > second
        other = rest(first, second) if rest else Odds(*(np.full(len(first), np.nan) for _ in range(3)))
        found = known.first[place], known.second[place]
        ahead, behind = np.where(turned, found[1], found[0]), np.where(turned, found[0], found[1])
        return Odds(
            np.where(there, ahead, other.first),
            np.where(there, known.tie[place], other.tie),
            np.where(there, behind, other.second),
        )

    return odds
