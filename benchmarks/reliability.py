"""Whom to trust in a crowd: 8,931 votes of 124 workers on 2,139 pairs of answers, beside GPT-4's votes on the same pairs.

    python benchmarks/reliability.py [--data ../shared/data] --out benchmarks/results/reliability-llmfao.json

For plain majority and each model: agreement with GPT-4 where it names an answer; and leave-one-worker-out accuracy: labels from all
other workers' votes, held against the votes of the one left out, with an interval over workers (bootstrap). "Named" is the share
of the votes for an answer whose answer the label prefers (a label without preference counts half), "three" of all votes whose
outcome, ties included, is the label's likeliest. Then the same through `rather pair`, as users run it.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rather.pairing.run import pair
from rather.records import Comparison
from rather.stats import Rate, rate
from rather.stats.bootstrap import clustered_share
from rather.stats.bradley_terry import newman
from rather.stats.dawid_skene import dawid_skene
from rather.stats.noisy import noisy_bradley_terry
from rather.stats.odds import Odds, between
from rather.stats.votes import FIRST, SECOND, TIE, Votes

OUTCOME = {"left": FIRST, "tie": TIE, "right": SECOND}
VERDICT = {"left": "a", "tie": "tie", "right": "b"}
Label = Callable[[Votes], Odds]


class Crowd:
    """The votes as columns; every pair is shown in one order, so first and second are the same for all workers."""

    def __init__(self, data: Path) -> None:
        self.rows = read(data / "llmfao_crowd_votes.csv")
        gpt4 = {row["id"]: OUTCOME[row["winner"]] for row in read(data / "llmfao_gpt4_votes.csv")}
        with gzip.open(data / "llmfao_pairs.jsonl.gz", "rt", encoding="utf-8") as file:
            self.texts = {str(row["id"]): row for row in map(json.loads, file)}
        answers = sorted({(row["prompt"], row[side]) for row in self.rows for side in ("model_x", "model_y")})
        place = {answer: number for number, answer in enumerate(answers)}
        names = sorted({model for _, model in answers})
        self.model = np.array([names.index(model) for _, model in answers])
        workers = sorted({row["worker"] for row in self.rows}, key=int)
        self.votes = Votes.of(
            [place[row["prompt"], row["model_x"]] for row in self.rows],
            [place[row["prompt"], row["model_y"]] for row in self.rows],
            [OUTCOME[row["winner"]] for row in self.rows],
            [workers.index(row["worker"]) for row in self.rows],
            items=len(answers),
        )
        self.workers = workers
        ids = sorted(gpt4)
        number = {name: place_ for place_, name in enumerate(ids)}
        self.pair_V = np.array([number[row["id"]] for row in self.rows])
        self.gpt4 = np.array([gpt4[name] for name in ids])
        one = np.unique(self.pair_V, return_index=True)[1]
        self.first, self.second = self.votes.first[one], self.votes.second[one]

    def majority(self, votes: Votes) -> Odds:
        """Shares of the votes of each pair; no votes are no preference."""
        share = np.full((len(self.gpt4), 3), 1e-12)
        np.add.at(share, (self.of(votes), votes.outcome), 1.0)
        share /= share.sum(axis=1, keepdims=True)
        return Odds(*share.T)

    def by_newman(self, votes: Votes) -> Odds:
        found = newman(votes)
        return between(found.score, found.tie, self.first, self.second)

    def by_dawid_skene(self, votes: Votes) -> Odds:
        found = dawid_skene(votes)
        odds = np.full((len(self.gpt4), 3), 1 / 3)
        key = {pair_: row for row, pair_ in enumerate(zip(found.low.tolist(), found.high.tolist(), strict=True))}
        for number, (a, b) in enumerate(zip(self.first.tolist(), self.second.tolist(), strict=True)):
            row = key.get((min(a, b), max(a, b)))
            if row is not None:
                one = found.odds.first[row], found.odds.tie[row], found.odds.second[row]
                odds[number] = one if a < b else one[::-1]
        return Odds(*odds.T)

    def by_noisy(self, votes: Votes) -> Odds:
        found = noisy_bradley_terry(votes, model=self.model)
        return between(found.scores.score, found.scores.tie, self.first, self.second)

    def of(self, votes: Votes) -> np.ndarray:
        keys = self.first * 10_000 + self.second
        order = np.argsort(keys)
        return order[np.searchsorted(keys[order], votes.first * 10_000 + votes.second)]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def right(odds: Odds, pair_: np.ndarray, outcome: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each vote: whether the label prefers the answer it names (half without preference), and whether it is its likeliest."""
    lead = np.sign(np.round(odds.better - 0.5, 9))[pair_]
    named = np.where(lead == 0, 0.5, (lead == 1) == (outcome == FIRST))
    table = np.round(np.stack([odds.first, odds.tie, odds.second], axis=1), 9)[pair_]
    best = table == table.max(axis=1, keepdims=True)
    return named, best[np.arange(len(outcome)), outcome] / best.sum(axis=1)


def gpt4_agreement(crowd: Crowd, odds: Odds) -> dict[str, Any]:
    """With GPT-4, over the pairs of which it names an answer; labels without preference count half."""
    rows = np.flatnonzero(crowd.gpt4 != TIE)
    named = right(odds, rows, crowd.gpt4[rows])[0]
    return shown(rate(round(float(named.sum())), len(rows)))


def left_out(crowd: Crowd, labels: dict[str, Label]) -> dict[str, np.ndarray]:
    """Sums for each worker [J, 4]: named right, named, three right, all; pairs that nobody else judged are left out."""
    found = {name: np.zeros((len(crowd.workers), 4)) for name in labels}
    for worker in range(len(crowd.workers)):
        mine = crowd.votes.judge == worker
        others = crowd.votes.kept(~mine)
        seen = np.isin(crowd.pair_V[mine], crowd.pair_V[~mine])
        pair_, outcome = crowd.pair_V[mine][seen], crowd.votes.outcome[mine][seen]
        for name, label in labels.items():
            named, three = right(label(others), pair_, outcome)
            decided = outcome != TIE
            found[name][worker] = named[decided].sum(), decided.sum(), three.sum(), len(outcome)
    return found


def through_the_command(crowd: Crowd, options: dict[str, Any]) -> dict[str, Any]:
    """`rather pair` over the same votes as records."""
    judgments = [
        Comparison(
            prompt=text["text"], answers=(text["result_x"], text["result_y"]), models=(row["left"], row["right"]),
            judge=row["worker"], verdict=VERDICT[row["winner"]],  # pyright: ignore[reportArgumentType]
        )
        for row, text in ((row, crowd.texts[row["id"]]) for row in crowd.rows)
    ]  # fmt: skip
    empty = sum(not all(text.strip() for text in judgment.answers) for judgment in judgments)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = pair(judgments, out=Path(folder) / "out", rule="all", heldout_share=0, **options)
        return {**result.counts, "seconds": round(time.perf_counter() - start, 2), "votes_on_empty_answers": empty}


def shown(found: Rate) -> dict[str, Any]:
    return {"value": round(found.value, 4), "interval": [round(found.low, 4), round(found.high, 4)], "n": found.total}


def interval(hits: np.ndarray, totals: np.ndarray) -> dict[str, Any]:
    share, low, high = clustered_share(hits, totals)
    return {"value": round(share, 4), "interval": [round(low, 4), round(high, 4)]}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    crowd = Crowd(arguments.data)
    labels: dict[str, Label] = {
        "plain majority": crowd.majority, "newman": crowd.by_newman, "dawid-skene": crowd.by_dawid_skene,
        "noisy-bradley-terry": crowd.by_noisy,
    }  # fmt: skip
    results: dict[str, Any] = {
        "votes": len(crowd.votes),
        "workers": len(crowd.workers),
        "pairs": len(crowd.gpt4),
        "labels": {},
    }
    sums = left_out(crowd, labels)
    plain = sums["plain majority"]
    for name, label in labels.items():
        start = time.perf_counter()
        odds = label(crowd.votes)
        mine = sums[name]
        results["labels"][name] = {
            "seconds": round(time.perf_counter() - start, 3),
            "ties": int(odds.tied.sum()),
            "agrees_with_gpt4": gpt4_agreement(crowd, odds),
            "left_out_named": interval(mine[:, 0], mine[:, 1]),
            "left_out_named_above_majority": interval(mine[:, 0] - plain[:, 0], mine[:, 1]),
            "left_out_three": interval(mine[:, 2], mine[:, 3]),
            "left_out_three_above_majority": interval(mine[:, 2] - plain[:, 2], mine[:, 3]),
        }
    judges = noisy_bradley_terry(crowd.votes, model=crowd.model).judges
    order = np.argsort(judges.skill)
    results["workers_by_skill"] = [
        {
            "worker": crowd.workers[number], "votes": int(judges.votes[number]),
            "skill": [round(float(column[number]), 2) for column in (judges.skill, judges.skill_low, judges.skill_high)],
            "side_bias": [round(float(column[number]), 2) for column in (judges.side, judges.side_low, judges.side_high)],
            "ties": round(float(judges.ties[number]), 2),
        }
        for number in order.tolist()
    ]  # fmt: skip
    results["rather_pair"] = {
        name: through_the_command(crowd, options)
        for name, options in {
            "newman": {}, "dawid-skene": {"reliability": "dawid-skene"},
            "noisy-bradley-terry": {"reliability": "noisy-bradley-terry"},
            "noisy-bradley-terry, ties half": {"reliability": "noisy-bradley-terry", "ties": "half"},
        }.items()
    }  # fmt: skip
    print(
        json.dumps(
            {**results, "workers_by_skill": results["workers_by_skill"][:5] + results["workers_by_skill"][-5:]},
            indent=1,
        )
    )
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
