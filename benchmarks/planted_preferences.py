"""Planted preferences recovered by on-policy rounds: three hidden rules, judged by a function, through `rather loop`.

    python -m benchmarks.planted_preferences --seeds 0,1,2 --work runs/planted --out benchmarks/results/planted_preferences.json

Each run is one loop of examples/RULE.toml on SmolLM2-135M, in a process of its own. Of each the share of held-out answers that keep
the rule, before and after every round, KL to the first model, what was forgotten, and the time. A loop that is done is
read and not run again, and one that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
RULES = {
    "brevity": "whole answers of at most two sentences",
    "asking_back": "answers that end with a question",
    "language": "Chinese answers to Chinese questions",
}


def run(rule: str, seed: int, work: Path) -> dict[str, Any]:
    """One loop, and what it came to."""
    out = work / f"{rule}-{seed}"
    command = [
        sys.executable,
        "-m",
        "rather",
        "loop",
        str(EXAMPLES / f"{rule}.toml"),
        "--seed",
        str(seed),
        "--out",
        str(out),
    ]
    subprocess.run(command, check=True)
    return read(rule, seed, out)


def read(rule: str, seed: int, out: Path) -> dict[str, Any]:
    """Figures of a loop's folder."""
    manifest, figures = (
        json.loads((out / name).read_text(encoding="utf-8")) for name in ("manifest.json", "loop.json")
    )
    rounds, result = figures["rounds"], figures["result"]
    (judge,) = rounds[0]["held_out"]
    best = rounds[figures["best"] - 1] if figures["best"] else None
    before = rounds[0]["scores"][judge]["before"]
    forgotten = result.get("forgetting", {})
    return {
        "rule": rule, "seed": seed, "heldout_questions": figures["heldout_questions"], "before": before,
        "rounds": [
            {
                "after": facts["scores"][judge]["after"], "pairs": facts["trained_pairs"],
                "kl": {name: facts["kl_detail"][name] for name in ("exact", "exact_low", "exact_high", "per_token")},
                "words": facts["answers_after"]["mean_words"], "seconds": sum(facts["seconds"].values()),
                "seconds_by_step": facts["seconds"],
            }
            for facts in rounds
        ],
        "best": figures["best"], "stopped": figures["stopped"],
        "gained": None if best is None else best["scores"][judge]["after"]["value"] - before["value"],
        "perplexity": {name: forgotten.get(f"perplexity_{name}") for name in ("before", "after")},
        "general": {
            name: result.get("suites", {}).get("general", {}).get(name, {}).get("hits") for name in ("before", "after")
        },
        "seconds_of_rounds": manifest["seconds"], "peak_memory_gb": manifest["peak_memory_gb"],
        "versions": manifest["versions"],
    }  # fmt: skip


def line(row: dict[str, Any]) -> str:
    """One run as a row of a table."""
    rates = " → ".join(f"{r['value']:.0%}" for r in (row["before"], *(each["after"] for each in row["rounds"])))
    kl = ", ".join(f"{each['kl']['exact']:.1f}" for each in row["rounds"])
    general, perplexity = row["general"], row["perplexity"]
    return (
        f"| {RULES[row['rule']]} | {row['seed']} | {rates} | {row['gained'] or 0:+.0%} | {kl} | "
        f"{perplexity['before'] or 0:.2f} → {perplexity['after'] or 0:.2f} | {general['before']} → {general['after']} of 32 | "
        f"{row['seconds_of_rounds'] / 60:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", default=",".join(RULES))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    print("| rule | seed | held-out rate by round | gained | KL | perplexity | general questions | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for rule in given.rules.split(","):
        for seed in map(int, given.seeds.split(",")):
            rows.append(run(rule, seed, given.work))
            print(line(rows[-1]), flush=True)
    if given.out:
        given.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
