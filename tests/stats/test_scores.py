"""Scores of items: numbers worked by hand, and the peers evalica and choix."""

from __future__ import annotations

import choix
import evalica
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.stats.averages import borda, mean_score
from rather.stats.bradley_terry import bradley_terry, newman
from rather.stats.odds import between, davidson
from rather.stats.plackett_luce import plackett_luce
from rather.stats.votes import FIRST, SECOND, TIE, Votes, votes_of_scores

NO_PRIOR = float("inf")


def drawn(seed: int, count: int = 400, items: int = 6) -> Votes:
    random = np.random.default_rng(seed)
    first = random.integers(0, items, count)
    second = (first + random.integers(1, items, count)) % items
    gap = (second - first) * 0.3  # lower numbers are better
    outcome = [random.choice(3, p=[o[0] for o in _as_tuple(davidson(np.array([g]), -0.5))]) for g in gap]
    return Votes.of(first, second, outcome, items=items)


def _as_tuple(odds):  # type: ignore[no-untyped-def]
    return odds.first, odds.tie, odds.second


def test_bradley_terry_of_three_wins_to_one() -> None:
    votes = Votes.of([0, 0, 0, 1], [1, 1, 1, 0], [FIRST] * 4)
    found = bradley_terry(votes, spread=NO_PRIOR)
    assert found.score[0] - found.score[1] == pytest.approx(np.log(3), abs=1e-6)
    assert between(found.score, found.tie, np.array([0]), np.array([1])).better[0] == pytest.approx(0.75, abs=1e-6)


def test_a_tie_is_half_a_win_for_either() -> None:
    votes = Votes.of([0, 0], [1, 1], [FIRST, TIE])  # 1.5 of 2
    found = bradley_terry(votes, spread=NO_PRIOR)
    assert found.score[0] - found.score[1] == pytest.approx(np.log(3), abs=1e-6)


def test_one_win_under_the_prior_is_finite() -> None:
    # x = σ(−2x) for the two scores ±x
    found = bradley_terry(Votes.of([0], [1], [FIRST]))
    assert found.score == pytest.approx([0.3374, -0.3374], abs=1e-4)


def test_newman_of_two_wins_a_tie_and_a_loss() -> None:
    # The odds 2 : 1 : 1 are met exactly: difference log 2, and a tie 1 / √2 as likely as the geometric mean.
    found = newman(Votes.of([0] * 4, [1] * 4, [FIRST, FIRST, TIE, SECOND]), spread=NO_PRIOR)
    assert found.score[0] - found.score[1] == pytest.approx(np.log(2), abs=1e-6)
    assert found.tie == pytest.approx(-np.log(2) / 2, abs=1e-6)
    odds = between(found.score, found.tie, np.array([0, 1]), np.array([1, 0]))
    assert (odds.first[0], odds.tie[0], odds.second[0]) == pytest.approx((0.5, 0.25, 0.25), abs=1e-6)
    assert odds.better == pytest.approx([0.625, 0.375], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_newman_and_bradley_terry_are_evalicas(seed: int) -> None:
    votes = drawn(seed)
    winners = [{FIRST: evalica.Winner.X, TIE: evalica.Winner.Draw, SECOND: evalica.Winner.Y}[o] for o in votes.outcome]
    exact = {"tolerance": 1e-12, "limit": 10_000}
    for ours, theirs in ((bradley_terry, evalica.bradley_terry), (newman, evalica.newman)):
        peer = theirs(votes.first.tolist(), votes.second.tolist(), winners, **exact)
        logs = np.log(peer.scores.sort_index().to_numpy())
        score = ours(votes, spread=NO_PRIOR).score
        assert score - score.mean() == pytest.approx(logs - logs.mean(), abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_plackett_luce_is_choixs(seed: int) -> None:
    random = np.random.default_rng(seed)
    rankings = [tuple(random.permutation(6)[: random.integers(2, 7)]) for _ in range(60)]
    peer = choix.opt_rankings(6, rankings, alpha=1.0)  # alpha · |x|²; ours is |x|² / 2 · spread²
    rows = [(g, item, -place) for g, ranking in enumerate(rankings) for place, item in enumerate(ranking)]
    group, item, score = (np.array(column) for column in zip(*rows, strict=True))
    ours = plackett_luce(group, item, score.astype(float), np.ones(len(rows)), items=6, spread=np.sqrt(0.5))
    assert ours.score == pytest.approx(peer, abs=1e-4)


def test_plackett_luce_of_two_is_bradley_terry() -> None:
    group, item = np.repeat(np.arange(4), 2), np.array([0, 1, 0, 1, 1, 2, 2, 1])
    score = np.tile([1.0, 0.0], 4)
    lists = plackett_luce(group, item, score, np.ones(8), items=3)
    votes = votes_of_scores(group, item, score, group * 0, weight=np.ones(8), sided=False, items=3, judges=1)
    assert lists.score == pytest.approx(bradley_terry(votes).score, abs=1e-6)


def test_a_ranking_that_ties_all_says_nothing() -> None:
    found = plackett_luce(np.zeros(3, int), np.arange(3), np.full(3, 7.0), np.ones(3), items=3)
    assert found.score == pytest.approx([0, 0, 0], abs=1e-7)


def test_borda_of_one_ranking() -> None:
    group = np.zeros(4, np.int64)
    votes = votes_of_scores(
        group, np.arange(4), np.array([9.0, 5, 5, 1]), group, weight=np.ones(4), sided=False, items=5, judges=1
    )
    assert len(votes) == 6
    assert borda(votes) == pytest.approx([1, 0.5, 0.5, 0, np.nan], nan_ok=True)


def test_means_are_weighted() -> None:
    found = mean_score(np.array([0, 0, 1]), np.array([1.0, 4.0, 2.0]), np.array([1.0, 2.0, 1.0]), 3)
    assert found == pytest.approx([3, 2, np.nan], nan_ok=True)


def test_extreme_differences_stay_probabilities() -> None:
    odds = davidson(np.array([1e4, -1e4, 0.0]), 3.0)
    assert odds.first == pytest.approx([1, 0, 1 / (2 + np.exp(3))])
    assert odds.better[2] == 0.5
    assert odds.tied.tolist() == [False, False, True]


@given(st.integers(0, 10_000))
def test_who_was_shown_first_does_not_matter_without_sides(seed: int) -> None:
    votes = drawn(seed, count=30)
    for fit in (bradley_terry, newman):
        assert np.array_equal(fit(votes).score, fit(votes.swapped()).score)
    assert np.array_equal(borda(votes), borda(votes.swapped()))


@given(st.integers(0, 10_000))
def test_the_order_of_votes_does_not_matter(seed: int) -> None:
    votes = drawn(seed, count=30)
    mixed = votes.kept(np.random.default_rng(seed).permutation(len(votes)))
    assert np.array_equal(newman(votes).score, newman(mixed).score)


@given(st.integers(0, 10_000))
def test_odds_are_antisymmetric(seed: int) -> None:
    found = newman(drawn(seed, count=30))
    first, second = np.array([0, 1, 2]), np.array([3, 4, 5])
    there, back = between(found.score, found.tie, first, second), between(found.score, found.tie, second, first)
    assert there.better + back.better == pytest.approx(1, abs=1e-12)
    assert there.first == pytest.approx(back.second)
    assert there.first + there.tie + there.second == pytest.approx(1)
