"""How the cost of judging, pairing and auditing grows: the commands themselves, on more and more made answers.

    python -m benchmarks.stages --hh ../shared/data/hh_helpful_test.jsonl.gz --out benchmarks/results/stages-NAME.json

runs `rather judge` (by length and refusal), `rather pair` (ratings, mean, best-vs-worst) and `rather audit` on 1,000, 10,000 and
100,000 answers, ratings and pairs, each in a process of its own, and takes its processor time, the largest of its memory and the
size of what it read. Processor time, and not the clock's, so that other work on the machine counts little. `--counts` takes
others, up to 1,000,000.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.auditing import make as make_pairs
from benchmarks.pairing import made, words

COUNTS = (1_000, 10_000, 100_000)


def answers(file: Path, count: int) -> None:
    draw = random.Random(0)
    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            row = {
                "prompt": f"{number // 4}: {words(draw, 14)}?",
                "response": words(draw, draw.randint(40, 90)),
                "model": "made",
            }
            out.write(json.dumps(row) + "\n")


def ratings(file: Path, count: int) -> None:
    with file.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row) + "\n" for row in made(count, 0))


def cost(file: Path, command: list[str]) -> dict[str, Any]:
    """Processor seconds and peak memory of one command."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, "-m", "rather", *command], stdout=said, stderr=said)
        _, status, used = os.wait4(process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if code not in (0, 2) or (code == 2 and command[0] != "audit"):  # an audit that says stop ends with 2
            said.seek(0)
            raise SystemExit(f"{command}: exit status {code}: {said.read().decode(errors='replace')[-2000:]}")
    return {
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 3),
        "file_mb": round(file.stat().st_size / 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hh", type=Path, required=True, help="pairs whose sentences the audited ones are made of")
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--stages", default="judge,pair,audit")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    makers: dict[str, Callable[[Path, int], None]] = {
        "judge": answers,
        "pair": ratings,
        "audit": lambda file, count: make_pairs(file, arguments.hh, count, 0),
    }
    from rather.rundir import versions, write_json

    report: dict[str, Any] = {"cpus": os.cpu_count(), "versions": versions(), "stages": {}}
    if arguments.out and arguments.out.is_file():
        report["stages"] = json.loads(arguments.out.read_text(encoding="utf-8"))["stages"]
    for count in map(int, arguments.counts.split(",")):
        for stage in arguments.stages.split(","):
            with tempfile.TemporaryDirectory() as folder:
                file, out = Path(folder) / "in.jsonl", str(Path(folder) / "out")
                makers[stage](file, count)
                command = {
                    "judge": ["judge", str(file), "--by", "length", "--by", "refusal", "--out", out],
                    "pair": ["pair", str(file), "--out", out],
                    "audit": ["audit", str(file)],
                }[stage]
                found = cost(file, command)
            report["stages"].setdefault(stage, {})[str(count)] = found
            print(f"{stage:6} {count:9,}  {found['cpu_seconds']:8.2f} s  {found['peak_gb']:.2f} GB", flush=True)
            if arguments.out:
                write_json(arguments.out, report)


if __name__ == "__main__":
    main()
