"""A loop that a test can afford."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rather.looping.config import LoopConfig
from rather.looping.run import loop


def values(tiny: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": str(tiny), "questions": "questions.txt", "heldout": "heldout.txt", "rounds": 2,
        "judge": ["function:tiny_rewards:letters"], "dtype": "fp32",
        "generate": {"n": 3, "max_new_tokens": 10, "temperature": 1.0},
        "train": {"lr": 1e-3, "batch_pairs": 4},
        "audit": {"allow": {"all": "a test"}},
        "evaluate": {"kl_samples": 4},
        "result": {},
        **more,
    }  # fmt: skip


def run(files: Path, given: dict[str, Any], **options: Any) -> Any:
    if str(files) not in sys.path:
        sys.path.insert(0, str(files))
    return loop(LoopConfig.of(given, folder=files), out=files / "out", **options)
