"""Runs that must end in the same weights, however many ranks make them. Run as a program, it makes them all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

QUESTIONS = [f"Question {i}: what is {i} and {i + 1}?" + " Think." * (i % 3) for i in range(11)]
PAIRS = [
    {"prompt": question, "chosen": f" It is {2 * i + 1}." + " Sure." * (i % 4), "rejected": f" Ask {i} others!"}
    for i, question in enumerate(QUESTIONS)
]
WEIGHTED = [{**row, "weight": 1 + i % 3} for i, row in enumerate(PAIRS)]
LISTS = [
    {"prompt": question, "ranked": [f" It is {2 * i + 1}.", f" About {2 * i}.", " I do not know."][: 2 + i % 2]}
    for i, question in enumerate(QUESTIONS)
]
SINGLES = [
    {"prompt": row["prompt"], "completion": row["chosen" if i % 2 else "rejected"], "label": bool(i % 2)}
    for i, row in enumerate(PAIRS)
]
DATA = {"pairs": PAIRS, "weighted": WEIGHTED, "lists": LISTS, "singles": SINGLES}

# 11 examples by 4: two whole updates and one of 3, so that of four ranks one has nothing. And one of a single pair.
PLAIN: dict[str, Any] = {"lr": 1e-3, "epochs": 2, "batch_pairs": 4, "warmup": 0.0}
RAGGED = {"batch_pairs": 5}

# name → data, options
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "dpo": ("weighted", {}),
    "dpo of one pair at the end": ("pairs", RAGGED),
    "aot": ("pairs", {"loss": "aot"}),
    "beta_dpo": ("pairs", {"loss": "beta_dpo"}),
    "wpo": ("pairs", {"loss": "wpo"}),
    "tdpo": ("pairs", {"loss": "tdpo"}),
    "bco": ("pairs", {"loss": "bco"}),
    "ld_dpo and sft": ("pairs", {"loss": "ld_dpo", "sft_weight": 0.2}),
    "kto": ("singles", {"loss": "kto"}),
    "aot_unpaired": ("singles", {"loss": "aot_unpaired"}),
    "plackett_luce": ("lists", {"loss": "plackett_luce"}),
    "reward": ("pairs", {"objective": "reward"}),
    "lora": ("pairs", {"lora_rank": 4, "lr": 1e-2}),
    "moving reference": ("pairs", {"ref_sync_steps": 2}),
    "streamed": ("pairs", {"stream": True}),
    "again in the backward": ("pairs", {"gradient_checkpointing": True}),
}

# What a sharded run cannot do, or what differs from another case in nothing that sharding touches.
UNSHARDED = {"dpo of one pair at the end", "moving reference", "bco", "ld_dpo and sft"}


def files(folder: Path) -> dict[str, Path]:
    """Write the data, and return where."""
    found = {}
    for name, rows in DATA.items():
        found[name] = folder / f"{name}.jsonl"
        found[name].write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


def run_all(model: str, folder: Path, out: Path, *, shard: bool = False) -> None:
    """Every case, with held-out pairs in one of them, into out/NAME."""
    from rather.training.run import train

    for name, (data, options) in CASES.items():
        if shard and name in UNSHARDED:
            continue
        heldout = {"heldout": folder / "heldout.jsonl"} if name in ("dpo", "aot") else {}
        shared = {"shard": True} if shard else {}
        train(
            folder / f"{data}.jsonl",
            model=model,
            out=out / name,
            allow={"all": "a test"},
            **heldout,
            **{**PLAIN, **options, **shared},
        )


if __name__ == "__main__":
    from rather.distributed.joining import joined

    with joined(limit=240, device="cpu"):
        run_all(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), shard=sys.argv[4:] == ["shard"])
