"""How far people agree beyond chance: Krippendorff's α, Gwet's AC1 and Cohen's κ, from votes as columns.

Every row says that a coder gave a unit a value (0 … categories − 1). α and AC1 take any number of coders a unit and any votes
that are missing; their intervals draw units with replacement. The same coder twice on one unit is for the caller to leave out.
Unlike evalica's α, which agrees with this one to the last digits, no table of coders × units is made.

Shapes: `V` votes, `T` kinds of units (of one kind are those with the same counts of values), `C` categories, `D` draws,
`K` pairs of coders.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_matrix, triu

from rather.stats.judges import Z95
from rather.stats.votes import Floats, Ints

Metric = Literal["nominal", "ordinal"]

DRAWS = 1000

# Draws that are held at once, times kinds of units.
_CHUNK = 2_000_000


@dataclass(frozen=True)
class Agreement:
    """A coefficient and its 95 % interval, and on how many units with two votes or more it rests. NaN: cannot be said."""

    value: float
    low: float
    high: float
    units: int

    @property
    def known(self) -> bool:
        return not np.isnan(self.value)


def krippendorff(
    unit: Ints, value: Ints, *, categories: int, metric: Metric = "nominal", draws: int = DRAWS, seed: int = 0
) -> Agreement:
    """Krippendorff's α (Krippendorff 2018, ch. 12): 1 − observed / expected disagreement. NaN where all values are the same.

    `ordinal`: values are places, and how far two of them lie apart is how many votes lie between them.
    """
    counts, times = _kinds(unit, value, categories)
    several = counts.sum(axis=1) >= 2
    counts, times = counts[several], times[several]
    if not len(counts):
        return Agreement(np.nan, np.nan, np.nan, 0)
    votes = counts.sum(axis=1)
    coincidence = counts[:, :, None] * counts[:, None, :] - counts[:, :, None] * np.eye(categories)
    flat = (coincidence / (votes - 1)[:, None, None]).reshape(len(counts), -1)

    def alpha(weight: Floats) -> Floats:
        return _alpha((weight @ flat).reshape(-1, categories, categories), metric)

    return _with_interval(alpha, times, int(times.sum()), draws, seed)


def gwet(unit: Ints, value: Ints, *, categories: int, draws: int = DRAWS, seed: int = 0) -> Agreement:
    """Gwet's AC1 (Gwet 2008): agreement beyond chance where one value is far more common than the others, and α misleads."""
    counts, times = _kinds(unit, value, categories)
    votes = counts.sum(axis=1)
    several = votes >= 2
    if not several.any() or categories < 2:
        return Agreement(np.nan, np.nan, np.nan, 0)
    agreed = np.where(several, (counts * (counts - 1)).sum(axis=1) / np.maximum(votes * (votes - 1), 1), 0.0)
    share = counts / votes[:, None]

    def ac1(weight: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):  # a draw without a unit of two votes
            observed = (weight @ agreed) / (weight @ several)
        common = (weight @ share) / weight.sum(axis=1, keepdims=True)
        chance = (common * (1 - common)).sum(axis=1) / (categories - 1)
        return (observed - chance) / (1 - chance)

    return _with_interval(ac1, times, int(times[several].sum()), draws, seed)


def same_share(unit: Ints, value: Ints, *, categories: int) -> float:
    """The share of a unit's pairs of votes that say the same, averaged over units. NaN where no unit has two votes."""
    counts, times = _kinds(unit, value, categories)
    votes = counts.sum(axis=1)
    several = votes >= 2
    if not several.any():
        return np.nan
    counts, times, votes = counts[several], times[several], votes[several]
    return float(times @ ((counts * (counts - 1)).sum(axis=1) / (votes * (votes - 1))) / times.sum())


@dataclass(frozen=True)
class Kappas:
    """Cohen's κ of pairs of coders [K], with 95 % intervals; `agree` is their share of the same value on `shared` units."""

    first: Ints
    second: Ints
    shared: Ints
    agree: Floats
    value: Floats
    low: Floats
    high: Floats

    def __len__(self) -> int:
        return len(self.first)


def cohen(unit: Ints, coder: Ints, value: Ints, *, categories: int, least: int = 1) -> Kappas:
    """κ (Cohen 1960) of every two coders with `least` units in common. Interval: Fleiss, Cohen and Everitt 1969."""
    size = (int(unit.max(initial=-1)) + 1, int(coder.max(initial=-1)) + 1)
    said = []
    for c in range(categories):
        rows = np.flatnonzero(value == c)
        said.append(csr_matrix((np.ones(len(rows)), (unit[rows], coder[rows])), size))
    everything = csr_matrix((np.ones(len(unit)), (unit, coder)), size)
    together = triu(everything.T @ everything, k=1).tocoo()
    enough = together.data >= least
    first, second, shared = together.row[enough], together.col[enough], together.data[enough]
    joint = np.zeros((len(first), categories, categories))
    for c in range(categories):
        for d in range(categories):
            both = (said[c].T @ said[d]).tocsr()
            joint[:, c, d] = np.asarray(both[first, second]).ravel() if len(first) else 0.0
    joint /= np.maximum(shared, 1)[:, None, None]
    value_K, deviation = _kappa(joint, shared)
    low, high = np.maximum(value_K - Z95 * deviation, -1), np.minimum(value_K + Z95 * deviation, 1)
    agree = np.trace(joint, axis1=1, axis2=2)
    return Kappas(first, second, shared.astype(np.int64), agree, value_K, low, high)


def _kappa(joint: Floats, shared: Ints) -> tuple[Floats, Floats]:
    """κ of joint shares [K, C, C], and its standard deviation. NaN where both always say one and the same."""
    rows, columns = joint.sum(axis=2), joint.sum(axis=1)
    observed, chance = np.trace(joint, axis1=1, axis2=2), (rows * columns).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        kappa = np.where(chance < 1 - 1e-12, (observed - chance) / (1 - chance), np.nan)
        less = (1 - kappa)[:, None, None]
        marginal = (
            columns[:, :, None] + rows[:, None, :]
        )  # of a cell (i, j): how common i is with the second, j with the first
        diagonal = np.eye(joint.shape[1])
        term = joint * np.where(diagonal == 1, (1 - marginal * less) ** 2, (less * marginal) ** 2)
        variance = term.sum(axis=(1, 2)) - (kappa - chance * (1 - kappa)) ** 2
        return kappa, np.sqrt(np.maximum(variance, 0) / shared) / (1 - chance)


def _kinds(unit: Ints, value: Ints, categories: int) -> tuple[Floats, Floats]:
    """Counts of values of each kind of units [T, C], and how many units are of it [T]."""
    unit = np.unique(unit, return_inverse=True)[1].reshape(-1)
    units = int(unit.max(initial=-1)) + 1
    counts = np.bincount(unit * categories + value, minlength=units * categories).reshape(units, categories)
    kinds, times = np.unique(counts, axis=0, return_counts=True)
    return kinds.astype(np.float64), times.astype(np.float64)


def _alpha(coincidence: Floats, metric: Metric) -> Floats:
    """α of coincidence matrices [D, C, C]."""
    common = coincidence.sum(axis=2)
    total = common.sum(axis=1)
    if metric == "ordinal":
        middle = np.cumsum(common, axis=1) - common / 2
        apart = (middle[:, :, None] - middle[:, None, :]) ** 2
    else:
        apart = np.broadcast_to(1 - np.eye(common.shape[1]), coincidence.shape)
    observed = (coincidence * apart).sum(axis=(1, 2))
    expected = (common[:, :, None] * common[:, None, :] * apart).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(expected > 0, 1 - (total - 1) * observed / expected, np.nan)


def _with_interval(
    statistic: Callable[[Floats], Floats], times: Floats, units: int, draws: int, seed: int
) -> Agreement:
    """The statistic of all units, and its percentile interval over units drawn with replacement (Efron 1979)."""
    random = np.random.default_rng(seed)
    all_units = int(times.sum())
    found = []
    step = max(1, _CHUNK // max(len(times), 1))
    for start in range(0, draws, step):
        weight = random.multinomial(all_units, times / times.sum(), size=min(step, draws - start))
        found.append(statistic(weight.astype(np.float64)))
    value = float(statistic(times[None])[0])
    drawn = np.concatenate(found) if found else np.zeros(0)
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(drawn):
        return Agreement(value, np.nan, np.nan, units)
    return Agreement(value, float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975)), units)
