"""Agreement beyond chance: published examples, numbers by hand, and what must not change it."""

from __future__ import annotations

import evalica
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rather.stats.agreement import cohen, gwet, krippendorff, same_share

# Krippendorff's reliability data (2011, "Computing Krippendorff's Alpha-Reliability", C): 4 observers × 12 units, 0 for missing.
# Gwet's handbook and R's irrCAC use the same table.
FOUR = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
])  # fmt: skip
# Three coders × 15 units, as in Wikipedia's article on α.
THREE = np.array([
    [0, 0, 0, 0, 0, 3, 4, 1, 2, 1, 1, 3, 3, 0, 3],
    [1, 0, 2, 1, 3, 3, 4, 3, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 2, 1, 3, 4, 4, 0, 2, 1, 1, 3, 3, 0, 4],
])  # fmt: skip


def columns(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """unit, coder, value of a table of coders × units with 0 for missing."""
    coder, unit = np.nonzero(table)
    return unit, coder, table[coder, unit] - 1


class TestPublished:
    @pytest.mark.parametrize(
        ("table", "metric", "alpha"),
        [(FOUR, "nominal", 0.743), (FOUR, "ordinal", 0.815), (THREE, "nominal", 0.691)],
    )
    def test_krippendorffs_alpha(self, table: np.ndarray, metric, alpha: float):
        unit, _, value = columns(table)
        assert krippendorff(unit, value, categories=5, metric=metric).value == pytest.approx(alpha, abs=5e-4)

    def test_gwets_ac1(self):
        unit, _, value = columns(FOUR)
        assert gwet(unit, value, categories=5).value == pytest.approx(0.77544, abs=5e-6)

    def test_cohens_kappa_of_50_grants(self):
        # 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no: agreement 0.7, by chance 0.5.
        first, second = np.repeat([1, 1, 0, 0], [20, 5, 10, 15]), np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
        unit = np.tile(np.arange(50), 2)
        found = cohen(unit, np.repeat([0, 1], 50), np.r_[first, second], categories=2)
        assert (found.shared.tolist(), found.agree[0], found.value[0]) == ([50], pytest.approx(0.7), pytest.approx(0.4))


class TestByHand:
    def test_two_units_two_coders(self):
        # a a, a b: coincidences aa 2, ab 1, ba 1 of 4; a is 3 of 4. Observed 1/2, expected 2·3·1/(4·3) = 1/2.
        assert krippendorff(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 1]), categories=2).value == pytest.approx(0)

    def test_ac1_is_high_where_alpha_is_paradoxical(self):
        # 100 units, on 96 both say 0, on 4 they differ: agreement 0.96, and α is below 0.
        unit, value = np.repeat(np.arange(100), 2), np.zeros(200, np.int64)
        value[[0, 2, 5, 7]] = 1
        alpha, ac1 = krippendorff(unit, value, categories=2), gwet(unit, value, categories=2)
        chance = 2 * 0.02 * 0.98
        assert alpha.value == pytest.approx(1 - 199 * 8 / (2 * 4 * 196)), "coincidences: 8 unlike, 196 zeros, 4 ones"
        assert alpha.value < 0
        assert ac1.value == pytest.approx((0.96 - chance) / (1 - chance))
        assert same_share(unit, value, categories=2) == pytest.approx(0.96)

    def test_nothing_in_common_says_nothing(self):
        alone = krippendorff(np.arange(5), np.zeros(5, np.int64), categories=2)
        assert (alone.known, alone.units) == (False, 0)
        assert not gwet(np.arange(5), np.zeros(5, np.int64), categories=2).known
        assert np.isnan(same_share(np.arange(5), np.zeros(5, np.int64), categories=2))
        assert len(cohen(np.arange(5), np.arange(5), np.zeros(5, np.int64), categories=2)) == 0

    def test_one_value_everywhere_leaves_alpha_unknown(self):
        unit = np.repeat(np.arange(5), 2)
        assert not krippendorff(unit, np.zeros(10, np.int64), categories=3).known
        assert np.isnan(cohen(unit, np.tile([0, 1], 5), np.zeros(10, np.int64), categories=3).value[0])

    def test_kappa_only_where_enough_is_shared(self):
        unit, coder = np.array([0, 1, 2, 0, 1, 2, 0]), np.array([0, 0, 0, 1, 1, 1, 2])
        found = cohen(unit, coder, np.array([0, 1, 2, 0, 1, 1, 0]), categories=3, least=2)
        assert list(zip(found.first.tolist(), found.second.tolist(), found.shared.tolist(), strict=True)) == [(0, 1, 3)]
        assert found.value[0] == pytest.approx((2 / 3 - 1 / 3) / (1 - 1 / 3))  # chance: 1/3·1/3 + 1/3·2/3


TABLES = arrays(np.int64, st.tuples(st.integers(2, 5), st.integers(2, 12)), elements=st.integers(0, 3)).filter(
    lambda table: len(set(table[:, (table > 0).sum(axis=0) > 1].ravel().tolist()) - {0}) > 1
)


@pytest.mark.filterwarnings("ignore")  # of the peer's
@given(TABLES)
def test_alpha_is_evalicas(table: np.ndarray):
    unit, _, value = columns(table)
    frame = pd.DataFrame(np.where(table == 0, np.nan, table))
    for metric in ("nominal", "ordinal"):
        peer = evalica.alpha(frame, metric).alpha
        assert krippendorff(unit, value, categories=3, metric=metric, draws=1).value == pytest.approx(peer, abs=1e-9)


@given(TABLES, st.integers(0, 9))
def test_order_and_names_do_not_matter(table: np.ndarray, seed: int):
    random = np.random.default_rng(seed)
    unit, coder, value = columns(table)
    order, names = random.permutation(len(unit)), random.permutation(50)
    for measure in (krippendorff, gwet):
        before = measure(unit, value, categories=3, draws=20)
        after = measure(names[unit][order], value[order], categories=3, draws=20)
        assert (after.value, after.low, after.high) == pytest.approx(
            (before.value, before.low, before.high), nan_ok=True
        )
    swapped = krippendorff(unit, 2 - value, categories=3, metric="ordinal", draws=1)
    plain = krippendorff(unit, value, categories=3, metric="ordinal", draws=1)
    assert swapped.value == pytest.approx(plain.value), "places counted from the other end"
    kappas = [
        np.sort(cohen(u, c, v, categories=3).value) for u, c, v in ((unit, coder, value), (unit, 9 - coder, value))
    ]
    assert kappas[0] == pytest.approx(kappas[1], nan_ok=True)


def test_intervals_hold_the_truth_as_often_as_they_say():
    # Two coders of three values; the same with probability 0.6 beyond chance: α and κ are 0.6.
    inside = np.zeros(3)
    for seed in range(200):
        random = np.random.default_rng(seed)
        first = random.integers(0, 3, 150)
        second = np.where(random.random(150) < 0.6, first, random.integers(0, 3, 150))
        unit, value = np.tile(np.arange(150), 2), np.r_[first, second]
        kappa = cohen(unit, np.repeat([0, 1], 150), value, categories=3)
        alpha, ac1 = krippendorff(unit, value, categories=3, draws=200), gwet(unit, value, categories=3, draws=200)
        for place, (low, high) in enumerate(
            ((alpha.low, alpha.high), (ac1.low, ac1.high), (kappa.low[0], kappa.high[0]))
        ):
            inside[place] += low <= 0.6 <= high
    assert (inside / 200 > 0.89).all()
    assert (inside / 200 < 0.995).all()


def test_the_deviation_of_kappa_is_the_delta_methods():
    random = np.random.default_rng(0)
    unit, value = np.tile(np.arange(80), 2), random.integers(0, 3, 160)
    value[80:120] = value[:40]
    found = cohen(unit, np.repeat([0, 1], 80), value, categories=3)
    joint = np.zeros((3, 3))
    np.add.at(joint, (value[:80], value[80:]), 1 / 80)

    def kappa(p: np.ndarray) -> float:
        chance = p.sum(axis=1) @ p.sum(axis=0)
        return (np.trace(p) - chance) / (1 - chance)

    slope = np.zeros((3, 3))
    for cell in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[cell] = 1e-6
        slope[cell] = (kappa(joint + step) - kappa(joint - step)) / 2e-6
    variance = ((joint * slope**2).sum() - (joint * slope).sum() ** 2) / 80
    assert found.high[0] - found.value[0] == pytest.approx(1.959964 * np.sqrt(variance), rel=1e-4)
