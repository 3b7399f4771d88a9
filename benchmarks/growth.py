"""Does a run slow down or swell with the number of pairs? The same pairs again and again under a small random model.

    python benchmarks/growth.py --out benchmarks/results/growth-NAME.json

trains on 100, 1,000 and 10,000 pairs, each in its own process, and prints pairs/s over the updates, the whole run's time
and the peak of memory; then memory over the length of conversations, 16 pairs each. A small model (2 layers of 64), so that
what is measured is everything around the model: with a real one that share is smaller still.
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
from pathlib import Path
from typing import Any

COUNTS = (100, 1_000, 10_000)
LENGTHS = (256, 512, 1024, 2048)
WORDS = (
    "the",
    "a",
    "of",
    "to",
    "and",
    "in",
    "is",
    "it",
    "you",
    "that",
    "he",
    "was",
    "for",
    "on",
    "are",
    "with",
    "as",
    "his",
)


def small_model(folder: Path) -> None:
    """A random Llama with the tokenizer and template of the demo's model."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    from rather.model.catalog import resolve

    tokenizer = AutoTokenizer.from_pretrained(resolve("smollm2-135m-instruct"))
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=4096, tie_word_embeddings=True, pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def worker(model: Path, count: int, words: int, work: Path) -> dict[str, Any]:
    """Train once on `count` pairs with prompts of `words` words; figures of the run."""
    import rather.training.loop as loop
    from rather.training.run import train

    draw = random.Random(0)

    def text(length: int) -> str:
        return " ".join(draw.choices(WORDS, k=length))

    with (work / "pairs.jsonl").open("w", encoding="utf-8") as out:
        for number in range(count):
            prompt = [{"role": "user", "content": f"{number} {text(words)}"}]
            out.write(json.dumps({"prompt": prompt, "chosen": text(12), "rejected": text(16)}) + "\n")
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
        work / "pairs.jsonl", model=str(model), out=work / "out", epochs=1, batch_pairs=8, lr=1e-6, max_length=4096,
        allow={"all": "a benchmark"}, save_every=10_000,
    )  # fmt: skip
    return {
        "pairs": count,
        "words": words,
        "pairs_per_s": count / (spans[-1][1] - spans[0][0]),
        "all_seconds": time.monotonic() - began,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def measured(model: Path, count: int, words: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, __file__, "--worker", str(model), str(count), str(words), work]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    line = next((line for line in result.stdout.splitlines() if line.startswith("RESULT ")), None)
    if line is None:
        raise RuntimeError(result.stderr[-3000:])
    return json.loads(line.removeprefix("RESULT "))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", nargs=4, metavar=("MODEL", "COUNT", "WORDS", "WORK"), help=argparse.SUPPRESS)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    if arguments.worker:
        model, count, words, work = arguments.worker
        print("RESULT " + json.dumps(worker(Path(model), int(count), int(words), Path(work))))
        return
    from rather.rundir import versions, write_json

    report: dict[str, Any] = {"cores": os.cpu_count(), "versions": versions(), "pairs": [], "length": []}
    with tempfile.TemporaryDirectory() as folder:
        small_model(Path(folder))
        for count in map(int, arguments.counts.split(",")):
            report["pairs"].append(found := measured(Path(folder), count, 40))
            print(f"{count:7,} pairs  {found['pairs_per_s']:7.1f} pairs/s  {found['peak_gb']:.2f} GB", flush=True)
        for words in map(int, arguments.lengths.split(",")):
            report["length"].append(found := measured(Path(folder), 16, words))
            print(f"{words:7,} words  {found['pairs_per_s']:7.1f} pairs/s  {found['peak_gb']:.2f} GB", flush=True)
    if arguments.out:
        write_json(arguments.out, report)


if __name__ == "__main__":
    main()
