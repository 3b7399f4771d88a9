"""Each guard speaks when it should, once, and names a remedy; a healthy run hears nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rather.training.guards import GUARDS, WINDOW, Watch
from rather.training.run import train
from tests.conftest import WriteFile


def row(step: int, **values: float) -> dict[str, float]:
    usual = {
        "loss": 0.5,
        "margin": 0.1 * step,
        "accuracy": 0.8,
        "chosen_logp_change_per_token": 0.05,
        "rejected_logp_change_per_token": -0.2,
    }
    return {"step": step, **usual, **values}


def said(rows: list[dict[str, float]], epoch: int = 100) -> list[str]:
    watch = Watch([], epoch)
    return [warning for entry in rows for warning in watch.after(entry)]


def test_a_healthy_run_hears_nothing() -> None:
    assert said([row(step) for step in range(1, 101)]) == []


@pytest.mark.parametrize(
    ("name", "values", "remedy"),
    [
        ("displacement", {"chosen_logp_change_per_token": -0.4}, "--sft-weight"),
        ("far_from_the_reference", {"rejected_logp_change_per_token": -5.0}, "raise --beta"),
        ("nothing_left_to_learn", {"accuracy": 1.0, "loss": 0.001}, "fewer --epochs"),
        ("nothing_left_to_learn", {"accuracy": 1.0, "loss": 0.4, "margin": 8.0}, "smaller --beta"),  # with an SFT term
    ],
)
def test_a_guard_speaks_once_and_names_a_remedy(name: str, values: dict[str, float], remedy: str) -> None:
    healthy = [row(step) for step in range(1, 31)]
    warnings = said(healthy + [row(step, **values) for step in range(31, 61)])
    assert len(warnings) == 1
    assert 31 <= int(warnings[0].removeprefix(f"{name}: update ").partition(":")[0]) <= 30 + WINDOW
    assert remedy in warnings[0]


def test_chosen_may_fall_while_the_margin_does_not_grow() -> None:
    assert said([row(step, margin=1.0, chosen_logp_change_per_token=-0.4) for step in range(1, 60)]) == []


def test_a_shortcut_shows_in_the_first_updates_and_only_there() -> None:
    won = [row(step, accuracy=1.0 if step > 2 else 0.5) for step in range(1, 40)]
    assert [warning.partition(":")[0] for warning in said(won)] == ["right_from_the_start"]
    assert said(won, epoch=2 * WINDOW) == [], "too few pairs to call it early"
    late = [row(step, accuracy=1.0 if step > 5 else 0.5) for step in range(1, 40)]
    assert said(late) == []


def test_a_run_that_goes_on_remembers_what_came_before() -> None:
    rows = [row(step, chosen_logp_change_per_token=-0.4) for step in range(1, 40)]
    watch = Watch(rows[: 2 * WINDOW - 1], 100)
    assert len(watch.after(rows[2 * WINDOW - 1])) == 1


def test_what_was_said_is_in_the_manifest(
    tiny: Path,
    tmp_path: Path,
    write_file: WriteFile,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows: list[Any] = [{"prompt": f"Q{i}?", "chosen": f" Yes {i}.", "rejected": f" No {i}, no!"} for i in range(8)]
    monkeypatch.setitem(GUARDS, "nothing_left_to_learn", lambda rows, epoch: "enough" if len(rows) == 3 else None)
    out = tmp_path / "out"
    train(write_file(rows), model=str(tiny), out=out, batch_pairs=2, lr=1e-3)
    assert "warning: nothing_left_to_learn: update 3: enough" in capsys.readouterr().err
    assert json.loads((out / "manifest.json").read_text())["warnings"] == {"nothing_left_to_learn": "update 3: enough"}
