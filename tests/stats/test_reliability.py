"""Trust in judges: planted judges are recovered, and what must not change does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rather.stats.bootstrap import clustered_share
from rather.stats.dawid_skene import dawid_skene
from rather.stats.noisy import noisy_bradley_terry
from rather.stats.odds import davidson
from rather.stats.votes import FIRST, SECOND, TIE, Votes

EXPERT, GOOD, SPAMMER, LEFT, ADVERSARY = range(5)
TRUTH = np.linspace(2, -2, 12)


def planted(seed: int, count: int = 300) -> Votes:
    """Five judges: an expert, one that is mostly right, one that guesses, one that says "first", one that lies."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 12, (5, count))
    second = (first + random.integers(1, 12, (5, count))) % 12
    gap = TRUTH[first] - TRUTH[second]
    outcome = np.empty((5, count), np.int64)
    for judge, skill in ((EXPERT, 5.0), (GOOD, 1.0), (SPAMMER, 0.0), (ADVERSARY, -2.0)):
        odds = davidson(skill * gap[judge], -1.0)
        point = random.random(count)
        outcome[judge] = (point > odds.first).astype(int) + (point > odds.first + odds.tie)
    outcome[LEFT] = FIRST
    judge = np.repeat(np.arange(5), count)
    return Votes.of(first.ravel(), second.ravel(), outcome.ravel(), judge)


@pytest.mark.parametrize("seed", range(5))
def test_planted_judges_are_recovered_by_noisy_bradley_terry(seed: int) -> None:
    found = noisy_bradley_terry(planted(seed))
    skill, side = found.judges.skill, found.judges.side
    assert skill[EXPERT] > skill[GOOD] > 0.3 > skill[SPAMMER] > -0.15
    assert skill[ADVERSARY] < -0.3
    assert found.judges.skill_low[SPAMMER] < 0.1  # 95 % intervals: one seed in twenty leaves 0 out
    assert side[LEFT] > 0.85
    assert abs(side[SPAMMER] - 0.5) < 0.1
    assert found.judges.side_low[LEFT] > 0.5
    assert np.corrcoef(found.scores.score, TRUTH)[0, 1] > 0.98
    assert found.judges.votes.tolist() == [300] * 5


@pytest.mark.parametrize("seed", range(5))
def test_planted_judges_are_recovered_by_dawid_skene(seed: int) -> None:
    found = dawid_skene(planted(seed))
    skill = found.judges.skill
    assert skill[EXPERT] > skill[GOOD] > skill[SPAMMER] + 0.15
    assert abs(skill[SPAMMER]) < 0.25
    assert abs(skill[LEFT]) < 0.1
    assert skill[ADVERSARY] < -0.3
    assert found.judges.side[LEFT] > 0.9
    assert found.judges.side_low[LEFT] > 0.5
    right = np.sign(found.odds.first - found.odds.second) == np.sign(TRUTH[found.low] - TRUTH[found.high])
    assert right.mean() > 0.9


def test_dawid_skene_weighs_votes_by_bayes() -> None:
    """Two judges who are always together and one who is always against them: the two are right."""
    pairs = np.tile(np.arange(40), 3)
    outcome = np.r_[np.tile([FIRST, SECOND], 20), np.tile([FIRST, SECOND], 20), np.tile([SECOND, FIRST], 20)]
    found = dawid_skene(Votes.of(pairs * 2, pairs * 2 + 1, outcome, np.repeat([0, 1, 2], 40)))
    assert found.odds.first[0] > 0.99
    assert found.odds.second[1] > 0.99
    assert found.judges.skill[:2].min() > 0.8
    assert found.judges.skill[2] < -0.7


def test_dawid_skene_of_one_vote_by_hand() -> None:
    """One judge, one pair, "first": the fixed point of belief and matrix, worked from the formulas in ten lines."""
    q = (np.array([1.0, 0, 0]) + 1 / 3) / 2
    for _ in range(2000):
        counts = np.zeros((3, 3))
        counts[:, FIRST] = q
        pooled = counts + 0.5 + 2 * np.eye(3)
        pooled = (pooled + pooled[::-1, ::-1]) / 2
        pooled /= pooled.sum(1, keepdims=True)
        matrix = counts + 4 * pooled
        matrix /= matrix.sum(1, keepdims=True)
        prior = (q + q[::-1]) / 2
        q = prior * matrix[:, FIRST]
        q /= q.sum()
    found = dawid_skene(Votes.of([0], [1], [FIRST]))
    assert (found.odds.first[0], found.odds.tie[0], found.odds.second[0]) == pytest.approx(tuple(q), abs=1e-5)
    assert found.odds.first[0] > found.odds.second[0]


def test_gold_is_the_truth() -> None:
    """Three liars against one gold judge on half of the pairs: on the other half they are known as liars."""
    pairs = np.arange(40)
    truth = np.tile([FIRST, SECOND], 20)
    lies = SECOND - truth
    first = np.r_[pairs, pairs, pairs, pairs[:20]] * 2
    votes = Votes.of(first, first + 1, np.r_[lies, lies, lies, truth[:20]], np.r_[np.repeat([0, 1, 2], 40), [3] * 20])
    gold = np.array([False, False, False, True])
    deceived, told = dawid_skene(votes), dawid_skene(votes, gold=gold)
    assert deceived.odds.second[30] > 0.9  # pair 30: the truth is "first"
    assert told.odds.first[30] > 0.9
    assert told.odds.first[0] == 1
    assert told.judges.skill[3] == 1
    noisy = noisy_bradley_terry(votes, gold=gold)
    assert noisy.judges.skill[3] == 1
    assert noisy.judges.skill[:3].max() < 0
    assert noisy.scores.score[60] > noisy.scores.score[61]


def test_votes_without_a_side_give_no_side_bias() -> None:
    votes = replace(planted(0), sided=np.zeros(1500, bool))
    for found in (noisy_bradley_terry(votes), dawid_skene(votes)):
        assert found.judges.side == pytest.approx([0.5] * 5)
        assert np.isnan(found.judges.side_low).all()


def test_what_models_wrote_speaks_for_their_other_answers() -> None:
    """Model 0 beats model 1 at ten prompts; of an eleventh, where nobody voted, that is known."""
    first, second = np.arange(10) * 2, np.arange(10) * 2 + 1
    votes = Votes.of(first, second, [FIRST] * 10, items=22)
    found = noisy_bradley_terry(votes, model=np.tile([0, 1], 11))
    assert found.models[0] > found.models[1]
    assert found.scores.score[20] > found.scores.score[21] + 0.5
    alone = noisy_bradley_terry(votes)
    assert alone.scores.score[20] == alone.scores.score[21] == 0


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_names_and_order_do_not_matter(seed: int) -> None:
    votes = planted(seed, count=40)
    shuffle = np.random.default_rng(seed).permutation(len(votes))
    names = np.array([3, 1, 4, 0, 2])
    mixed = replace(votes.kept(shuffle), judge=names[votes.judge][shuffle])
    noisy, other = noisy_bradley_terry(votes), noisy_bradley_terry(mixed)
    assert other.scores.score == pytest.approx(noisy.scores.score, abs=1e-4)
    assert other.judges.skill[names] == pytest.approx(noisy.judges.skill, abs=1e-4)
    ds, ds_other = dawid_skene(votes), dawid_skene(mixed)
    assert ds_other.odds.better == pytest.approx(ds.odds.better, abs=1e-5)
    assert ds_other.judges.side[names] == pytest.approx(ds.judges.side, abs=1e-5)


def test_swapping_what_is_shown_swaps_the_side_bias_and_nothing_else() -> None:
    votes = planted(3)
    straight, turned = dawid_skene(votes), dawid_skene(votes.swapped())
    assert turned.odds.better == pytest.approx(straight.odds.better, abs=1e-6)
    assert turned.judges.side == pytest.approx(1 - straight.judges.side, abs=1e-6)
    a, b = noisy_bradley_terry(votes), noisy_bradley_terry(votes.swapped())
    assert b.scores.score == pytest.approx(a.scores.score, abs=1e-4)
    assert b.judges.side == pytest.approx(1 - a.judges.side, abs=1e-4)


def test_slopes_are_those_of_the_loss() -> None:
    from rather.stats.noisy import _Fit

    votes = planted(1, count=30)
    fit = _Fit(votes, np.arange(12) % 3, np.array([True, False, False, False, False]))
    point = fit.centre + np.where(fit.free, np.random.default_rng(0).normal(0, 0.3, len(fit.centre)), 0)
    slope = fit.loss(point)[1]
    for place in np.flatnonzero(fit.free):
        step = np.zeros(len(point))
        step[place] = 1e-5
        numeric = (fit.loss(point + step)[0] - fit.loss(point - step)[0]) / 2e-5
        assert slope[place] == pytest.approx(numeric, abs=1e-4)


def test_a_tie_between_equals_is_a_tie() -> None:
    votes = Votes.of([0] * 6, [1] * 6, [TIE] * 6, np.arange(6) % 3)
    assert dawid_skene(votes).odds.tied.all()
    found = noisy_bradley_terry(votes)
    assert found.scores.score[0] == pytest.approx(found.scores.score[1])
    assert davidson(np.zeros(1), found.scores.tie).tied.all()


def test_the_bootstrap_of_clusters() -> None:
    share, low, high = clustered_share(np.array([1.0, 0, 1, 0]), np.ones(4), draws=4000)
    assert share == 0.5
    assert (low, high) == (0, 1)  # 1 draw in 16 has no hit at all
    assert clustered_share(np.ones(9), np.ones(9)) == (1, 1, 1)


def test_without_any_vote_nothing_is_known() -> None:
    none = np.zeros(0, np.int64)
    votes = Votes(none, none, none, none, np.zeros(0), np.zeros(0, bool), 2, 2)
    found = noisy_bradley_terry(votes)
    assert found.scores.score == pytest.approx([0, 0])
    assert found.judges.skill == pytest.approx([1, 1])
