"""Which to ask next, against asking at random: learning curves with simulated annotators, noise and all.

    python -m benchmarks.choosing --data ../shared/data --out benchmarks/results/choosing.json --plot docs/choosing.png

`votes`: 2,139 pairs of answers on which 124 workers voted 8,931 times (LLMFAO). A simulated crowd holds on each pair what the real
one may: shares of left, tie and right drawn from the Dirichlet of its votes (with the mean of all pairs as a prior of two votes).
Each of 40 annotators answers at random in a share of cases of their own, up to 40 %. The server's own queue says what is asked.
Measured: pairs whose better side is ahead (a tie counts half), and Kendall's τ of the leaderboard of models with that of the true
shares.

`pairs`: 2,300 pairs of HH helpful. Which of 1,500 to have labelled at all, by an annotator who errs in one case of five; after each
100 votes a reward model (ridge logistic regression on words) is fitted and tried on the other 800, whose labels are the file's.

Every crowd is asked in every way; an interval is Student's 95 % over crowds of the difference from random.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import kendalltau, t

from rather.annotation.queue import Queue
from rather.annotation.replay import worth_of
from rather.annotation.settings import Asking, Project
from rather.stats.bradley_terry import bradley_terry
from rather.stats.votes import FIRST, SECOND, TIE, Votes

PEOPLE, MOST, BUDGET, SLOPPY = 40, 8, 4.0, 0.4
AT = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)
WAYS: dict[str, tuple[Asking, float]] = {
    "random": ("informative", 1.0), "uncertain": ("uncertain", 0.2), "informative": ("informative", 0.2),
}  # fmt: skip
SAID = ("a", "tie", "b")
OUTCOMES = np.array([FIRST, TIE, SECOND])

POOL, FIRST_LABELS, STEP, LAST, ERRORS, COMMITTEE = 1500, 100, 100, 1000, 0.2, 5
C = 0.1  # of those from 0.03 to 3 the best at 100, 300 and 1,000 votes at random

Curves = dict[str, dict[str, np.ndarray]]
"""measure → way → [crowds, places]."""


class Crowd:
    """Pairs of answers, what a crowd votes on each, and which models wrote them."""

    def __init__(self, data: Path) -> None:
        counts: dict[str, list[int]] = {}
        models: dict[str, tuple[str, str]] = {}
        with (data / "llmfao_crowd_votes.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                place = ("left", "tie", "right").index(row["winner"])
                counts.setdefault(row["id"], [0, 0, 0])[place] += 1
                models[row["id"]] = row["model_x"], row["model_y"]
        names = sorted({name for both in models.values() for name in both})
        self.votes = np.array(list(counts.values()), float)
        self.sides = np.array([[names.index(name) for name in models[id]] for id in counts])
        self.models = len(names)

    def shares(self, seed: int) -> np.ndarray:
        """[items, 3]: what a crowd like this one may hold of each pair."""
        prior = 2 * self.votes.sum(axis=0) / self.votes.sum()
        drawn = np.random.default_rng(seed).standard_gamma(self.votes + prior)
        return drawn / drawn.sum(axis=1, keepdims=True)

    def scores(self, outcome: np.ndarray, items: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        """Bradley–Terry scores of the models."""
        first, second = self.sides[items].T
        return bradley_terry(Votes.of(first, second, outcome, weight=weight, items=self.models)).score


def asked(crowd: Crowd, ask: Asking, random_share: float, seed: int) -> Iterator[tuple[float, float]]:
    """(pairs with the right side ahead, τ of the leaderboard) at each place of AT."""
    shares, draw = crowd.shares(seed), random.Random(seed)
    items = len(shares)
    sloppy = [draw.random() * SLOPPY for _ in range(PEOPLE)]
    lead = shares[:, 0] - shares[:, 2]
    truth = crowd.scores(
        np.tile(OUTCOMES, items), np.repeat(np.arange(items), 3), shares.ravel()
    )  # every vote that there could be
    queue = Queue(Project.build({"overlap": MOST, "ask": ask, "random_share": random_share, "seed": seed}))
    queue.add(range(items))
    votes: list[list[dict[str, str]]] = [[] for _ in range(items)]
    said: list[tuple[int, int]] = []
    for place in AT:
        while len(said) < place * items:
            person = draw.randrange(PEOPLE)
            viewer = queue.viewer(person + 1)
            item = queue.next(viewer, 0.0)
            if item is None:
                continue
            queue.reserve(viewer, item, 0.0, 0.0)
            queue.take(viewer, item)
            weights = (1, 1, 1) if draw.random() < sloppy[person] else shares[item]
            vote = draw.choices(range(3), weights)[0]
            said.append((item, vote))
            votes[item].append({"verdict": SAID[vote]})
            worth_of(queue, item, votes[item])
        sides = np.array([sum({"a": 1, "b": -1}.get(vote["verdict"], 0) for vote in on) for on in votes])
        right = np.where(sides == 0, 0.5, (sides > 0) == (lead > 0)).mean()
        on, outcome = (np.array(column) for column in zip(*said, strict=True))
        found = crowd.scores(OUTCOMES[outcome], on)
        yield float(right), float(kendalltau(found, truth).statistic)


def votes_curves(data: Path, crowds: int) -> Curves:
    """`votes` of the docstring."""
    crowd = Crowd(data)
    found = {
        way: np.array([list(asked(crowd, *how, seed)) for seed in range(crowds)]) for way, how in WAYS.items()
    }  # [crowds, places, 2]
    return {
        "right": {way: rows[..., 0] for way, rows in found.items()},
        "leaderboard": {way: rows[..., 1] for way, rows in found.items()},
    }


def helpful(data: Path) -> tuple[Any, np.ndarray]:
    """Words of one answer less those of the other, the sides exchanged by chance; and which is the chosen one."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    with gzip.open(data / "hh_helpful_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    sides = [[row[side].rpartition("\n\nAssistant:")[2].strip() for side in ("chosen", "rejected")] for row in rows]
    sides = [both for both in sides if all(both) and both[0] != both[1]]
    words = TfidfVectorizer(min_df=3, sublinear_tf=True, ngram_range=(1, 2))
    words.fit([text for both in sides for text in both])
    gap = words.transform([both[0] for both in sides]) - words.transform([both[1] for both in sides])
    length = np.array([[np.log(len(both[0].split()) / len(both[1].split()))] for both in sides])
    from scipy.sparse import csr_matrix, hstack

    label = np.where(np.random.default_rng(0).random(len(sides)) < 0.5, 1.0, -1.0)
    return csr_matrix(hstack([gap, csr_matrix(length)])).multiply(label[:, None]).tocsr(), label


Fit = Callable[[np.ndarray], np.ndarray]


class Learner:
    """A reward model that grows with its votes. `sum_P` of votes on each pair of the pool, `count_P` how many."""

    def __init__(self, features: Any, label: np.ndarray, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        order = self.draw.permutation(len(label))
        self.features, self.label = features, label
        self.pool, self.test = order[:POOL], order[POOL:]
        self.sum_P, self.count_P = np.zeros(len(label)), np.zeros(len(label))

    def ask(self, pairs: np.ndarray) -> None:
        """One vote on each."""
        wrong = self.draw.random(len(pairs)) < ERRORS
        np.add.at(self.sum_P, pairs, np.where(wrong, -1, 1) * self.label[pairs])
        np.add.at(self.count_P, pairs, 1)

    def scores(self, weight_P: np.ndarray) -> np.ndarray:
        """Scores of all pairs by a model fitted to the votes, each pair weighted."""
        from sklearn.linear_model import LogisticRegression

        known = np.flatnonzero((self.sum_P != 0) & (weight_P > 0))
        sure = np.abs(self.sum_P[known]) * weight_P[known]
        # Both signs of each pair: without a side there is no constant, and no class is missing.
        rows = np.concatenate([known, known])
        sign = np.repeat([1.0, -1.0], len(known))
        model = LogisticRegression(C=C, fit_intercept=False, max_iter=200)
        model.fit(self.features[rows].multiply(sign[:, None]).tocsr(), np.sign(self.sum_P[rows]) * sign > 0,
                  sample_weight=np.tile(sure, 2))  # fmt: skip
        return self.features @ model.coef_[0]

    @property
    def fresh(self) -> np.ndarray:
        return self.pool[self.count_P[self.pool] == 0]


def _random(learner: Learner, scores: np.ndarray) -> np.ndarray:
    return learner.draw.choice(learner.fresh, STEP, replace=False)


def _uncertain(learner: Learner, scores: np.ndarray) -> np.ndarray:
    """Those whose score is nearest to 0 (Lewis and Gale 1994)."""
    return learner.fresh[np.argsort(np.abs(scores[learner.fresh]))[:STEP]]


def _committee(learner: Learner, scores: np.ndarray) -> np.ndarray:
    """Those on which models of resampled votes differ most (Seung, Opper and Sompolinsky 1992; Abe and Mamitsuka 1998)."""
    drawn = [learner.scores(learner.draw.poisson(1.0, len(learner.label)).astype(float)) for _ in range(COMMITTEE)]
    shares = 1 / (1 + np.exp(-np.array(drawn)[:, learner.fresh]))
    return learner.fresh[np.argsort(-shares.var(axis=0))[:STEP]]


def _denied(learner: Learner, scores: np.ndarray) -> np.ndarray:
    """Half of the votes on new pairs, half again on those whose label the model denies most."""
    known = learner.pool[learner.count_P[learner.pool] > 0]
    margin = np.sign(learner.sum_P[known]) * scores[known]
    again = known[np.argsort(margin)[: STEP // 2]]
    return np.concatenate([again, learner.draw.choice(learner.fresh, STEP // 2, replace=False)])


PICKS: dict[str, Callable[[Learner, np.ndarray], np.ndarray]] = {
    "random": _random, "uncertain": _uncertain, "committee": _committee, "denied again": _denied,
}  # fmt: skip


def learned(
    features: Any, label: np.ndarray, pick: Callable[[Learner, np.ndarray], np.ndarray], seed: int
) -> list[float]:
    """Accuracy on pairs that nobody voted on, after each STEP votes."""
    learner = Learner(features, label, seed)
    learner.ask(learner.draw.choice(learner.pool, FIRST_LABELS, replace=False))
    found = []
    for votes in range(FIRST_LABELS, LAST + 1, STEP):
        scores = learner.scores(np.ones(len(label)))
        found.append(float((scores[learner.test] * label[learner.test] > 0).mean()))
        if votes < LAST:
            learner.ask(pick(learner, scores))
    return found


def pairs_curves(data: Path, crowds: int) -> Curves:
    """`pairs` of the docstring."""
    features, label = helpful(data)
    return {
        "accuracy": {
            way: np.array([learned(features, label, pick, seed) for seed in range(crowds)])
            for way, pick in PICKS.items()
        }
    }


def interval(rows: np.ndarray) -> dict[str, float]:
    """Mean over crowds with Student's 95 % interval."""
    mean, half = float(rows.mean()), float(t.ppf(0.975, len(rows) - 1) * rows.std(ddof=1) / np.sqrt(len(rows)))
    return {"mean": round(mean, 5), "low": round(mean - half, 5), "high": round(mean + half, 5)}


def summed_up(curves: dict[str, np.ndarray], places: list[float]) -> dict[str, Any]:
    """Each way at each place, and its difference from random there and over the whole curve."""
    base = curves["random"]
    return {
        way: {
            "curve": [{"at": at, **interval(rows[:, place])} for place, at in enumerate(places)],
            "less_random": [{"at": at, **interval((rows - base)[:, place])} for place, at in enumerate(places)],
            "less_random_over_all": interval((rows - base).mean(axis=1)),
        }
        for way, rows in curves.items()
    }


def table(figures: dict[str, Any], percent: bool) -> Iterator[str]:
    """Markdown: a line a way, at the middle and the end of the curve."""
    places = [row["at"] for row in figures["random"]["curve"]]
    shown = [len(places) // 2 - 1, len(places) - 1]
    scale, unit, form = (100, " %", ".1f") if percent else (1, "", ".3f")
    yield (
        "| asked | "
        + " | ".join(f"at {places[place]:g} | less random" for place in shown)
        + " | less random, whole curve |"
    )
    yield "|---" * (2 + 2 * len(shown)) + "|"
    for way, row in figures.items():
        gaps = [_gap(row["less_random"][place], scale, form) for place in shown]
        gaps.append(_gap(row["less_random_over_all"], scale, form))
        gaps = gaps if way != "random" else ["–"] * len(gaps)
        means = [f"{scale * row['curve'][place]['mean']:{form}}{unit}" for place in shown]
        cells = [means[0], gaps[0], means[1], gaps[1], gaps[2]]
        yield f"| {way} | {' | '.join(cells)} |"


def _gap(row: dict[str, float], scale: int, form: str) -> str:
    return f"{scale * row['mean']:+{form}} ({scale * row['low']:+{form}} to {scale * row['high']:+{form}})"


def plot(results: dict[str, Any], path: Path) -> None:
    """All curves with their intervals."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.0), layout="constrained", dpi=110)
    panels = [
        ("votes", "right", "votes a pair", "pairs with the right side ahead"),
        ("votes", "leaderboard", "votes a pair", "τ of the leaderboard"),
        ("pairs", "accuracy", "votes", "accuracy of the reward model"),
    ]
    colours = {
        "random": "#555555",
        "uncertain": "#d55e00",
        "informative": "#0072b2",
        "committee": "#0072b2",
        "denied again": "#009e73",
    }
    dashes = {"random": "-", "uncertain": "--", "informative": ":", "committee": ":", "denied again": "-."}
    for axes, (part, measure, x, y) in zip(figure.subplots(1, 3), panels, strict=True):
        for way, row in results[part][measure].items():
            at, mean, low, high = (
                np.array([each[key] for each in row["curve"]]) for key in ("at", "mean", "low", "high")
            )
            axes.plot(at, mean, dashes[way], color=colours[way], label=way, linewidth=1.6)
            axes.fill_between(at, low, high, color=colours[way], alpha=0.13, linewidth=0)
        axes.set_xlabel(x)
        axes.set_title(y, fontsize=9)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--crowds", type=int, default=12)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--plot", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {"crowds": given.crowds}
    votes, pairs = votes_curves(given.data, given.crowds), pairs_curves(given.data, given.crowds)
    results["votes"] = {measure: summed_up(curves, list(AT)) for measure, curves in votes.items()}
    places = [float(votes) for votes in range(FIRST_LABELS, LAST + 1, STEP)]
    results["pairs"] = {measure: summed_up(curves, places) for measure, curves in pairs.items()}
    for part in ("votes", "pairs"):
        for measure, figures in results[part].items():
            print(f"\n{part}, {measure}\n")
            print("\n".join(table(figures, percent=measure != "leaderboard")))
    if given.out:
        given.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    if given.plot:
        plot(results, given.plot)


if __name__ == "__main__":
    main()
