"""What does a killed worker cost? Ten runs on two ranks under torchrun, each with one rank killed at an update drawn by chance.

    python benchmarks/kills.py --out benchmarks/results/kills-NAME.json [--shard]

The run that nothing happens to comes first. Then `torchrun --max-restarts 1` starts all ranks again by itself after each kill, and
the table says which rank was killed after which update, from which checkpoint the run went on, and how far its weights are from
those of the undisturbed run. A small random model on CPUs; the figure is the difference, not the time.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

UPDATES, EVERY, KILLS = 36, 5, 10


def torchrun(file: Path, model: Path, out: Path, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """The run, as a user starts it."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--max-restarts", "1",
        "-m", "rather", "train", str(file), "--model", str(model), "--out", str(out), "--lr", "1e-3", "--epochs", "12",
        "--batch-pairs", "4", "--warmup", "0", "--save-every", str(EVERY), "--allow", "all=a measurement", *options,
    ]  # fmt: skip
    own = {**os.environ, "RATHER_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    with log.open("wb") as said:
        return subprocess.Popen(command, env=own, stdout=said, stderr=said)


def updates_of(out: Path) -> int:
    metrics = out / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.is_file() else 0


def rank_of(parent: int, rank: int) -> int:
    """The process of a rank."""
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            return int(child)
    raise SystemExit(f"rank {rank} is not there")


def killed(file: Path, model: Path, out: Path, *options: str, after: int, rank: int) -> dict[str, Any]:
    """One run, and what became of it."""
    log = out.with_suffix(".log")
    process = torchrun(file, model, out, log, *options)
    while updates_of(out) < after:
        if process.poll() is not None:
            raise SystemExit(log.read_text()[-2000:])
        time.sleep(0.002)
    at = updates_of(out)
    os.kill(rank_of(process.pid, rank), signal.SIGKILL)
    began = time.monotonic()
    while updates_of(out) >= at and process.poll() is None:
        time.sleep(0.01)  # until the ranks that were started again write the file anew
    status = process.wait(timeout=600)
    said = log.read_text()
    on = re.search(r"goes on after update (\d+) of", said)
    return {
        "rank": rank, "killed_after_update": at, "went_on_after": int(on[1]) if on else 0, "status": status,
        "seconds_until_done": round(time.monotonic() - began, 1),
        "named": bool(re.search(rf"rank {rank} \(.*\) is gone: killed", said)),
    }  # fmt: skip


def furthest(ours: Path, theirs: Path) -> float:
    """The largest difference of a weight."""
    from safetensors.torch import load_file

    one, two = (load_file(run / "model" / "model.safetensors") for run in (ours, theirs))
    return max(float((one[key] - two[key]).abs().max()) for key in one)


def main() -> None:
    """Run them one after the other, and write what was measured."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.distributed.cases import PAIRS
    from tests.tiny import make_model

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--shard", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    options, draw, found = ["--shard"] if asked.shard else [], random.Random(asked.seed), []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, file = make_model(folder / "model"), folder / "pairs.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in PAIRS))
        whole = folder / "undisturbed"
        if torchrun(file, model, whole, folder / "undisturbed.log", *options).wait():
            raise SystemExit((folder / "undisturbed.log").read_text()[-2000:])
        for number in range(KILLS):
            out = folder / f"killed-{number}"
            made = killed(file, model, out, *options, after=draw.randint(1, UPDATES - 2), rank=draw.randint(0, 1))
            found.append({**made, "furthest_weight": furthest(out, whole)})
            print(json.dumps(found[-1]), flush=True)
            if asked.out:
                asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
