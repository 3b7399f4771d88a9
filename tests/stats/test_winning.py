"""Win rates, intervals of small counts, best of n, leaderboards and length control, by hand and beside other programs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import beta, binom, ttest_1samp

from rather.stats.best_of import best_of, chosen
from rather.stats.bootstrap import paired_difference, tango
from rather.stats.intervals import exact, ratio
from rather.stats.leaderboard import ELO, leaderboard
from rather.stats.length_control import length_controlled, prompt_terms, standardised
from rather.stats.votes import Votes
from rather.stats.winning import smallest, win_rate


def test_a_win_rate_by_hand() -> None:
    """Prompt 0: won twice; 1: once each way; 2: lost; 3: a tie. Prompts count alike: (1 + ½ + 0 + ½) / 4."""
    found = win_rate(np.array([1, 1, 1, 0, 0, 0.5]), np.array([0, 0, 1, 1, 2, 3]))
    assert found.rate == pytest.approx(0.5)
    assert (found.wins, found.ties, found.losses, found.prompts) == (3, 1, 2, 4)
    assert (found.decided.hits, found.decided.total) == (1, 2)
    assert found.p == 1.0
    assert found.low < 0.5 < found.high


def test_near_certainty_prompts_are_not_drawn_again() -> None:
    """60 of 60 is no proof of always: Wilson's interval. So is 58 of 60; with 20 lost or more prompts are drawn."""
    found = win_rate(np.ones(60))
    assert (found.low, found.high) == (pytest.approx(0.93982, abs=1e-4), pytest.approx(1.0))
    nearly = win_rate(np.r_[np.ones(58), np.zeros(2)])
    assert (nearly.low, nearly.high) == pytest.approx((0.8864, 0.9908), abs=1e-3)
    drawn = win_rate(np.r_[np.ones(50), np.zeros(20)])
    assert drawn.low * 70 == pytest.approx(round(drawn.low * 70), abs=1e-9)


def test_exact_intervals_are_those_of_the_beta_distribution() -> None:
    for hits, total in ((0, 10), (7, 10), (10, 10), (413, 1000)):
        found = exact(hits, total)
        assert found.low == pytest.approx(beta.ppf(0.025, hits, total - hits + 1) if hits else 0.0, abs=1e-9)
        assert found.high == pytest.approx(beta.ppf(0.975, hits + 1, total - hits) if hits < total else 1.0, abs=1e-9)
    assert (exact(0, 0).low, exact(0, 0).high) == (0.0, 1.0)


def test_intervals_as_statsmodels() -> None:
    proportion = pytest.importorskip(
        "statsmodels.stats.proportion", reason="statsmodels is not installed (the test extra has it)"
    )
    from rather.stats.intervals import rate

    for hits, total in ((3, 20), (77, 100), (500, 805)):
        for ours, method in ((exact(hits, total), "beta"), (rate(hits, total), "wilson")):
            assert (ours.low, ours.high) == pytest.approx(
                proportion.proportion_confint(hits, total, method=method), abs=1e-9
            )


def test_a_ratio_of_few_draws_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0, 7.0])
    value, low, high = ratio(values, np.ones(4))
    expected = ttest_1samp(values, 0).confidence_interval()
    assert (value, low, high) == pytest.approx((3.5, expected.low, expected.high))
    assert ratio(values * 3, np.full(4, 3.0)) == pytest.approx((value, low, high))
    assert np.isnan(ratio(values[:1], np.ones(1))[1])


def test_what_so_many_prompts_can_tell() -> None:
    """Of 100 prompts without ties a sign test at 5 % needs 61 wins: at 64.1 % they come in 80 % of samples."""
    share = smallest(np.r_[np.ones(50), np.zeros(50)])
    assert binom.sf(60, 100, share) == pytest.approx(0.8, abs=1e-6)
    half_tied = smallest(np.r_[np.ones(25), np.zeros(25), np.full(50, 0.5)])
    assert half_tied == pytest.approx(0.5 + (1.959964 + 0.841621) * np.sqrt(0.125) / 10, abs=1e-6)
    assert np.isnan(smallest(np.ones(3)))
    assert np.isnan(smallest(np.full(30, 0.5)))


def test_two_models_on_the_same_pairs() -> None:
    """What both get right says nothing; 4 more of 100 are 4 to 0 or 30 to 26."""
    certain = np.r_[np.ones(96), np.ones(4)], np.r_[np.ones(96), np.zeros(4)]
    mixed = np.r_[np.ones(30), np.zeros(26), np.ones(44)], np.r_[np.zeros(30), np.ones(26), np.ones(44)]
    value, low, high, p = paired_difference(*certain, np.arange(100))
    assert (value, p) == (pytest.approx(0.04), pytest.approx(0.125, abs=0.02))  # of 16 signs of four two are as far
    assert 0 < low < value < high < 0.1
    value, low, high, p = paired_difference(*mixed, np.arange(100))
    assert value == pytest.approx(0.04)
    assert low < 0 < high
    assert p > 0.5
    # Models that say the same on 100 prompts may differ on the next: ± z²/(100 + z²).
    value, low, high, p = paired_difference(certain[0], certain[0], np.arange(100))
    assert (value, low, high, p) == (0.0, pytest.approx(-0.0369935, abs=1e-6), pytest.approx(0.0369935, abs=1e-6), 1.0)
    value, low, high, _ = paired_difference(np.ones(100), np.zeros(100), np.arange(100))
    assert (value, high) == (1.0, 1.0)
    assert low == pytest.approx(1 - 2 * 0.0369935, abs=1e-6)


@pytest.mark.parametrize(("ahead", "behind", "total"), [(14, 0, 54), (3, 9, 40), (1, 1, 30), (0, 5, 20), (20, 0, 20)])
def test_tangos_interval_is_what_his_test_does_not_refute(ahead: int, behind: int, total: int) -> None:
    """At both ends the score is ± z: the restricted likelihood is maximised here anew, by a grid."""
    for end, sign in zip(tango(ahead, behind, total), (1, -1), strict=True):
        if abs(end) == 1:
            continue
        second = np.linspace(max(0.0, -end), (1 - end) / 2, 200_001)[1:-1]
        first = second + end
        value = ahead * np.log(first) + (total - ahead - behind) * np.log(1 - first - second)
        best = second[np.argmax(value + (behind * np.log(second) if behind else 0.0))]
        score = (ahead - behind - total * end) / np.sqrt(total * (2 * best + end - end**2))
        assert score == pytest.approx(sign * 1.959964, abs=2e-3)
    low, high = tango(ahead, behind, total)
    assert tango(behind, ahead, total) == pytest.approx((-high, -low), abs=1e-8)


def test_pairs_of_one_prompt_are_one_draw() -> None:
    gap = np.tile([1.0, 0.0, 0.0, 0.0], 25)
    apart = paired_difference(gap, np.zeros(100), np.arange(100))
    together = paired_difference(np.sort(gap), np.zeros(100), np.arange(100) // 25)
    assert together[0] == apart[0] == pytest.approx(0.25)
    assert together[2] - together[1] > 2 * (apart[2] - apart[1])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 5)), min_size=1, max_size=7), st.data())
def test_best_of_n_is_the_mean_over_all_draws(answers: list[tuple[int, int]], data: st.DataObject) -> None:
    n = data.draw(st.integers(1, len(answers)))
    proxy, gold = (np.array(column, float) for column in zip(*answers, strict=True))
    draws = []
    for drawn in itertools.combinations(range(len(answers)), n):
        best = max(proxy[list(drawn)])
        draws.append(np.mean([gold[i] for i in drawn if proxy[i] == best]))
    assert chosen(proxy, gold, n) == pytest.approx(np.mean(draws))


def test_best_of_n_over_prompts() -> None:
    proxy, gold = np.array([0.0, 1, 2, 3] * 3), np.array([0.0, 1, 2, 3] * 2 + [3.0, 2, 1, 0])
    found = best_of(proxy, gold, np.repeat([0, 1, 2], 4))
    assert [each.n for each in found] == [1, 2, 4]
    assert found[1].score == pytest.approx(
        (14 / 6 * 2 + 4 / 6) / 3
    )  # best of two of 0 … 3: (1 + 2 + 3 + 2 + 3 + 3) / 6
    assert found[0].gain == 0.0
    assert found[2].kl == pytest.approx(np.log(4) - 0.75)


def votes(rows: list[tuple[int, int, int]], models: int) -> Votes:
    first, second, outcome = (np.array(column) for column in zip(*rows, strict=True))
    return Votes.of(first, second, outcome, items=models)


def test_a_leaderboard_of_two_is_the_logit_of_the_share() -> None:
    rows = [(0, 1, 0)] * 30 + [(1, 0, 0)] * 10
    found = leaderboard(votes(rows, 2), np.arange(40))
    assert found.score[0] - found.score[1] == pytest.approx(logit(0.75), abs=1e-6)
    assert found.chance.tolist() == pytest.approx([0.75, 0.25], abs=1e-6)
    assert found.elo[0] - found.elo[1] == pytest.approx(ELO * logit(0.75), abs=1e-3)
    half = 1.959964 / np.sqrt(40 * 0.75 * 0.25) / 2  # of a score; the difference has twice that
    assert found.high[0] - found.score[0] == pytest.approx(half, rel=1e-5)
    assert (found.order.tolist(), found.place_low.tolist(), found.place_high.tolist()) == ([0, 1], [1, 2], [1, 2])
    assert not found.held


def test_a_leaderboard_as_evalica() -> None:
    import evalica

    random = np.random.default_rng(0)
    strength = np.array([0.8, 0.1, -0.2, -0.7])
    rows = []
    for _ in range(600):
        one, other = random.choice(4, 2, replace=False)
        rows.append((int(one), int(other), 2 * int(random.random() > expit(strength[one] - strength[other]))))
    found = leaderboard(votes(rows, 4), np.arange(600))
    winners = [evalica.Winner.X if outcome == 0 else evalica.Winner.Y for *_, outcome in rows]
    theirs = evalica.bradley_terry(
        [str(r[0]) for r in rows], [str(r[1]) for r in rows], winners, tolerance=1e-12
    ).scores
    scores = np.log(np.array([theirs[str(model)] for model in range(4)]))
    assert found.score == pytest.approx(scores - scores.mean(), abs=1e-5)
    assert found.order.tolist() == [0, 1, 2, 3]


def test_verdicts_repeated_on_a_prompt_make_no_interval_smaller() -> None:
    rows = [(0, 1, 0)] * 30 + [(1, 0, 0)] * 10
    once = leaderboard(votes(rows, 2), np.arange(40))
    thrice = leaderboard(votes([row for row in rows for _ in range(3)], 2), np.repeat(np.arange(40), 3))
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=1e-4)


def test_a_model_that_won_everything_is_held_by_a_prior() -> None:
    found = leaderboard(votes([(0, 1, 0)] * 20 + [(1, 2, 0), (2, 1, 0)] * 5, 3), np.arange(30))
    assert found.held
    assert found.order[0] == 0
    assert np.isfinite(found.high).all()


def test_equal_lengths_change_nothing() -> None:
    points = np.r_[np.ones(30), np.zeros(10)]
    found = length_controlled(points, np.zeros(40))
    assert found.rate == pytest.approx(0.75, abs=1e-3)  # the wide prior's share is in the fourth digit
    assert found.low < 0.75 < found.high


def judged(quality: float, taste: float, prompts: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A model that writes longer, and a judge that likes length."""
    random = np.random.default_rng(seed)
    gap = random.normal(300, 400, prompts)
    return (random.random(prompts) < expit(quality + taste * np.tanh(gap / gap.std(ddof=1)))).astype(float), gap


def test_length_is_taken_out() -> None:
    points, gap = judged(-0.4, 2.0, 3000)
    found = length_controlled(points, gap)
    assert points.mean() > 0.55
    assert found.rate == pytest.approx(expit(-0.4), abs=0.03)
    assert found.low < expit(-0.4) < found.high
    assert found.length[1] < 2.0 < found.length[2]


def test_the_two_sides_are_each_others_opposite() -> None:
    points, gap = judged(-0.4, 2.0, 500)
    one, other = length_controlled(points, gap), length_controlled(1 - points, -gap)
    assert one.rate == pytest.approx(1 - other.rate, abs=1e-9)
    assert one.low == pytest.approx(1 - other.high, abs=1e-9)


def test_length_control_as_statsmodels() -> None:
    """Without the prior's share: the regression, and the interval by the delta method."""
    statsmodels = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed (the test extra has it)")
    points, gap = judged(0.2, 1.0, 805)
    bent = np.tanh(gap / gap.std(ddof=1))
    model = statsmodels.GLM(points, np.c_[np.ones(805), bent], family=statsmodels.families.Binomial())
    theirs = model.fit(cov_type="HC0", tol=1e-14, tol_criterion="params")
    found = length_controlled(points, gap, spread=1e6)
    assert found.rate == pytest.approx(expit(theirs.params[0]), abs=1e-6)
    assert found.length == pytest.approx((theirs.params[1], *theirs.conf_int()[1]), abs=1e-6)
    half = 1.959963984540054 * theirs.bse[0]
    assert (found.low, found.high) == pytest.approx(
        (expit(theirs.params[0] - half), expit(theirs.params[0] + half)), abs=1e-6
    )


def test_hard_prompts_are_told_by_all_models_together() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(0, 1, 200)
    model, prompt = np.repeat(np.arange(12), 200), np.tile(np.arange(200), 12)
    gap = random.normal(0, 300, 2400)
    points = (random.random(2400) < expit(hard[prompt] + 0.8 * standardised(gap))).astype(float)
    found = prompt_terms(points, gap, prompt, model)
    assert np.corrcoef(found, hard)[0, 1] > 0.8
    assert found.mean() == pytest.approx(0, abs=1e-12)
    own = model == 3
    controlled = length_controlled(points[own], gap[own], difficulty=found[prompt[own]])
    assert controlled.difficulty is not None
    assert controlled.difficulty > 0.5
    assert controlled.low < np.mean(expit(hard)) < controlled.high


def test_several_verdicts_on_a_prompt_are_one() -> None:
    points, gap = judged(0.3, 1.0, 200)
    once = length_controlled(points, gap)
    twice = length_controlled(np.repeat(points, 2), np.repeat(gap, 2), np.repeat(np.arange(200), 2))
    assert twice.rate == pytest.approx(once.rate, abs=2e-3)  # the gaps' deviation has 199 or 399 in its divisor
    assert twice.high - twice.low == pytest.approx(once.high - once.low, rel=1e-2)
