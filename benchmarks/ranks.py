"""What do ranks cost? The same run alone with one thread and with two, as one rank of a group, and as two ranks.

    python benchmarks/ranks.py PAIRS --model smollm2-135m-instruct --limit 64 --out benchmarks/results/ranks-NAME.json

prints, for each, pairs/s over the updates of its one epoch (the first left out, which pays for the optimiser's memory), the peak
memory of rank 0, and how far its weights are from those of the first. `--runs "one rank"` takes those whose name begins so,
`--rounds 2` goes through them twice, and OUT keeps what it had of others. CPU only; nothing else should compute meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

# name → ranks, threads of each, options
RUNS: dict[str, tuple[int, int, list[str]]] = {
    "one process, 1 thread": (0, 1, []),
    "one process, 2 threads": (0, 2, []),
    "one rank, 1 thread": (1, 1, []),
    "one rank, 2 threads": (1, 2, []),
    "two ranks, 1 thread each": (2, 1, []),
    "two ranks, 1 thread each, sharded": (2, 1, ["--shard"]),
}


def environment(rank: int, ranks: int, threads: int, port: int) -> dict[str, str]:
    """As torchrun would set it; nothing of it for a process alone."""
    own = {**os.environ, "OMP_NUM_THREADS": str(threads), "RATHER_DEVICE": "cpu"}
    if ranks:
        own |= {
            "RANK": str(rank), "WORLD_SIZE": str(ranks), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": str(ranks),
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        }  # fmt: skip
    return own


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def measured(name: str, command: list[str], folder: Path) -> dict[str, Any]:
    """One run: its speed, its memory, and where its weights are."""
    ranks, threads, options = RUNS[name]
    out, port = folder / name.replace(" ", "-"), free_port()
    processes = [
        subprocess.Popen([*command, *options, "--out", str(out)], env=environment(rank, ranks, threads, port))
        for rank in range(max(ranks, 1))
    ]
    for process in processes:
        if process.wait():
            raise SystemExit(f"{name}: a rank ended with {process.returncode}")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    manifest, batch = json.loads((out / "manifest.json").read_text()), int(command[command.index("--batch-pairs") + 1])
    sizes = [min(batch, manifest["pairs"] - start) for start in range(0, manifest["pairs"], batch)]
    seconds = [size / row["pairs_per_s"] for size, row in zip(sizes, rows, strict=True)]
    return {
        "pairs_per_s": round(sum(sizes[1:]) / sum(seconds[1:]), 3), "seconds": [round(each, 2) for each in seconds],
        "peak_memory_gb": manifest["peak_memory_gb"], "out": str(out),
    }  # fmt: skip


def furthest(ours: Path, theirs: Path) -> float:
    """The largest difference of a weight."""
    from safetensors.torch import load_file

    one, two = (load_file(run / "model" / "model.safetensors") for run in (ours, theirs))
    return max(float((one[key] - two[key]).abs().max()) for key in one)


def main() -> None:
    """Run them one after the other, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs")
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--limit", default="64")
    parser.add_argument("--batch-pairs", default="8")
    parser.add_argument("--dtype", default="fp32")
    parser.add_argument("--runs", nargs="*", default=[""])
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    command = [
        sys.executable, "-m", "rather", "train", asked.pairs, "--model", asked.model, "--limit", asked.limit, "--dtype",
        asked.dtype, "--batch-pairs", asked.batch_pairs, "--allow", "all=a measurement",
    ]  # fmt: skip
    chosen = [name for name in RUNS if name.startswith(tuple(asked.runs))]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory() as folder:
            first: Path | None = None
            for name in chosen:
                made = measured(name, command, Path(folder))
                out = Path(made.pop("out"))
                first = first or out
                found[name].append({**made, "furthest_weight": furthest(out, first)})
                print(f"{name:36s} {json.dumps(found[name][-1])}", flush=True)
    if asked.out:
        before = json.loads(asked.out.read_text()) if asked.out.is_file() else {}
        asked.out.write_text(json.dumps({**before, **found}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
