"""How often the intervals of an evaluation hold the truth: nominal 95 %, counted over simulated data whose truth is known.

    python benchmarks/coverage.py [--draws 2000] [--only INTERVAL] --out benchmarks/results/coverage.json

For each interval one sample after another is drawn from a known model, the interval computed as `rather evaluate` does, and
it is counted how often it holds the value that produced the sample. An interval that promises at least 95 %
(Clopper–Pearson) may do better and not worse; the others are to lie within 93 and 97 %.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.special import expit

from rather.stats.best_of import best_of
from rather.stats.bootstrap import clustered_share, paired_difference
from rather.stats.calibration import calibration
from rather.stats.intervals import exact, rate, ratio
from rather.stats.leaderboard import leaderboard
from rather.stats.length_control import length_controlled, prompt_terms
from rather.stats.proportions import smallest_share
from rather.stats.votes import Votes
from rather.stats.winning import smallest, win_rate

Random = np.random.Generator
Case = Callable[[Random], bool]


def accuracy_by_prompts(random: Random) -> bool:
    """300 pairs of 100 prompts, whose difficulty they share; the accuracy over all prompts that there are."""
    chance = expit(random.normal(0.8, 1.2, 100))
    right = random.random((100, 3)) < chance[:, None]
    _, low, high = clustered_share(right.sum(axis=1), np.full(100, 3), draws=1000, seed=int(random.integers(1 << 30)))
    return low <= TRUE_ACCURACY <= high


def accuracy_wilson(random: Random) -> bool:
    found = rate(int((random.random(80) < 0.85).sum()), 80)
    return found.low <= 0.85 <= found.high


def nearly_always(random: Random) -> bool:
    found = win_rate((random.random(150) < 0.95).astype(float), seed=int(random.integers(1 << 30)))
    return found.low <= 0.95 <= found.high


def decided_exact(random: Random) -> bool:
    found = exact(int((random.random(400) < 0.6).sum()), 400)
    return found.low <= 0.6 <= found.high


def decided_exact_few(random: Random) -> bool:
    found = exact(int((random.random(25) < 0.6).sum()), 25)
    return found.low <= 0.6 <= found.high


def win_rate_with_ties(random: Random) -> bool:
    """200 prompts, each judged in both orders by a judge that ties and favours a side."""
    better = random.normal(0.3, 1.0, 200)
    points = []
    for side in (0.4, -0.4):
        draw, first = random.random(200), expit(better + side)
        points.append(np.where(draw < 0.8 * first, 1.0, np.where(draw < 0.8, 0.0, 0.5)))
    truth = 0.8 * TRUE_FIRST + 0.1
    found = win_rate(np.concatenate(points), np.tile(np.arange(200), 2), seed=int(random.integers(1 << 30)))
    return found.low <= truth <= found.high


def paired(random: Random) -> bool:
    """Two models right on pairs that are hard for both."""
    hard = random.normal(0.5, 1.5, (150, 2))
    first, second = (random.random((150, 2)) < expit(hard + shift) for shift in (0.3, 0.0))
    group = np.repeat(np.arange(150), 2)
    _, low, high, _ = paired_difference(
        first.ravel(), second.ravel(), group, draws=1000, seed=int(random.integers(1 << 30))
    )
    return low <= TRUE_DIFFERENCE <= high


def paired_nearly_alike(random: Random) -> bool:
    """Two models that differ on one prompt in fourteen."""
    gap = random.choice([1.0, -1.0, 0.0], 150, p=[0.05, 0.02, 0.93])
    _, low, high, _ = paired_difference(
        gap, np.zeros(150), np.arange(150), draws=1000, seed=int(random.integers(1 << 30))
    )
    return low <= 0.03 <= high


def over_confidence(random: Random) -> bool:
    logit = random.normal(0, 2, 400)
    given = np.where(random.random(400) < expit(0.6 * logit), logit, -logit)
    found = calibration(given, seed=int(random.integers(1 << 30)))
    return found.over_low <= TRUE_OVER <= found.over_high


def calibration_slope(random: Random) -> bool:
    logit = random.normal(0, 2, 400)
    given = np.where(random.random(400) < expit(0.6 * logit), logit, -logit)
    found = calibration(given).slope
    return found is not None and found[1] <= 0.6 <= found[2]


def equal_lengths(random: Random) -> bool:
    gap = random.normal(250, 400, 300)
    points = (random.random(300) < expit(-0.2 + 1.5 * np.tanh(gap / 400))).astype(float)
    found = length_controlled(points, gap)
    return found.low <= expit(-0.2) <= found.high


def length_weight(random: Random) -> bool:
    gap = random.normal(250, 400, 300)
    points = (random.random(300) < expit(-0.2 + 1.5 * np.tanh(gap / gap.std(ddof=1)))).astype(float)
    _, low, high = length_controlled(points, gap).length
    return low <= 1.5 <= high


def equal_lengths_with_prompts(random: Random) -> bool:
    """Five models on the same 200 prompts; hard prompts are told by the four others."""
    hard = random.normal(0, 1, 200)
    gap = random.normal(100, 300, (5, 200))
    level = np.array([0.5, 0.2, 0.0, -0.3, -0.6])
    points = random.random((5, 200)) < expit(level[:, None] + hard + np.tanh(gap / 300))
    prompt, model = np.tile(np.arange(200), 4), np.repeat(np.arange(4), 200)
    found = prompt_terms(points[1:].ravel().astype(float), gap[1:].ravel(), prompt, model)
    controlled = length_controlled(points[0].astype(float), gap[0], difficulty=found)
    return controlled.low <= TRUE_LEVEL <= controlled.high


def elo_difference(random: Random) -> bool:
    """Of the first of five models above the mean of all, from 150 prompts with four verdicts each."""
    strength = np.array([0.6, 0.2, 0.0, -0.3, -0.5])
    first = random.integers(0, 5, (150, 4))
    second = (first + random.integers(1, 5, (150, 4))) % 5
    leaning = random.normal(0, 0.5, (150, 5))  # models are good at different prompts
    rows = np.arange(150)[:, None]
    gap = strength[first] + leaning[rows, first] - strength[second] - leaning[rows, second]
    outcome = np.where(random.random((150, 4)) < expit(gap), 0, 2)
    found = leaderboard(Votes.of(first.ravel(), second.ravel(), outcome.ravel(), items=5), np.repeat(np.arange(150), 4))
    return bool(found.low[0] <= TRUE_SCORE <= found.high[0])


def best_of_four(random: Random) -> bool:
    """100 prompts with eight answers each; a proxy that agrees with the gold score to 0.6."""
    level = random.normal(0, 1, 100)
    gold = level[:, None] + random.normal(0, 1, (100, 8))
    proxy = 0.6 * (gold - level[:, None]) + 0.8 * random.normal(0, 1, (100, 8))
    prompt, seed = np.repeat(np.arange(100), 8), int(random.integers(1 << 30))
    found = best_of(proxy.ravel(), gold.ravel(), prompt, draws=1000, seed=seed)
    (four,) = (each for each in found if each.n == 4)
    return four.gain_low <= 0.6 * EXPECTED_BEST_OF_4 <= four.gain_high


def change_of_perplexity(random: Random) -> bool:
    """20 texts of unlike length."""
    tokens = random.integers(40, 120, 20)
    change = tokens * (0.05 + random.normal(0, 0.08, 20))
    _, low, high = ratio(change, tokens)
    return low <= 0.05 <= high


def kl_of_samples(random: Random) -> bool:
    """32 answers; a sum over tokens that is never below 0 and leans to the right."""
    _, low, high = ratio(random.gamma(4.0, 2.0, 32), np.ones(32))
    return low <= 8.0 <= high


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))


_LARGE = np.random.default_rng(99)
TRUE_ACCURACY = _mean(expit(_LARGE.normal(0.8, 1.2, 4_000_000)))
_BETTER = _LARGE.normal(0.3, 1.0, 4_000_000)
TRUE_FIRST = (_mean(expit(_BETTER + 0.4)) + _mean(expit(_BETTER - 0.4))) / 2
_HARD = _LARGE.normal(0.5, 1.5, 4_000_000)
TRUE_DIFFERENCE = _mean(expit(_HARD + 0.3)) - _mean(expit(_HARD))
_LOGIT = np.abs(_LARGE.normal(0, 2, 4_000_000))
TRUE_OVER = _mean(expit(_LOGIT) - expit(0.6 * _LOGIT))
TRUE_LEVEL = _mean(expit(0.5 + _LARGE.normal(0, 1, 4_000_000)))
EXPECTED_BEST_OF_4 = 1.0293753730039641  # of four standard normals


def _true_score() -> float:
    """What Bradley–Terry fits to endless verdicts in which models lean on prompts: the scores nearest to the mean shares."""
    strength = np.array([0.6, 0.2, 0.0, -0.3, -0.5])
    first, second = np.array([(i, j) for i in range(5) for j in range(5) if i != j]).T
    lean = _LARGE.normal(0, 0.5 * np.sqrt(2), 400_000)
    share = np.array([_mean(expit(strength[i] - strength[j] + lean)) for i, j in zip(first, second, strict=True)])
    wins = np.round(share * 10_000_000)
    votes = Votes.of(
        np.tile(first, 2),
        np.tile(second, 2),
        np.repeat([0, 2], len(first)),
        weight=np.r_[wins, 10_000_000 - wins],
        items=5,
    )
    return float(leaderboard(votes, np.arange(len(votes))).score[0])


TRUE_SCORE = _true_score()

CASES: dict[str, tuple[Case, str]] = {
    "accuracy on pairs, bootstrap by prompts": (accuracy_by_prompts, "both"),
    "share, Wilson": (accuracy_wilson, "both"),
    "decided prompts, Clopper–Pearson, 400": (decided_exact, "least"),
    "decided prompts, Clopper–Pearson, 25": (decided_exact_few, "least"),
    "win rate, bootstrap by prompts": (win_rate_with_ties, "both"),
    "paired difference of two models": (paired, "both"),
    "confidence less share right": (over_confidence, "both"),
    "slope of the logits": (calibration_slope, "both"),
    "win rate at equal lengths": (equal_lengths, "both"),
    "weight of length": (length_weight, "both"),
    "win rate at equal lengths, with prompt terms": (equal_lengths_with_prompts, "both"),
    "Bradley–Terry score": (elo_difference, "both"),
    "gain of the best of four": (best_of_four, "both"),
    "change of perplexity, 20 texts": (change_of_perplexity, "both"),
    "KL of 32 samples": (kl_of_samples, "both"),
    "win rate near 1": (nearly_always, "both"),
    "paired difference of two models that are nearly alike": (paired_nearly_alike, "both"),
}


def powers(random: Random, draws: int) -> dict[str, float]:
    """How often the smallest win rate that is said to be found in 80 % of samples is found."""
    share = float(smallest_share(np.array(150), 0.05))
    hits = sum(win_rate(np.array(random.random(150) < share, float)).p < 0.05 for _ in range(draws))
    tied = smallest(np.r_[np.zeros(60), np.ones(60), np.full(80, 0.5)])
    found = 0
    for _ in range(draws):
        draw = random.random(200)
        chance = 0.6 * 0.5 + (tied - 0.5)
        points = np.where(draw < chance, 1.0, np.where(draw < 0.6, 0.0, 0.5))
        spread = points.std(ddof=1) / np.sqrt(200)
        found += abs(points.mean() - 0.5) > 1.959964 * spread
    return {"sign test, 150 prompts": hits / draws, "mean with 40 % ties, 200 prompts": float(found / draws)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--only", action="append", help="count this interval anew and keep the others of --out")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows, started = [], time.monotonic()
    known = json.loads(options.out.read_text(encoding="utf-8")) if options.only else {"coverage": []}
    kept = {row["interval"]: row for row in known["coverage"]}
    for number, (name, (case, promise)) in enumerate(CASES.items()):
        if options.only and name not in options.only:
            rows += [kept[name]] if name in kept else []
            continue
        random = np.random.default_rng([7, number])
        hits = sum(case(random) for _ in range(options.draws))
        found = rate(hits, options.draws)
        row = {
            "interval": name,
            "promises": promise,
            "coverage": found.value,
            "low": found.low,
            "high": found.high,
            "draws": options.draws,
        }
        row["kept"] = bool(found.value >= 0.93 and (promise == "least" or found.value <= 0.97))
        rows.append(row)
        print(
            f"{name}: {found.value:.1%} ({found.low:.1%} to {found.high:.1%}){'' if row['kept'] else ' OUTSIDE'}",
            flush=True,
        )
    if options.only:
        options.out.write_text(
            json.dumps({**known, "coverage": rows}, ensure_ascii=False, indent=2) + "\n", encoding="utf-8"
        )
        return
    power = powers(np.random.default_rng(8), min(options.draws, 2000))
    print("power at the smallest effect:", power)
    result = {"coverage": rows, "power_at_smallest": power, "seconds": round(time.monotonic() - started, 1)}
    options.out.write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
