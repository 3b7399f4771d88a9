"""Runs over a grid: all checked first, one reference, one page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rather.cli import main
from rather.errors import ConfigError, InputError
from rather.reporting import report
from rather.training.config import TrainConfig
from rather.training.sweep import combinations, parse_grid, sweep
from tests.conftest import WriteFile

ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(8)]


def test_combinations_in_order_and_by_name() -> None:
    found = combinations({"beta": ["0.1", "0.3"], "loss": ["dpo", "ipo"]})
    assert list(found) == ["beta=0.1,loss=dpo", "beta=0.1,loss=ipo", "beta=0.3,loss=dpo", "beta=0.3,loss=ipo"]
    assert found["beta=0.3,loss=ipo"] == {"beta": "0.3", "loss": "ipo"}


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (["betta=1"], 'no option is called "betta"; did you mean "beta"?'),
        (["beta"], "--sweep beta: write beta=value,value"),
        (["beta=1,,2"], "write beta=value,value"),
        (["beta=1", "--beta=2"], "stands there twice"),
        (["loss=dpo:0.8,sft:0.2"], "a mixture cannot be one of them"),
    ],
)
def test_a_grid_that_cannot_be_read(entries: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        parse_grid(entries)


def test_every_combination_is_checked_before_the_first_is_trained(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    for grid, said in (
        ({"beta": ["0.1"], "loss": ["dpo", "sft"]}, "--sweep: beta=0.1,loss=sft: --beta does nothing in the loss sft"),
        ({"lr": ["x"]}, "--sweep: lr=x: lr = 'x'"),
        ({"beta": ["0.1", "0.1"]}, "beta=0.1 stands there twice"),
        ({"beta": ["0.1", "0.10"]}, "beta=0.1 and beta=0.10 are the same run; leave one of them out"),
        (
            {"save_every": ["1", "2"]},
            "--sweep save_every=…: changes nothing that a run makes; give --save-every itself",
        ),
        (
            {"shuffle": ["true", "false"], "seed": ["1", "2"]},
            "shuffle=false,seed=1: --seed does nothing with --no-shuffle",
        ),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            sweep(write_file(ROWS), model=str(tiny), out=tmp_path / "out", grid=grid)
    assert not (tmp_path / "out").exists()


ONE_PROMPT = [{**row, "prompt": "Question?"} for row in ROWS]
SURE = [{**row, "probability": 0.9} for row in ROWS]


@pytest.mark.parametrize(
    ("rows", "grid", "said"),
    [
        (
            ROWS,
            {"loss": ["dpo", "plackett_luce"]},
            "--sweep: loss=plackett_luce: --loss plackett_luce does not take pairs",
        ),
        (ROWS, {"f_divergence": ["js", "alpha", "forward_kl"], "alpha": ["0.5"]}, "alpha does nothing in f_divergence"),
        (ONE_PROMPT, {"loss": ["dpo", "kto"]}, "--sweep: loss=kto: --loss kto needs two prompts at least"),
        (ROWS, {"max_length": ["64", "4096"]}, "max_length=4096: --max-length 4096 is longer than the model's window"),
        (ROWS, {"optimizer": ["adamw", "adamw_8bit"]}, "optimizer=adamw_8bit: --optimizer adamw_8bit needs a CUDA GPU"),
        (ROWS, {"eval_every": ["1", "2"]}, "--sweep: eval_every=1: --eval-every does nothing without --heldout"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_a_combination_that_does_not_fit_the_data_or_the_model_stops_all(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch, rows: Any, grid: Any, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=re.escape(said)):
        sweep(write_file(rows), model=str(tiny), out=tmp_path / "out", grid=grid)
    assert not (tmp_path / "out").exists()


def test_what_a_row_says_and_a_loss_of_the_grid_does_not_use(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(InputError, match=r'pairs.jsonl:1: has a "probability", which the loss hinge does not use'):
        sweep(write_file(SURE), model=str(tiny), out=tmp_path / "out", grid={"loss": ["dpo", "hinge"]})
    assert not (tmp_path / "out").exists()


def test_an_option_that_the_sweep_would_override_is_refused(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(ConfigError, match="--beta does nothing beside --sweep beta=…; leave it out"):
        sweep(write_file(ROWS), model=str(tiny), out=tmp_path / "o", grid={"beta": ["1"]}, config=TrainConfig(beta=0.3))


def test_runs_share_a_reference_and_end_on_one_page(
    tiny: Path,
    tmp_path: Path,
    write_file: WriteFile,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "cache"))
    file, out = write_file(ROWS), tmp_path / "out"
    command = ["train", str(file), "--model", str(tiny), "--out", str(out), "--lr", "1e-3", "--batch-pairs", "4"]
    command += ["--sweep", "beta=0.1,0.3", "loss=dpo,ipo"]
    assert main(command) == 0
    said = capsys.readouterr()
    assert len(re.findall(r"^beta=\S+: 2 updates", said.out, re.MULTILINE)) == 4
    assert said.err.count("from the cache") == 3, "computed once"
    assert said.err.count("audit: verdict") == 1, "read and audited once"
    page = (out / "report.html").read_text()
    for name in ("beta=0.1,loss=dpo", "beta=0.3,loss=ipo"):
        assert name in page
        assert json.loads((out / name / "manifest.json").read_text())["config"]["beta"] == float(name[5:8])
    assert page.count("<svg") == 3
    assert main(command) == 0, "the same command has nothing to do"
    assert capsys.readouterr().err.count("already trained") == 4
    assert report(out) == out / "report.html"
