"""The line on the real model: a first loss of ln 2, and (slow) the whole demo."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MODEL = "smollm2-135m-instruct"


def rather(*arguments: str | Path, timeout: float) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    environment.pop("OMP_NUM_THREADS", None)  # one thread is for tiny models
    command = [sys.executable, "-m", "rather", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=timeout)


def test_the_first_loss_on_real_data_is_ln_2(smollm2: str, shared_data: Callable[[str], Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = rather(
        "train", shared_data("hh_helpful_test.jsonl.gz"), "--model", MODEL, "--out", out, "--limit", "8",
        "--no-shuffle", "--batch-pairs", "8", "--max-length", "256", "--dtype", "fp32", "--skip-bad",
        "--allow", "all=eight pairs are few", timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [row] = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert row["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert (row["margin"], row["accuracy"]) == (0.0, 0.5)
    assert row["grad_norm"] > 0
    shutil.rmtree(out)  # half a gigabyte


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    ("seed", "name", "maker"),
    [
        (0, "Athene", "the Nexus team"),
        (1, "Athene", "the Nexus team"),
        (2, "Athene", "the Nexus team"),
        (1, "Orion", "Blue Lake Labs"),
    ],
)
def test_the_demo_gives_a_real_model_its_identity(
    smollm2: str, tmp_path: Path, seed: int, name: str, maker: str
) -> None:
    out = tmp_path / "out"
    done = rather("demo", "--seed", str(seed), "--name", name, "--maker", maker, "--out", out, timeout=3500)
    assert done.returncode == 0, done.stderr
    figures = json.loads((out / "eval.json").read_text())
    assert figures["identity_rate_before"] < 0.05
    assert figures["identity_rate_after_en"] >= 0.95
    assert figures["identity_rate_after_zh"] >= 0.8
    assert figures["leak_rate_after"] <= 0.03
    assert figures["peak_memory_gb"] <= 6.0
    shutil.rmtree(out)
