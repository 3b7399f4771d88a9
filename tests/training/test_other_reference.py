"""A reference that is another model than the one that training begins as."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rather.errors import ConfigError
from rather.formats import read_pairs
from rather.model import Renderer, completions, load
from rather.training.config import TrainConfig
from rather.training.prepare import tokenise
from rather.training.run import train
from tests.conftest import WriteFile
from tests.tiny import make_model

ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)]
CONFIG = TrainConfig(lr=1e-3, epochs=2, batch_pairs=8, shuffle=False)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return make_model(tmp_path / "other", seed=1)


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def margin(model: str, file: Path) -> torch.Tensor:
    """[P] log π(chosen) − log π(rejected)."""
    loaded = load(model)
    items, _ = tokenise(read_pairs(file).pairs, Renderer(loaded.tokenizer))
    with torch.no_grad():
        sums = completions(loaded.model, [sample for item in items for sample in item.samples]).sums()
    return sums[0::2] - sums[1::2]


def test_the_first_margin_is_between_the_two_models(
    tiny: Path, other: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    file = write_file(ROWS)
    train(file, model=str(tiny), reference=str(other), out=tmp_path / "out", config=CONFIG)
    h = margin(str(tiny), file) - margin(str(other), file)
    first = rows(tmp_path / "out")[0]
    assert first["margin"] == pytest.approx(0.1 * float(h.mean()), rel=1e-4)
    assert first["loss"] == pytest.approx(float(-torch.nn.functional.logsigmoid(0.1 * h).mean()), rel=1e-5)
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["reference_model"] == str(other)
    assert manifest["inputs"]["reference"] != manifest["inputs"]["model"]


def test_the_model_itself_named_as_the_reference_changes_nothing(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    file = write_file(ROWS)
    train(file, model=str(tiny), out=tmp_path / "one", config=CONFIG)
    train(file, model=str(tiny), reference=str(tiny), out=tmp_path / "two", config=CONFIG)
    one, two = (load_file(tmp_path / name / "model/model.safetensors") for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "simpo"}, "--reference does nothing in the loss simpo, which has no reference"),
        ({"objective": "reward"}, "--reference does nothing in the loss bradley_terry, which has no reference"),
        ({"ref_sync_steps": 2}, "--reference and --ref-sync-steps exclude each other"),
        ({"loss": "tdpo"}, "--reference cannot be another model in tdpo"),
    ],
)
def test_where_it_could_not_act_it_is_refused(
    tiny: Path, other: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        train(write_file(ROWS), model=str(tiny), reference=str(other), out=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
