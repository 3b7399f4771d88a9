"""How long does `rather audit` take for a million pairs, and how much memory? The whole command, from files made by seed.

    python benchmarks/auditing.py --hh ../shared/data/hh_helpful_test.jsonl.gz --out benchmarks/results/auditing-NAME.json

Pairs of HH's lengths are made by resampling its sentences: a prompt of HH with a number of its own, and two answers, each of as
many sentences as one of HH has, drawn from all. 10,000, 100,000 and 1,000,000 of them as JSONL in the native form; each command
runs in a process of its own, whose wall time and peak memory are taken. `--pairs 10000 --pairs 100000` leaves the largest out.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rather.formats import read_pairs

SIZES = (10_000, 100_000, 1_000_000)


def make(path: Path, hh: Path, pairs: int, seed: int) -> None:
    """Pairs of which none stands there twice."""
    draw, given = random.Random(seed), read_pairs(hh).pairs
    answers = [text for pair in given for text in pair.answers]
    sentences = [part for text in answers for part in re.split(r"(?<=[.!?])\s+", text) if part]
    sizes = [len(re.split(r"(?<=[.!?])\s+", text)) for text in answers]
    with path.open("w", encoding="utf-8") as file:
        for number in range(pairs):
            turns = [turn.model_dump() for turn in draw.choice(given).prompt]  # pyright: ignore[reportAttributeAccessIssue]
            turns[-1]["content"] += f" ({number})"
            chosen, rejected = (" ".join(draw.choices(sentences, k=draw.choice(sizes))) for _ in range(2))
            row = {
                "prompt": turns,
                "chosen": chosen,
                "rejected": rejected + (" " if chosen == rejected else ""),
                "tags": {},
            }
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def measure(source: Path, options: list[str]) -> dict[str, Any]:
    """Wall time and peak memory of one command."""
    start = time.perf_counter()
    done = subprocess.Popen(
        [sys.executable, "-m", "rather", "audit", str(source), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    said, complaint = (
        done.communicate() if done.stdout is None else (done.stdout.read(), done.stderr.read() if done.stderr else "")
    )
    _, status, used = os.wait4(done.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, 2):
        raise SystemExit(f"exit status {code}: {complaint}")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(used.ru_maxrss / 2**20, 2),
        "verdict": said.splitlines()[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hh", type=Path, required=True)
    parser.add_argument("--pairs", type=int, action="append", help="sizes; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    arguments, options = parser.parse_known_args()
    results: dict[str, Any] = {"cpus": os.cpu_count(), "sizes": {}}
    with tempfile.TemporaryDirectory() as folder:
        for pairs in arguments.pairs or SIZES:
            source = Path(folder) / "pairs.jsonl"
            make(source, arguments.hh, pairs, arguments.seed)
            found = {"file_mb": round(source.stat().st_size / 1e6), **measure(source, options)}
            results["sizes"][pairs] = found
            print(f"{pairs:,}", json.dumps(found), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
