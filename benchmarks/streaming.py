"""Does memory stay the same with five times as many pairs? Generated ones under a tiny random model, with and without --stream.

    python benchmarks/streaming.py --out benchmarks/results/streaming-NAME.json

makes shards of 20,000 and of 100,000 pairs (35 tokens an answer; from 20,000 on the audit looks at no more), trains on them in a
process of its own, stops it by Ctrl-C after 50 updates (reading, tokenising, audit and reference are then done for all of them),
and prints what the process had at most: memory of its own (RssAnon in /proc), and with the pages of mapped files, which the kernel
takes back when others need them (VmHWM). `--reading` leaves model and audit out: it reads and tokenises, and then takes every pair
once in an order drawn by chance, which is all that differs and takes a tenth of the time. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COUNTS = (20_000, 100_000)
SHARD, UPDATES = 10_000, 50
WORDS = [
    first + second for first in ("ba", "ke", "lo", "mi", "su", "ra") for second in ("n", "t", "r", "la", "po", "di")
]


def model(folder: Path) -> None:
    """One layer of 16, a token a word."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({word: place for place, word in enumerate(["<end>", "<unk>", *WORDS])}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    words.add_special_tokens(["<end>"])
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<unk>").save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(WORDS) + 2, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1024, tie_word_embeddings=True, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)


def shards(folder: Path, pairs: int) -> str:
    """Pairs of random words as Parquet files; the pattern that names them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw, place = random.Random(pairs), folder / str(pairs)
    place.mkdir()
    text = lambda: " " + " ".join(draw.choices(WORDS, k=draw.randint(30, 40)))  # noqa: E731
    for number in range(pairs // SHARD):
        rows = [{"prompt": text()[:90], "chosen": text(), "rejected": text()} for _ in range(SHARD)]
        pq.write_table(pa.Table.from_pylist(rows), place / f"part-{number:04d}.parquet")
    return f"{place}/*.parquet"


def read_through(source: str, model_folder: str, *, stream: bool) -> None:
    """What training does with pairs, without what it does with the model."""
    from rather.formats import load_examples
    from rather.model import Renderer, load_tokenizer
    from rather.training.batches import Plan
    from rather.training.prepare import tokenise_examples
    from rather.training.shelf import shelved

    renderer = Renderer(load_tokenizer(model_folder))
    if stream:
        items = shelved(source, renderer, model=model_folder, limit=None, as_chat=False).token_pairs
    else:
        items, _ = tokenise_examples(load_examples(source)[0], renderer)
    plan = Plan(len(items), 64, epochs=1, seed=0, shuffle=True)
    print(sum(items[place].tokens for update in plan for place in update), "tokens")


def measured(folder: Path, pairs: int, source: str, *, stream: bool, reading: bool) -> dict[str, Any]:
    """One run, looked at twenty times a second."""
    name = f"{pairs}-{stream}"
    out, log = folder / name, folder / f"{name}.log"
    command = [
        sys.executable, "-m", "rather", "train", source, "--model", str(folder / "model"), "--out", str(out),
        "--batch-pairs", "64", "--allow", "all=random words", *(["--stream"] if stream else []),
    ]  # fmt: skip
    if reading:
        command = [
            sys.executable,
            __file__,
            "--child",
            source,
            str(folder / "model"),
            *(["--stream"] if stream else []),
        ]
    own = {**os.environ, "RATHER_CACHE": str(folder / f"{name}-cache"), "RATHER_DEVICE": "cpu"}
    began, own_peak = time.monotonic(), 0
    with log.open("w") as said:
        process = subprocess.Popen(command, env=own, stdout=said, stderr=said)
        most = 0
        while process.poll() is None:
            status = _status(process.pid)
            own_peak, most = max(own_peak, status.get("RssAnon", 0)), max(most, status.get("VmHWM", 0))
            metrics = out / "metrics.jsonl"
            if metrics.is_file() and metrics.read_bytes().count(b"\n") >= UPDATES:
                process.send_signal(signal.SIGINT)
                time.sleep(1)
            time.sleep(0.05)
    if process.returncode != (0 if reading else 130):
        raise SystemExit(f"{name} ended with {process.returncode}: {log.read_text()[-600:]}")
    cached = {
        path.name: sum(file.stat().st_size for file in path.rglob("*")) for path in Path(own["RATHER_CACHE"]).glob("*")
    }
    return {
        "pairs": pairs, "stream": stream, "own_memory_mb": own_peak // 1024, "with_mapped_files_mb": most // 1024,
        "seconds": round(time.monotonic() - began), "cache_mb": {key: value >> 20 for key, value in cached.items()},
    }  # fmt: skip


def _status(pid: int) -> dict[str, int]:
    """Numbers of /proc/PID/status, in kB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return {}
    return {
        key: int(value.split()[0]) for key, _, value in (line.partition(":") for line in lines) if value.endswith("kB")
    }


def main() -> None:
    """Run them one after the other, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pairs", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--reading", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--stream", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        read_through(*asked.child, stream=asked.stream)
        return
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model(folder / "model")
        for pairs in asked.pairs:
            source = shards(folder, pairs)
            for stream in (True, False):
                found.append(measured(folder, pairs, source, stream=stream, reading=asked.reading))
                print(json.dumps(found[-1]), flush=True)
                if asked.out:
                    asked.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
