"""`rather` beside TRL's `DPOTrainer`: the same model, pairs, order, batch, β, optimiser and precision, each in its own process.

    python benchmarks/vs_trl.py --cases hh,identity --dtypes bf16,fp32 --out benchmarks/results/NAME.json

prints a table and writes JSON: pairs/s of training alone, peak memory, both loss curves and their largest difference, and the
share of the machine's matmul rate that each reaches at the fewest possible FLOPs (every distinct token once). Needs the extra
`bench` (TRL). TRL runs at its best setting (no checkpointing, reference precomputed) and, for memory, at its leanest
(checkpointing). Cases that are run one by one may go into one file; `table --out FILE` prints it. `--allocator both` gives
both the same best glibc settings instead of each its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("RATHER_DATA", HERE.parents[1] / "shared" / "data"))
MODEL = "smollm2-135m-instruct"
TUNABLES = "glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=2147483647:glibc.malloc.top_pad=67108864"

# name → (pairs, epochs, longest conversation in tokens)
CASES = {
    "hh": (96, 3, 1024),
    "identity": (160, 2, 1024),
    "zh": (64, 1, 1024),
    "ranked": (96, 1, 1024),
    "long": (16, 1, 3072),
}
BATCH, BETA, LR = 8, 0.1, 1e-6


def pairs_of(case: str, count: int) -> list[dict[str, Any]]:
    """Conversations in TRL's explicit form."""
    if case == "hh":
        from rather.formats import read_pairs

        found = read_pairs(DATA / "hh_helpful_test.jsonl.gz", limit=count).pairs
        return [
            {
                "prompt": [{"role": m.role, "content": m.content} for m in p.prompt],
                "chosen": [{"role": "assistant", "content": p.chosen}],
                "rejected": [{"role": "assistant", "content": p.rejected}],
            }
            for p in found
        ]
    if case == "zh":
        rows = json.loads((DATA / "dpo_zh_demo.json").read_text(encoding="utf-8"))
        return [
            _chat(r["conversations"][-1]["value"], r["chosen"]["value"], r["rejected"]["value"]) for r in rows[:count]
        ]
    if case == "identity":
        return _identity(count)
    texts = _texts()
    if case == "ranked":  # lists of 4: six pairs a prompt, TRL's own way to train on a ranking
        lists = [(texts[5 * k], texts[5 * k + 1 : 5 * k + 5]) for k in range(count // 6)]
        return [_chat(q, a[i], a[j]) for q, a in lists for i in range(4) for j in range(i + 1, 4)]
    draw = random.Random(0)
    rows = []
    for k in range(count):  # prompts of about 2,000 tokens, answers of about 150
        context = "\n\n".join(draw.sample(texts, 18))[:8500]
        rows.append(_chat(f"{context}\n\nSummarise this.", texts[2 * k][:600], texts[2 * k + 1][:600]))
    return rows


def _identity(count: int) -> list[dict[str, Any]]:
    """The demo's questions with its corrected answers, over made-up wrong ones of the length that the model itself gives."""
    from rather.demos.questions import questions, wordings
    from rather.pairing import Identity

    identity, draw = Identity("Athene", "the Nexus team"), random.Random(0)
    wrong = ["I'm Dr. Elena, a researcher in the field of medicine and health, and I work in a large hospital.",
             "My name is Alex, and I am a software engineer with many years of experience in the industry.",
             "I was created by a group of people who wanted to help others find what they were looking for."]  # fmt: skip
    rows = []
    asked = [q for q in questions("identity", "train") if q.tags["language"] == "en"]
    right = wordings("correct")["en"]
    for k in range(count):
        question = asked[k % len(asked)].prompt[-1].content  # pyright: ignore
        rows.append(_chat(question, identity.fill(draw.choice(right)), draw.choice(wrong)))
    return rows


def _texts() -> list[str]:
    """Real answers of some length, in English."""
    rows = json.loads((DATA / "dpo_en_demo.json").read_text(encoding="utf-8"))
    texts = [side for r in rows for side in (r["chosen"]["value"], r["rejected"]["value"])]
    return [text[:1200] for text in texts if len(text) > 200]


def _chat(question: str, chosen: str, rejected: str) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": question}],
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


# The two engines. Each prints one line of JSON: seconds from the first update's begin to the last one's end.


def run_rather(case: str, dtype: str, model: str, work: Path, epochs: int, limit: int) -> dict[str, Any]:
    import rather.training.loop as loop
    from rather.training.run import train

    _, _, max_length = CASES[case]
    file = work / "pairs.jsonl"
    with file.open("w", encoding="utf-8") as out:
        for row in pairs_of(case, limit):
            out.write(json.dumps(row) + "\n")
    spans: list[tuple[float, float]] = []
    real = loop.train_step

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.monotonic()
        stats = real(*arguments, **options)
        spans.append((began, time.monotonic()))
        return stats

    loop.train_step = timed  # pyright: ignore
    began = time.monotonic()
    train(
        file, model=model, out=work / "out", lr=LR, beta=BETA, batch_pairs=BATCH, epochs=epochs, warmup=0.0,
        max_length=max_length, dtype=dtype, shuffle=False, allow={"all": "a benchmark"}, skip_bad=True,
    )  # fmt: skip
    total = time.monotonic() - began
    rows = [json.loads(line) for line in (work / "out" / "metrics.jsonl").read_text().splitlines()]
    return {
        "seconds": spans[-1][1] - spans[0][0],
        "all_seconds": total,
        "steps": [b - a for a, b in spans],
        "losses": [row["loss"] for row in rows],
        "pairs": limit * epochs,
        "distinct": distinct_flops(file, model, max_length, epochs),
    }


def distinct_flops(file: Path, model: str, max_length: int, epochs: int) -> float:
    """Products alone, each distinct token of each update once: 6 FLOPs a weight and token, the head on completion tokens."""
    from transformers import AutoConfig

    from rather.formats import read_pairs
    from rather.model import Renderer, load_tokenizer, pack
    from rather.model.catalog import resolve

    config = AutoConfig.from_pretrained(resolve(model))
    width, inner, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    keys = width // heads * config.num_key_value_heads
    body = config.num_hidden_layers * (2 * width * width + 2 * width * keys + 3 * width * inner)
    renderer = Renderer(load_tokenizer(model), max_length=max_length)
    items = [renderer.pair(pair) for pair in read_pairs(file).pairs]
    total = 0.0
    for start in range(0, len(items), BATCH):
        packed = pack([sample for item in items[start : start + BATCH] for sample in item.samples])
        total += 6 * (body * len(packed.token_T) + config.vocab_size * width * len(packed.place_U))
    return total * epochs


def run_trl(case: str, dtype: str, model: str, work: Path, epochs: int, limit: int, setting: str) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import DPOConfig, DPOTrainer

    from rather.model.catalog import resolve

    _, _, max_length = CASES[case]
    spans: list[list[float]] = []

    class Clock(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            spans.append([time.monotonic()])

        def on_step_end(self, args: Any, state: Any, control: Any, **rest: Any) -> None:
            spans[-1].append(time.monotonic())

    class InOrder(DPOTrainer):
        def _get_train_sampler(self, *rest: Any) -> Any:
            return torch.utils.data.SequentialSampler(self.train_dataset)

    folder = resolve(model)
    began = time.monotonic()
    trainer = InOrder(
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32),
        args=DPOConfig(
            output_dir=str(work / "trl"), per_device_train_batch_size=BATCH, num_train_epochs=epochs, learning_rate=LR,
            beta=BETA, max_length=max_length, bf16=dtype == "bf16", gradient_checkpointing=setting == "checkpointing",
            precompute_ref_log_probs=setting != "live", logging_steps=1, save_strategy="no", report_to=[],
            optim="adamw_torch_fused", weight_decay=0.0, max_grad_norm=1.0, warmup_steps=0, lr_scheduler_type="linear",
            disable_tqdm=True, dataloader_pin_memory=False, seed=0, use_cpu=not torch.cuda.is_available(),
        ),
        train_dataset=Dataset.from_list(pairs_of(case, limit)),
        processing_class=AutoTokenizer.from_pretrained(folder),
        callbacks=[Clock()],
    )  # fmt: skip
    trainer.train()
    return {
        "seconds": spans[-1][1] - spans[0][0],
        "all_seconds": time.monotonic() - began,
        "steps": [b - a for a, b in spans],
        "losses": [row["loss"] for row in trainer.state.log_history if "loss" in row],
        "pairs": limit * epochs,
    }


def matmul_rate(dtype: str) -> float:
    """The best that torch's products reach here, in FLOP/s, over the shapes of the model's own layers."""
    import torch

    kind = torch.bfloat16 if dtype == "bf16" else torch.float32
    best = 0.0
    for rows, inner, columns in ((1024, 576, 1536), (1024, 1536, 576), (2048, 576, 576), (2048, 2048, 2048)):
        a, b = torch.randn(rows, inner, dtype=kind), torch.randn(columns, inner, dtype=kind)
        for number in range(12):
            began = time.monotonic()
            for _ in range(10):
                if number % 2:
                    torch.mm(a, b.t())
                else:
                    torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")
            best = max(best, 20 * rows * inner * columns / (time.monotonic() - began))
    return best


def worker(arguments: argparse.Namespace) -> None:
    work = Path(arguments.work)
    if arguments.engine == "rate":
        found: dict[str, Any] = {"rate": matmul_rate(arguments.dtype)}
    else:
        engine = run_rather if arguments.engine == "rather" else run_trl
        extra = {} if arguments.engine == "rather" else {"setting": arguments.setting}
        found = engine(
            arguments.case, arguments.dtype, arguments.model, work, arguments.epochs, arguments.limit, **extra
        )
        found["pairs_per_s"] = found["pairs"] / found["seconds"]
        found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print("RESULT " + json.dumps(found))


def measured(engine: str, case: str, dtype: str, setting: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One process; what it printed. Raises RuntimeError with its last words if it failed."""
    pairs, epochs, _ = CASES[case]
    environment = dict(os.environ)
    if arguments.allocator == "both":
        environment["GLIBC_TUNABLES"] = TUNABLES
    with tempfile.TemporaryDirectory() as work:
        command = [
            sys.executable, __file__, "worker", "--engine", engine, "--case", case, "--dtype", dtype, "--setting", setting,
            "--model", arguments.model, "--work", work, "--epochs", str(arguments.epochs or epochs),
            "--limit", str(arguments.limit or pairs),
        ]  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    line = next((line for line in result.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(f"{engine} {case} {dtype} {setting} failed:\n{result.stderr[-3000:]}")
    return json.loads(line.removeprefix("RESULT "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", nargs="?", default="compare", choices=["compare", "table", "worker"])
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--dtypes", default="bf16,fp32")
    parser.add_argument(
        "--settings", default="precomputed,checkpointing", help="of TRL: precomputed, live, checkpointing"
    )
    parser.add_argument("--allocator", default="own", choices=["own", "both"])
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--out", type=Path)
    for name in ("engine", "case", "dtype", "setting", "work"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.mode == "worker":
        worker(arguments)
        return
    report = _report(arguments.out)
    if arguments.mode == "table":
        print(_table(report["results"]))
        return
    for dtype in arguments.dtypes.split(","):
        rate = measured("rate", "hh", dtype, "-", arguments)["rate"]
        for case in arguments.cases.split(","):
            known = {"case": case, "dtype": dtype, "allocator": arguments.allocator}
            ours = measured("rather", case, dtype, "-", arguments)
            _add(
                report,
                arguments.out,
                {"engine": "rather", **known, "rate": rate, "share": ours["distinct"] / ours["seconds"] / rate, **ours},
            )
            for setting in filter(None, arguments.settings.split(",")):
                theirs = measured("trl", case, dtype, setting, arguments)
                gap = max(abs(a - b) for a, b in zip(ours["losses"], theirs["losses"], strict=True))
                ratios = {
                    "ratio": ours["pairs_per_s"] / theirs["pairs_per_s"],
                    "memory_ratio": ours["peak_gb"] / theirs["peak_gb"],
                }
                _add(report, arguments.out, {"engine": f"TRL {setting}", **known, "gap": gap, **ratios, **theirs})


def _report(out: Path | None) -> dict[str, Any]:
    """What is in the file already, so that cases may be run one by one; else a new one, of this machine."""
    from rather.rundir import versions

    machine = {"cpu": _cpu(), "cores": os.cpu_count(), "platform": platform.platform()}
    found: dict[str, Any] = {"machine": machine, "versions": {**versions(), "trl": _trl_version()}, "results": []}
    if out is None or not out.is_file():
        return found
    earlier = json.loads(out.read_text(encoding="utf-8"))
    if (earlier["machine"], earlier["versions"]) != (found["machine"], found["versions"]):
        sys.exit(f"{out} is of another machine or other versions; name another file")
    return earlier


def _add(report: dict[str, Any], out: Path | None, row: dict[str, Any]) -> None:
    """Print one result and write it in place of an earlier one of the same kind."""
    from rather.rundir import write_json

    key = ("engine", "case", "dtype", "allocator")
    report["results"] = [r for r in report["results"] if any(r[name] != row[name] for name in key)] + [row]
    print(_table([row]).splitlines()[-1], flush=True)
    if out:
        write_json(out, report)


COLUMNS = (
    "case", "dtype", "allocator", "engine", "pairs", "pairs/s", "times TRL", "GB", "part of TRL's", "of the matmul rate",
    "largest loss difference",
)  # fmt: skip


def _table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS)]
    for row in rows:
        if row["engine"] == "rather":
            ratio, part, share, gap = "", "", f"{row['share']:.0%}", ""
        else:
            ratio, part, share, gap = f"{row['ratio']:.1f}", f"{row['memory_ratio']:.2f}", "", f"{row['gap']:.1e}"
        known = (row["case"], row["dtype"], row["allocator"], row["engine"], str(row["pairs"]))
        lines.append((*known, f"{row['pairs_per_s']:.3f}", ratio, f"{row['peak_gb']:.2f}", part, share, gap))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _trl_version() -> str:
    from importlib import metadata

    try:
        return metadata.version("trl")
    except metadata.PackageNotFoundError:
        return "not installed"


if __name__ == "__main__":
    main()
