"""Fresh answers every few updates: what is learned from, and that a run that was stopped goes on as if nothing had been."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rather.looping import online as room
from tests.looping.small import run, values


def online_values(tiny: Path, **table: Any) -> dict[str, Any]:
    return values(
        tiny,
        rounds=1,
        online={"updates": 4, "every": 2, **table},
        train={"lr": 1e-3, "batch_pairs": 2, "save_every": 2},
    )


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_every_update_learns_from_answers_of_the_policy_as_it_is(files: Path, tiny: Path) -> None:
    (facts,) = run(files, online_values(tiny)).rounds
    folder = files / "out/round-01/online"
    rows = lines(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    pairs = lines(folder / "pairs.jsonl")
    assert len(pairs) == facts["pairs"] == sum(row["pairs"] for row in rows)
    letters = [[sum(sign.isalpha() for sign in pair[side]) for side in ("chosen", "rejected")] for pair in pairs]
    assert all(chosen > rejected for chosen, rejected in letters)
    # Two sets of answers to four questions each, three answers a question.
    assert [row.get("answers") for row in rows] == [None, 12, None, 12]
    assert rows[0]["margin"] == 0.0, "before the first update the policy is its reference"
    assert rows[2]["margin"] != 0.0, "then it is not, and its answers are new"
    assert facts["audit"] == "warn" or facts["audit"] == "pass"
    before, after = load_file(tiny / "model.safetensors"), load_file(folder / "model/model.safetensors")
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_the_second_round_stays_near_to_the_first_model(files: Path, tiny: Path) -> None:
    result = run(files, {**online_values(tiny), "rounds": 2})
    rows = lines(files / "out/round-02/online/metrics.jsonl")
    assert rows[0]["margin"] != 0.0
    assert result.rounds[1]["began_as"] == result.rounds[0]["policy"]


def test_a_run_that_was_stopped_goes_on_to_the_last_bit(
    files: Path,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given = online_values(tiny, updates=6)
    run(files, given)
    (files / "out").rename(files / "whole")
    real, calls = room.train_step, 0

    def stopped(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(room, "train_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(files, given)
    run(files, given)
    one, two = (load_file(files / name / "round-01/online/model/model.safetensors") for name in ("whole", "out"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    timeless = [
        [{k: v for k, v in row.items() if k not in ("sampling_share", "answers_per_s")} for row in lines(
            files / name / "round-01/online/metrics.jsonl"
        )]
        for name in ("whole", "out")
    ]  # fmt: skip
    assert timeless[0] == timeless[1]
    assert lines(files / "whole/round-01/online/pairs.jsonl") == lines(files / "out/round-01/online/pairs.jsonl")
