"""One, two and four ranks end in the same weights: for every kind of loss, with updates that do not part evenly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.distributed import cases
from tests.distributed.launching import ended, start

# The largest difference of a weight. fp32, weights of order 0.2, 6 updates of AdamW at 1e-3 or 1e-2 (LoRA).
CLOSE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of all cases, and what is held out."""
    found = tmp_path_factory.mktemp("data")
    cases.files(found)
    rows = [{"prompt": f"How much is {i}?", "chosen": f" It is {i}.", "rejected": " Ask me!"} for i in range(5)]
    (found / "heldout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return found


@pytest.fixture(scope="module")
def alone(tiny: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case in one process."""
    out = tmp_path_factory.mktemp("alone")
    cases.run_all(str(tiny), folder, out)
    return out


def launch(tiny: Path, folder: Path, out: Path, ranks: int, *words: str) -> None:
    processes = start(["-m", "tests.distributed.cases", str(tiny), str(folder), str(out), *words], size=ranks)
    for end in ended(processes, within=500):
        assert end.status == 0, end.err


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def same(ours: Path, theirs: Path, *, close: float = CLOSE) -> None:
    """The weights, and all that was measured but the speed."""
    for name in ("model", "best"):
        assert (ours / name).exists() == (theirs / name).exists()
        if (ours / name).exists():
            one, two = (load_file(run / name / "model.safetensors") for run in (ours, theirs))
            worst = max(float((one[key] - two[key]).abs().max()) for key in one)
            assert set(one) == set(two)
            assert worst <= close, f"{theirs.name}/{name}: {worst:.2g}"
    for row, other in zip(metrics(ours), metrics(theirs), strict=True):
        assert set(row) == set(other)
        for key in set(row) - {"pairs_per_s"}:
            assert row[key] == pytest.approx(other[key], rel=2e-3, abs=2e-4), (theirs.name, key)


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_ranks_end_in_the_weights_of_one_process(
    alone: Path, tiny: Path, folder: Path, tmp_path: Path, ranks: int
) -> None:
    launch(tiny, folder, tmp_path, ranks)
    for name in cases.CASES:
        same(alone / name, tmp_path / name)
        assert json.loads((tmp_path / name / "manifest.json").read_text())["machine"]["ranks"] == ranks


@pytest.mark.parametrize("ranks", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_sharded_weights_end_in_the_same(alone: Path, tiny: Path, folder: Path, tmp_path: Path, ranks: int) -> None:
    launch(tiny, folder, tmp_path, ranks, "shard")
    for name in set(cases.CASES) - cases.UNSHARDED:
        same(alone / name, tmp_path / name)


def test_the_cases_learn(alone: Path, tiny: Path) -> None:
    """Weights that never moved would agree as well."""
    before = load_file(tiny / "model.safetensors")
    for name in set(cases.CASES) - {"reward"}:
        after = load_file(alone / name / "model" / "model.safetensors")
        assert max(float((before[key] - after[key]).abs().max()) for key in before) > 1e-3, name
        assert all(torch.isfinite(value).all() for value in after.values())
