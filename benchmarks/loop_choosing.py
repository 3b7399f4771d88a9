"""What choosing items for people gains over drawing them at random: a simulated loop on HH helpful, over many seeds.

    python -m benchmarks.loop_choosing --hh ../shared/data/hh_helpful_test.jsonl.gz --out benchmarks/results/loop_choosing.json

In each round a judge that is wrong about a share `--wrong` of the pairs orders that round's pairs, people (wrong about a share
`--noise`) are asked about some of them, and a model learns from all orders so far. The model stands in for a policy: a ridge
logistic regression of the two answers' words, whose margins on the next round's pairs are what a policy's would be. Arms differ in
`random_share` alone: the loop's own choice (`looping.people.pick`) with a quarter drawn at random, and all drawn at random. Told of
each round: the share of asked items whose order people turned, wrong labels left, accuracy on held-out pairs whose labels nobody
touched; means with 95 % intervals over seeds, and of the difference, seed by seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression

from rather.formats import load_pairs
from rather.looping.people import BETTER, Place, pick
from rather.records import Pair, content_id

ARMS = {"chosen, a quarter at random": 0.25, "all at random": 1.0}


def features(pairs: Sequence[Pair]) -> Any:
    """Words and pairs of words of the better answer less those of the worse, in 2¹⁶ places."""
    make = HashingVectorizer(n_features=2**16, ngram_range=(1, 2), alternate_sign=False, norm="l2")
    return (make.transform([p.chosen for p in pairs]) - make.transform([p.rejected for p in pairs])).tocsr()


def fitted(x: Any, right: np.ndarray) -> Any:
    """Learns which side is better. right: False where the order is the other way round."""
    sign = np.where(right, 1.0, -1.0)
    both = x.multiply(sign[:, None]).tocsr()
    half = np.arange(len(right)) % 2 == 0
    both = both.multiply(np.where(half, 1.0, -1.0)[:, None]).tocsr()
    return LogisticRegression(C=10.0, fit_intercept=False, max_iter=500).fit(both, half)


def simulate(
    pairs: Sequence[Pair],
    x: Any,
    share: float,
    seed: int,
    *,
    rounds: int,
    size: int,
    items: int,
    wrong: float,
    noise: float,
) -> list[dict[str, float]]:
    """One loop: a row a round."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(pairs))
    parts, test = order[: rounds * size].reshape(rounds, size), order[rounds * size :]
    right = random.random(len(pairs)) >= wrong  # what the judge says
    people = random.random(len(pairs)) >= noise
    models: list[Any] = []
    rows, seen = [], np.zeros(0, np.int64)
    for number, part in enumerate(parts):
        shown = [pairs[at] if right[at] else pairs[at].swapped() for at in part]
        places: list[Place] = []
        if models:
            sign = np.where(right[part], 1.0, -1.0)
            margins = np.stack([model.decision_function(x[part]) * sign for model in models])
            # In nats, as a policy's: this model's are an order smaller.
            margins *= 5 / max(np.abs(margins).mean(), 1e-9)
            places = [Place(float(m), float(s)) for m, s in zip(margins.mean(axis=0), margins.std(axis=0), strict=True)]
        picked = pick(shown, places, items, share, seed * 1000 + number)
        by_text = {(shown[at].text_id): part[at] for at in range(size)}
        asked = [by_text[Pair(prompt=p.prompt, chosen=p.chosen, rejected=p.rejected).text_id] for p in picked]
        assert all(item.tags[BETTER] == content_id(item.chosen) for item in picked)
        turned = sum(people[at] != right[at] for at in asked)
        right[asked] = people[asked]
        seen = np.concatenate([seen, part])
        models.append(fitted(x[seen], right[seen]))
        held = models[-1].decision_function(x[test])
        rows.append({
            "turned": turned / len(asked), "wrong_left": 1 - right[seen].mean(),
            "accuracy": float((held > 0).mean() + 0.5 * (held == 0).mean()),
        })  # fmt: skip
    return rows


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean with Student's 95 % interval."""
    found = np.asarray(values, np.float64)
    half = float(t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return {"value": float(found.mean()), "low": float(found.mean()) - half, "high": float(found.mean()) + half}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hh", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=350, help="pairs of a round")
    parser.add_argument("--items", type=int, default=100, help="asked in a round")
    parser.add_argument("--wrong", type=float, default=0.25)
    parser.add_argument("--noise", type=float, default=0.05)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    pairs = [pair for pair in load_pairs(given.hh)[0] if pair.chosen.strip() != pair.rejected.strip()]
    x = features(pairs)
    runs = {
        arm: [
            simulate(pairs, x, share, seed, rounds=given.rounds, size=given.size, items=given.items, wrong=given.wrong,
                     noise=given.noise)
            for seed in range(given.seeds)
        ]
        for arm, share in ARMS.items()
    }  # fmt: skip
    one, other = runs.values()
    table: dict[str, Any] = {"options": {k: v for k, v in vars(given).items() if k not in ("hh", "out")}, "rounds": []}
    for number in range(given.rounds):
        row: dict[str, Any] = {"round": number + 1}
        for name in ("turned", "wrong_left", "accuracy"):
            row[name] = {arm: interval([run[number][name] for run in found]) for arm, found in runs.items()}
            row[name]["difference"] = interval(
                [a[number][name] - b[number][name] for a, b in zip(one, other, strict=True)]
            )
            said = ", ".join(
                f"{arm} {v['value']:+.3f} ({v['low']:+.3f} to {v['high']:+.3f})" for arm, v in row[name].items()
            )
            print(f"round {number + 1}, {name}: {said}")
        table["rounds"].append(row)
    if given.out:
        given.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
