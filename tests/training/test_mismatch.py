"""KTO on pairs: its baseline is measured on answers of other prompts."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rather.errors import ConfigError
from rather.losses import PairLogps
from rather.model import completions
from rather.training.config import TrainConfig
from rather.training.mismatch import Mismatch, mismatched
from rather.training.objective import objective_of
from rather.training.reference import Reference
from rather.training.run import train
from tests.conftest import WriteFile
from tests.training.test_reference import PAIRS

ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)]


def test_every_prompt_stands_before_the_next_pairs_answers() -> None:
    found = mismatched(PAIRS, max_length=1024)
    assert len(found) == len(PAIRS)
    first, last = found[0].samples[0], found[-1].samples[1]
    assert first.tokens == (60, 61, 62, *range(70, 74))
    assert first.prompt_tokens == 3
    assert last.tokens == (63, 61, 62, *range(90, 95))
    assert all(len(sample.tokens) <= 5 for item in mismatched(PAIRS, max_length=5) for sample in item.samples)
    with pytest.raises(ConfigError, match="needs two prompts at least"):
        mismatched(PAIRS[:1], max_length=1024)


def test_a_refused_run_leaves_no_folder(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """Or the corrected command would run into it."""
    file, out = write_file(ROWS[:1]), tmp_path / "out"
    with pytest.raises(ConfigError, match="needs two prompts at least"):
        train(file, model=str(tiny), out=out, loss="kto", allow={"all": "a test"})
    assert not out.exists()
    assert train(file, model=str(tiny), out=out, loss="dpo", allow={"all": "a test"}).updates == 1


def test_the_level_is_the_mean_log_ratio_and_never_below_zero(tiny: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    others = mismatched(PAIRS, max_length=1024)
    samples = [sample for item in others for sample in item.samples]
    with torch.no_grad():
        now = completions(model, samples)
    for shift in (0.0, 0.25, -0.25):
        mismatch = Mismatch(others, Reference(now.logp_C - shift, now.tokens_R))
        level = mismatch.level(model, (0, 1, 2, 3), token_budget=12, dtype=torch.float32, packed=True)
        expected = max(0.0, shift * float(now.tokens_R.double().mean()))
        assert level == pytest.approx(expected, abs=1e-4)


def test_a_pair_counts_as_the_mean_of_its_two_answers() -> None:
    """r_c = 2, r_r = −1, z₀ = ½, β = 0.1: (0.9·(1 − σ(0.15)) + 1.5·(1 − σ(0.15))) / 2."""
    config = TrainConfig(loss="kto", desirable_weight=0.9, undesirable_weight=1.5)
    logps = PairLogps(*(torch.tensor([v]) for v in (-3.0, -6.0, -5.0, -5.0)), baseline=torch.tensor(0.5))
    expected = (0.9 + 1.5) / 2 * (1 - 1 / (1 + math.exp(-0.15)))
    assert objective_of(config)(logps).item() == pytest.approx(expected, rel=1e-6)


def test_a_run_learns(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out = tmp_path / "out"
    train(write_file(ROWS), model=str(tiny), out=out, lr=1e-2, loss="kto", batch_pairs=4, epochs=4, warmup=0.0)
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[0]["loss"] == pytest.approx(0.5, abs=1e-6), "both answers at σ(0)"
    assert rows[-1]["loss"] < 0.5
    assert rows[-1]["margin"] > 0
