"""Tests of shares and what they could have found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest

from rather.stats.proportions import false_discovery, mcnemar, sign_test, smallest_mean, smallest_share


def test_the_sign_test_is_scipys_binomial_test():
    hits, total = np.array([0, 3, 5, 10, 40, 0]), np.array([6, 10, 10, 10, 100, 0])
    peers = [binomtest(int(h), int(n)).pvalue for h, n in zip(hits[:-1], total[:-1], strict=True)]
    assert sign_test(hits, total)[:-1] == pytest.approx(peers)
    assert np.isnan(sign_test(hits, total)[-1])


def test_mcnemar_by_hand():
    # 1 against 8: p = 2·(C(9,0) + C(9,1))/2⁹ = 20/512.
    assert float(mcnemar(1, 8)) == pytest.approx(20 / 512)
    assert float(mcnemar(4, 4)) == 1
    assert np.isnan(float(mcnemar(0, 0)))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_does_not_care_who_is_first(one: int, other: int):
    assert mcnemar(one, other) == pytest.approx(mcnemar(other, one), nan_ok=True)


def test_false_discovery_is_benjamini_and_hochbergs():
    # Sorted 0.01, 0.02, 0.03, 0.5 of four: ×4/1, ×4/2, ×4/3, ×1, made monotone from the right.
    found = false_discovery(np.array([0.03, np.nan, 0.01, 0.5, 0.02]))
    assert found == pytest.approx([0.04, np.nan, 0.04, 0.5, 0.04], nan_ok=True)
    assert np.isnan(false_discovery(np.array([np.nan]))).all()
    assert false_discovery(np.zeros(0)).size == 0


class TestSmallestShare:
    def test_below_six_votes_nothing_could_be_found(self):
        # All five on one side: p = 2/32 > 0.05; all six: 2/64.
        found = smallest_share(np.array([0, 5, 6]), 0.05)
        assert np.isnan(found[:2]).all()
        assert found[2] == pytest.approx(0.8 ** (1 / 6)), "all six must be of one kind"

    @given(st.integers(6, 3000), st.sampled_from([0.05, 0.01, 0.05 / 124]))
    def test_its_power_is_four_fifths(self, total: int, alpha: float):
        share = float(smallest_share(np.array([total]), alpha)[0])
        if np.isnan(share):
            assert 2 * 0.5**total > alpha
            return
        outcomes = np.arange(total + 1)
        found = (sign_test(outcomes, np.full(total + 1, total)) <= alpha) & (outcomes > total / 2)
        assert binom.pmf(outcomes, total, share)[found].sum() == pytest.approx(0.8, abs=1e-6)

    def test_more_votes_find_less(self):
        found = smallest_share(np.array([10, 100, 1000, 10_000]), 0.05)
        assert (np.diff(found) < 0).all()
        assert found[-1] == pytest.approx(0.5 + 2.8 / 2 / 100, abs=2e-4)  # (1.96 + 0.84)·½/√n


def test_the_smallest_mean():
    assert smallest_mean(1.0, 100, 0.05) == pytest.approx(0.28016, abs=1e-5)
    assert np.isnan(smallest_mean(1.0, 1, 0.05))
