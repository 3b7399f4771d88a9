"""`kill -9` at each stage of a loop: the same command goes on, makes nothing twice, and ends with the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

LOOP = """
model = "{model}"
questions = "questions.txt"
heldout = "heldout.txt"
rounds = 2
dtype = "fp32"
judge = ["function:tiny_rewards:letters"]
verify = "function:tiny_rewards:signs"
[generate]
n = 3
max_new_tokens = 10
temperature = 1.0
[train]
lr = 0.001
batch_pairs = 2
save_every = 1
[audit]
allow = {{all = "a test"}}
[evaluate]
kl_samples = 4
[result]
"""

# The file whose being there says that a stage has begun, or is done and the next has not.
STAGES = [
    "questions/run.json", "round-01/generate/answers.jsonl", "round-01/judge/run.json", "round-01/pair/run.json",
    "round-01/audit/run.json", "round-01/train/metrics.jsonl", "round-01/evaluate/run.json", "round-01/round.json",
    "round-02/generate/manifest.json", "round-02/train/checkpoints/step-000001", "round-02/against/run.json", "model",
]  # fmt: skip


def start(files: Path, out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rather", "loop", str(files / "loop.toml"), "--out", str(out)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ},
    )  # fmt: skip


def answered(out: Path) -> list[Any]:
    return [
        json.loads((out / name).read_text())
        for name in ("round-01/generate/manifest.json", "round-02/generate/manifest.json")
    ]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_each_stage_it_ends_with_the_same(files: Path, tiny: Path) -> None:
    (files / "loop.toml").write_text(LOOP.format(model=tiny), encoding="utf-8")
    whole, out = files / "whole", files / "out"
    finished = start(files, whole)
    assert finished.communicate(timeout=600)[1] is not None
    assert finished.returncode == 0
    kills = 0
    for stage in STAGES:
        process = start(files, out)
        while process.poll() is None and not (out / stage).exists():
            time.sleep(0.005)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.communicate(timeout=60)
    assert kills >= len(STAGES) - 2, "a stage may end before it is seen"
    last = start(files, out)
    _, errors = last.communicate(timeout=600)
    assert last.returncode == 0, errors
    one, two = (json.loads((folder / "loop.json").read_text()) for folder in (whole, out))
    assert (one["best"], one["stopped"]) == (two["best"], two["stopped"])
    for first, second in zip(one["rounds"], two["rounds"], strict=True):
        same = ("pairs", "trained_pairs", "judged", "scores", "kl_detail", "answers_after")
        assert {name: first[name] for name in same} == {name: second[name] for name in same}
    weights = [load_file(folder / "round-02/train/model/model.safetensors") for folder in (whole, out)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert not list(out.rglob(".rather-*"))
    stamp = {str(file): file.stat().st_mtime_ns for file in out.rglob("*.json*")}
    again = start(files, out)
    again.communicate(timeout=600)
    assert again.returncode == 0
    assert {str(file): file.stat().st_mtime_ns for file in out.rglob("*.json*")} == stamp
