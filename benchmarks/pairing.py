"""How long does `rather pair` take for a million ratings, and how much memory? The whole command, from a file made by seed.

    python benchmarks/pairing.py --out benchmarks/results/pairing-NAME.json

writes 1,000,000 ratings of 250,000 prompts (four answers each, prompts of about 100 characters, answers of about 450, six raters)
as JSONL in the native form and as a table (CSV), runs the command in its own process, and prints its wall time and the peak of
its memory. Then the same ratings with other options. `--ratings 100000` is a smaller run.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ANSWERS = 4
RATERS = 6
CASES: dict[str, tuple[str, list[str]]] = {
    "mean, best-vs-worst": ("jsonl", []),
    "the same from a table": ("csv", []),
    "newman, neighbours, at most 2 a prompt": (
        "jsonl", ["--aggregate", "newman", "--rule", "neighbours", "--per-prompt", "2"],
    ),
    "noisy-bradley-terry, best-vs-worst": ("jsonl", ["--reliability", "noisy-bradley-terry"]),
}  # fmt: skip
"""name → the form of the file, and options"""
WORDS = (
    "answer", "because", "between", "colour", "different", "every", "explain", "great", "house", "however", "language", "little",
    "morning", "number", "people", "please", "question", "reason", "river", "should", "simple", "small", "story", "their",
    "there", "thing", "think", "under", "water", "where", "which", "world", "would", "write", "years", "young",
)  # fmt: skip


def words(random_: random.Random, count: int) -> str:
    return " ".join(random_.choices(WORDS, k=count))


def made(ratings: int, seed: int) -> Iterator[dict[str, Any]]:
    """Ratings of 1 … 5 in half points, each answer's around a quality of its own; one rater says 3 to everything."""
    random_ = random.Random(seed)
    for number in range(ratings // ANSWERS):
        prompt = f"{number}: {words(random_, 14)}?"
        raters = random_.sample(range(RATERS), ANSWERS) if number % 2 else [number % RATERS] * ANSWERS
        for rater in raters:
            score = 3.0 if rater == 0 else min(5.0, max(1.0, round(2 * random_.gauss(3, 1)) / 2))
            yield {
                "prompt": prompt, "answers": [words(random_, random_.randint(40, 90))], "judge": f"rater {rater}",
                "score": score, "scale": [1, 5],
            }  # fmt: skip


def make(folder: Path, ratings: int, seed: int) -> dict[str, Path]:
    """The same ratings in both forms."""
    files = {form: folder / f"ratings.{form}" for form in ("jsonl", "csv")}
    with (
        files["jsonl"].open("w", encoding="utf-8") as native,
        files["csv"].open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file)
        table.writerow(["prompt", "response", "score", "rater", "low", "high"])
        for row in made(ratings, seed):
            native.write(json.dumps(row) + "\n")
            table.writerow([row["prompt"], row["answers"][0], row["score"], row["judge"], *row["scale"]])
    return files


def measure(source: Path, out: Path, options: list[str]) -> dict[str, Any]:
    """Wall time and peak memory of one command."""
    start = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "rather", "pair", str(source), "--out", str(out), *options],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    manifest = json.loads((out / "manifest.json").read_text())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "peak_gb": manifest["peak_memory_gb"],
        "pairs": manifest["counts"]["written"],
        "heldout": manifest["counts"]["heldout"],
        "said": done.stdout.splitlines()[:6],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ratings", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cases", type=int, default=len(CASES), help="only the first so many")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    results: dict[str, Any] = {"ratings": arguments.ratings, "cpus": os.cpu_count(), "cases": {}}
    with tempfile.TemporaryDirectory() as folder:
        files = make(Path(folder), arguments.ratings, arguments.seed)
        results["file_mb"] = {form: round(file.stat().st_size / 1e6) for form, file in files.items()}
        for number, (name, (form, options)) in enumerate(list(CASES.items())[: arguments.cases]):
            results["cases"][name] = measure(files[form], Path(folder) / f"out{number}", options)
            print(name, json.dumps(results["cases"][name], indent=1))
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
