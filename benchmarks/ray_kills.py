"""Kill workers of a Ray cluster while a command runs, and see whether anybody can tell by the result.

    python benchmarks/ray_kills.py runs/kills --kills 10

Two commands run on a cluster of two workers of this machine, each twice: undisturbed, and with a worker killed (SIGKILL) each time
that a tenth of the work is done. `rather judge` has a slow function of this file, which writes down every prompt that it is given;
`rather train` has a random model of two layers. A table says how often a worker died, what was done twice, and whether the files
are the same. Linux alone: workers are found in /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
GIVEN = "RATHER_KILLS_GIVEN"


def slowly(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
    """A reward that takes its time, and writes down what it was asked."""
    with Path(os.environ[GIVEN]).open("a", encoding="utf-8") as file:
        file.write("".join(f"{prompt}\t{text}\n" for prompt, text in zip(prompts, completions, strict=True)))
    time.sleep(0.01 * len(prompts))
    return [float(len(text)) for text in completions]


def workers_of(driver: int, name: str) -> list[int]:
    """Processes below `driver` that Ray calls by this name."""
    parents, found = {}, []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            status = (folder / "stat").read_text()
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
        if command.startswith(f"ray::{name}"):
            found.append(int(folder.name))

    def below(process: int) -> bool:
        while process > 1:
            if process == driver:
                return True
            process = parents.get(process, 0)
        return False

    return [process for process in found if below(process)]


def run(command: list[str], out: Path, *, kills: int, worker: str, done: Callable[[Path], float]) -> tuple[int, float]:
    """How many workers were killed, and seconds. done: which share of the work is done, by what is in `out`."""
    dice, killed, began = random.Random(0), 0, time.monotonic()
    with (out.parent / f"{out.name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "rather", *command, "--out", str(out)], stdout=log, stderr=log, cwd=HERE
        )
        while process.poll() is None:
            time.sleep(0.1)
            if killed < kills and done(out) >= (killed + 0.5) / kills:
                victims = workers_of(process.pid, worker)
                if victims:
                    os.kill(dice.choice(victims), signal.SIGKILL)
                    killed += 1
                    time.sleep(1)  # a dead one is no victim
    if process.returncode:
        raise SystemExit((out.parent / f"{out.name}.log").read_text())
    return killed, time.monotonic() - began


def lines_in(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def judging(folder: Path, kills: int, prompts: int) -> list[str]:
    file = folder / "responses.jsonl"
    rows = [
        {"prompt": f"Question {n}?", "response": "word " * (1 + (n * k) % 17)} for n in range(prompts) for k in (3, 5)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {}
    for name, count in (("undisturbed", 0), ("killed", kills)):
        os.environ[GIVEN] = str(folder / f"{name}.given")
        judge = ["judge", str(file), "--by", "function:ray_kills:slowly", "--function-batch", "8", "--ray", "2"]
        killed, seconds = run(
            judge, folder / f"judged-{name}", kills=count, worker="MapWorker",
            done=lambda out: lines_in(out / "journal-0.jsonl") / prompts,
        )  # fmt: skip
        given = Counter(Path(os.environ[GIVEN]).read_text().splitlines())
        again = sum(count - 1 for count in given.values())
        found[name] = killed, seconds, again, (folder / f"judged-{name}" / "judgments.jsonl").read_bytes()
    killed, seconds, again, result = found["killed"]
    same = "the same bytes" if result == found["undisturbed"][3] else "DIFFERS"
    return [
        "rather judge",
        str(killed),
        f"{again:,} of {len(rows):,} answers",
        f"{found['undisturbed'][1]:.0f}",
        f"{seconds:.0f}",
        same,
    ]


def training(folder: Path, kills: int, updates: int) -> list[str]:
    sys.path.insert(0, str(HERE.parent))
    from tests.tiny import make_model

    model, file = make_model(folder / "tiny"), folder / "pairs.jsonl"
    rows = [
        {
            "prompt": [{"role": "user", "content": f"Question {n}?"}],
            "chosen": "yes " * (n % 5 + 1),
            "rejected": "no " * (n % 7 + 1),
        }
        for n in range(4 * updates)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {}
    for name, count in (("undisturbed", 0), ("killed", kills)):
        killed, seconds = run(
            ["train", str(file), "--model", str(model), "--dtype", "fp32", "--batch-pairs", "4", "--save-every", "2", "--ray", "2",
             "--allow", "all=random pairs"],
            folder / f"trained-{name}", kills=count, worker="RayTrainWorker",
            done=lambda out: lines_in(out / "metrics.jsonl") / updates,
        )  # fmt: skip
        out = folder / f"trained-{name}"
        found[name] = (
            killed,
            seconds,
            lines_in(out / "metrics.jsonl"),
            (out / "model" / "model.safetensors").read_bytes(),
        )
    killed, seconds, rows_of_metrics, result = found["killed"]
    same = "the same bytes" if result == found["undisturbed"][3] else "DIFFERS"
    return [
        "rather train", str(killed), f"updates since the last checkpoint ({rows_of_metrics} updates in all)",
        f"{found['undisturbed'][1]:.0f}", f"{seconds:.0f}", same,
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--prompts", type=int, default=4000)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--only", choices=["judge", "train"])
    given = parser.parse_args()
    shutil.rmtree(given.out, ignore_errors=True)
    given.out.mkdir(parents=True)
    folder = given.out.resolve()
    rows = []
    if given.only != "train":
        rows.append(judging(folder, given.kills, given.prompts))
    if given.only != "judge":
        rows.append(training(folder, given.kills, given.updates))
    table = (
        "| command | workers killed | done twice | s undisturbed | s with kills | result |\n|---|--:|---|--:|--:|---|\n"
    )
    table += "".join(f"| {' | '.join(row)} |\n" for row in rows)
    (folder / "table.md").write_text(table)
    print(table)


if __name__ == "__main__":
    main()
