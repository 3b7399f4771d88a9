"""Is a plan right? Small runs on this CPU, or on a GPU where there is one, each in a process of its own, beside its plan.

    python -m benchmarks.planning --out benchmarks/results/planning.json

trains SmolLM2-135M on a few drawn pairs in several settings and compares the peak of memory and the seconds of an update (the
first left out, which touches the optimiser's memory for the first time) with the planner's, which knows the config, the mean
lengths of the pairs, and this machine's matmul rate, measured in the same process before. Nothing else should compute
meanwhile. `--cases` takes names, `--from FILE` keeps what was measured and plans again.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rather.planning.devices import GPUS, Device, Machines, cpu
from rather.planning.engine import Setting
from rather.planning.memory import memory
from rather.planning.shapes import read_shape
from rather.planning.speed import times
from rather.planning.workload import Workload

MODEL = "smollm2-135m-instruct"
UPDATES = 4

# name → (words of prompts from, to; of answers from, to; pairs of an update; options of training)
CASES: dict[str, tuple[tuple[int, int, int, int], int, dict[str, Any]]] = {
    "short pairs, bf16": ((10, 30, 20, 40), 8, {"dtype": "bf16"}),
    "short pairs, fp32": ((10, 30, 20, 40), 8, {"dtype": "fp32"}),
    "long pairs, bf16": ((60, 240, 40, 120), 8, {"dtype": "bf16"}),
    "long pairs, bf16, gradient checkpointing": (
        (60, 240, 40, 120), 8, {"dtype": "bf16", "gradient_checkpointing": True},
    ),
    "long pairs, bf16, LoRA 16": ((60, 240, 40, 120), 8, {"dtype": "bf16", "lora_rank": 16}),
    "long pairs, fp32, LoRA 64": ((60, 240, 40, 120), 4, {"dtype": "fp32", "lora_rank": 64}),
    "very long pairs, bf16, 2 an update": ((500, 700, 150, 250), 2, {"dtype": "bf16", "max_length": 2048}),
    # From here on measured when the planner's constants stood.
    "long pairs, fp32": ((60, 240, 40, 120), 4, {"dtype": "fp32"}),
    "medium pairs, bf16, 12 an update": ((40, 100, 30, 60), 12, {"dtype": "bf16"}),
    "short pairs, bf16, LoRA 8": ((10, 30, 20, 40), 8, {"dtype": "bf16", "lora_rank": 8}),
    "medium pairs, fp32, gradient checkpointing": (
        (40, 100, 30, 60), 8, {"dtype": "fp32", "gradient_checkpointing": True},
    ),
}  # fmt: skip
"""Words are about as many tokens."""

WORDS = (
    "the", "a", "of", "to", "and", "in", "is", "it", "you", "that", "he", "was", "for", "on", "are", "with", "as", "his",
    "they", "at", "be", "this", "have", "from", "or", "one", "had", "by", "word", "but", "not", "what", "all", "were",
)  # fmt: skip


def write_pairs(file: Path, lengths: tuple[int, int, int, int], count: int) -> None:
    draw = random.Random(0)
    least, most, short, long = lengths

    def text(length: int) -> str:
        return " ".join(draw.choices(WORDS, k=length))

    with file.open("w", encoding="utf-8") as out:
        for number in range(count):
            prompt = [{"role": "user", "content": f"{number} {text(draw.randint(least, most))}"}]
            sides = {side: text(draw.randint(short, long)) for side in ("chosen", "rejected")}
            out.write(json.dumps({"prompt": prompt, **sides}) + "\n")


def worker(name: str, work: Path) -> dict[str, Any]:
    """Train once; what it took, and what a planner is told of the pairs."""
    import torch

    import rather.training.loop as loop
    from rather.model import pack, pick_device
    from rather.model.rate import matmul_rate
    from rather.training.allocator import resident_bytes
    from rather.training.run import train
    from rather.training.step import flat

    lengths, batch, options = CASES[name]
    write_pairs(work / "pairs.jsonl", lengths, batch * UPDATES)
    shape = read_shape(MODEL)
    before = resident_bytes()
    where = pick_device()
    rate = matmul_rate(options["dtype"], shape.hidden, shape.intermediate, device=where)
    seconds: list[float] = []
    peaks: list[float] = []
    packed: list[list[tuple[int, int]]] = []
    step = loop.train_step

    def timed(model: Any, batches: Any, *arguments: Any, **given: Any) -> Any:
        if not peaks:
            peaks.append(peak_gb())
        laid = [pack(flat(batch)) for batch in batches]
        packed.append([(len(forest.token_T), len(forest.place_U)) for forest in laid])
        began = time.monotonic()
        stats = step(model, batches, *arguments, **given)
        seconds.append(time.monotonic() - began)
        peaks.append(peak_gb())
        return stats

    loop.train_step = timed  # pyright: ignore
    began = time.monotonic()
    train(
        work / "pairs.jsonl", model=MODEL, out=work / "out", batch_pairs=batch, lr=1e-6, save_every=10_000,
        allow={"all": "a benchmark"}, **{"max_length": 1024, **options},
    )  # fmt: skip
    manifest = json.loads((work / "out" / "manifest.json").read_text(encoding="utf-8"))
    tokens, places = (sum(part[which] for update in packed for part in update) for which in (0, 1))
    return {
        "case": name,
        "pairs": batch * UPDATES,
        "batch_pairs": batch,
        "options": options,
        "mean_tokens": tokens / (batch * UPDATES),
        "answer_tokens": places / (batch * UPDATES),
        "micro_batches": [len(update) for update in packed],
        "token_budget": manifest["in_force"]["token_budget"],
        **(
            {"device": torch.cuda.get_device_name(), "device_bytes": torch.cuda.mem_get_info()[1]}
            if where == "cuda"
            else {}
        ),
        "matmul_rate": rate,
        "framework_gb": (before or 0) / 1e9,
        "update_seconds": seconds,
        "all_seconds": time.monotonic() - began,
        "peak_gb_by_update": peaks,
        "peak_gb": peak_gb(),
    }


def peak_gb() -> float:
    """Of this process so far; on a GPU what torch has reserved there, and what CUDA takes besides."""
    import torch

    from rather.model import pick_device

    if pick_device() == "cuda":
        free, total = torch.cuda.mem_get_info()
        besides = total - free - torch.cuda.memory_reserved()
        return (torch.cuda.max_memory_reserved() + besides) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def device_of(found: dict[str, Any]) -> Device:
    """What the run was on, at the rate that was measured there."""
    rate = found["matmul_rate"]
    if found.get("device", "cpu") == "cpu":
        return cpu(memory=20e9, rate=rate)
    named = next((gpu for name, gpu in GPUS.items() if name in found["device"]), GPUS["A100"])
    return replace(named, memory=found["device_bytes"], bf16=rate, fp32=rate)


def planned(found: dict[str, Any]) -> dict[str, Any]:
    """What the planner says of the same run."""
    options = {name: value for name, value in found["options"].items() if name != "max_length"}
    device = device_of(found)
    setting = Setting(cpu=device.is_cpu, **options)
    workload = Workload(
        found["pairs"], found["mean_tokens"], found["answer_tokens"], batch_pairs=found["batch_pairs"],
        max_length=found["options"].get("max_length", 1024),
    )  # fmt: skip
    shape = read_shape(MODEL)
    held = memory(shape, setting, workload, capacity=device.memory)
    each = times(shape, setting, workload, held, Machines(device, 1, 1))
    steady = sorted(found["update_seconds"][1:])
    measured = sum(steady) / len(steady)
    return {
        "planned_gb": held.peak / 1e9,
        "planned_parts_gb": {name: value / 1e9 for name, value in held.update.items()},
        "peak_at": held.phase,
        "planned_seconds": each.update,
        "measured_seconds": measured,
        "memory_ratio": held.peak / 1e9 / found["peak_gb"],
        "time_ratio": each.update / measured,
    }


def measured(name: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, "-m", "benchmarks.planning", "--worker", name, work]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in result.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(result.stderr[-3000:])
    return json.loads(line.removeprefix("RESULT "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", nargs=2, metavar=("CASE", "WORK"), help=argparse.SUPPRESS)
    parser.add_argument("--cases", default=";".join(CASES), help="names with ; between them")
    parser.add_argument("--from", dest="before", type=Path, help="a file of this benchmark: its runs are kept")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        name, work = arguments.worker
        print("RESULT " + json.dumps(worker(name, Path(work))))
        return
    from rather.rundir import versions, write_json

    runs: dict[str, Any] = {}
    if arguments.before:
        runs = {run["case"]: run for run in json.loads(arguments.before.read_text(encoding="utf-8"))["runs"]}
    for name in filter(None, arguments.cases.split(";")):
        runs[name] = measured(name)
        _report(arguments.out, runs, versions, write_json)
    _report(arguments.out, runs, versions, write_json)
    for name in [name for name in CASES if name in runs]:
        run = runs[name]
        print(
            f"{name:42} {run['peak_gb']:5.2f} GB, planned {run['planned_gb']:5.2f} ({run['memory_ratio'] - 1:+.0%})   "
            f"{run['measured_seconds']:6.2f} s, planned {run['planned_seconds']:6.2f} ({run['time_ratio'] - 1:+.0%})"
        )


def _report(out: Path | None, runs: dict[str, Any], versions: Any, write_json: Any) -> None:
    """Written after each case, so that a run that is stopped has what it measured."""
    for run in runs.values():
        run |= planned(run)
    if out:
        write_json(out, {"model": MODEL, "cores": os.cpu_count(), "versions": versions(), "runs": list(runs.values())})


if __name__ == "__main__":
    main()
