"""Online DPO beside TRL's `OnlineDPOTrainer`: the same model, questions, toy reward, batch, β, learning rate and precision.

    python -m benchmarks.online_dpo --updates 12 --batch 8 --tokens 48 --out benchmarks/results/online_dpo.json

The reward is −(words of the answer)/10; each question is answered twice, as TRL does. Each runs in a process of its own; what is
timed is answering, judging and learning, without loading and saving. Printed: answers a second, the ratio, and the mean reward of
greedy answers to held-out questions before and after, asked of both in the same way. Needs the extra `bench` (TRL).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL = "smollm2-135m-instruct"
BETA, LR = 0.1, 1e-5


def few_words(prompts: list[Any], completions: list[Any], **columns: Any) -> list[float]:
    """The toy reward."""
    return [-len((c if isinstance(c, str) else c[-1]["content"]).split()) / 10 for c in completions]


def ours(given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """`rather loop`'s own online part; seconds of its updates alone."""
    from rather.looping.config import LoopConfig
    from rather.looping.online import online
    from rather.looping.panel import write_panel
    from rather.looping.questions import split

    config = LoopConfig.of(
        {
            "model": MODEL, "questions": "questions.txt", "heldout": "heldout.txt", "dtype": given.dtype,
            "judge": ["function:benchmarks.online_dpo:few_words"],
            "generate": {"n": 2, "temperature": 1.0, "max_new_tokens": given.tokens},
            "train": {"lr": LR, "beta": BETA, "batch_pairs": given.batch, "warmup": 0.0, "schedule": "constant"},
            "online": {"updates": given.updates, "every": given.every},
        },
        folder=EXAMPLES,
    )  # fmt: skip
    asked, _ = split(config, out / "questions")
    panel = write_panel(out / "judge.toml", config.judge)
    online(
        asked,
        out=out / "online",
        model=MODEL,
        reference=None,
        panel=panel,
        config=config,
        dtype=given.dtype,
        seed=given.seed,
    )
    rows = [json.loads(line) for line in (out / "online/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    sets = [row for row in rows if "answers" in row]
    return {
        "model": str(out / "online/model"), "answers": sum(row["answers"] for row in sets),
        "seconds": sum(row["answers"] / row["answers_per_s"] for row in sets), "pairs": sum(row["pairs"] for row in rows),
        "sampling_share": sum(row["sampling_share"] for row in sets) / len(sets),
    }  # fmt: skip


def theirs(given: argparse.Namespace, out: Path) -> dict[str, Any]:
    """TRL's trainer on the same, as a user would run it on a CPU."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.experimental.online_dpo import OnlineDPOConfig, OnlineDPOTrainer

    from rather.model.catalog import resolve

    folder = resolve(MODEL)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    lines = (EXAMPLES / "questions.txt").read_text(encoding="utf-8").splitlines()
    data = Dataset.from_list([{"prompt": [{"role": "user", "content": line}]} for line in lines])
    config = OnlineDPOConfig(
        output_dir=str(out / "trl"), per_device_train_batch_size=given.batch, max_steps=given.updates, learning_rate=LR,
        beta=BETA, max_new_tokens=given.tokens, max_length=512, temperature=1.0, top_k=0, use_cpu=True,
        bf16=given.dtype == "bf16", lr_scheduler_type="constant", save_strategy="no", report_to=[], seed=given.seed,
        gradient_checkpointing=given.checkpointing, logging_steps=1, disable_tqdm=True, missing_eos_penalty=None,
    )  # fmt: skip
    trainer = OnlineDPOTrainer(
        model=model, reward_funcs=few_words, args=config, train_dataset=data, processing_class=tokenizer
    )
    began = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - began
    trained = out / "model"
    trainer.model.save_pretrained(trained)
    tokenizer.save_pretrained(trained)
    answers = given.updates * given.batch * 2
    return {"model": str(trained), "answers": answers, "seconds": seconds, "pairs": answers // 2}


def rewards(model: str, tokens: int, dtype: str) -> float:
    """Mean reward of greedy answers to the held-out questions."""
    import torch

    from rather.formats.questions import iter_questions
    from rather.generation import sample
    from rather.model import Renderer, load

    loaded = load(model)
    asked = [found[1] for found in iter_questions(EXAMPLES / "heldout.txt") if isinstance(found, tuple)]
    renderer = Renderer(loaded.tokenizer, stop_tokens=loaded.stop_tokens)
    precision = torch.bfloat16 if dtype == "bf16" else torch.float32
    answers = sample(loaded, renderer, asked, max_new_tokens=tokens, dtype=precision)
    return sum(few_words([], [answer.text for answer in answers])) / len(answers)


def child(given: argparse.Namespace) -> None:
    out = Path(given.work)
    found = (ours if given.side == "ours" else theirs)(given, out)
    found["reward_after"] = rewards(found.pop("model"), given.tokens, given.dtype)
    (out / "found.json").write_text(json.dumps(found), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=12)
    parser.add_argument("--batch", type=int, default=8, help="questions in an update, of two answers each")
    parser.add_argument(
        "--every", type=int, default=1, help="updates from each set of answers, ours alone: TRL knows 1"
    )
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--dtype", choices=("bf16", "fp32"), default="bf16")
    parser.add_argument("--checkpointing", action="store_true", help="TRL's default, which is slower")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--side", choices=("ours", "theirs"))
    parser.add_argument("--work")
    given = parser.parse_args()
    if given.side:
        child(given)
        return
    table: dict[str, Any] = {
        name: getattr(given, name) for name in ("updates", "batch", "every", "tokens", "dtype", "seed")
    }
    table["reward_before"] = rewards(MODEL, given.tokens, given.dtype)
    for side in ("theirs", "ours"):
        with tempfile.TemporaryDirectory() as work:
            subprocess.run(
                [sys.executable, "-m", "benchmarks.online_dpo", *sys.argv[1:], "--side", side, "--work", work],
                check=True,
            )
            found = json.loads((Path(work) / "found.json").read_text(encoding="utf-8"))
        found["answers_per_s"] = found["answers"] / found["seconds"]
        table[side] = found
        print(
            f"{side}: {found['answers_per_s']:.2f} answers/s, reward {table['reward_before']:.2f} → {found['reward_after']:.2f}"
        )
    table["ratio"] = table["ours"]["answers_per_s"] / table["theirs"]["answers_per_s"]
    print(f"ratio: {table['ratio']:.2f}")
    if given.out:
        given.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
