"""Held-out pairs: what they say in the metrics, which state they call the best, and what they must not be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from rather.cli import main
from rather.errors import ConfigError, InputError
from rather.losses import LOSSES
from rather.model import load, pair_logps
from rather.training import loop
from rather.training.config import TrainConfig
from rather.training.heldout import HeldOut
from rather.training.objective import objective_of
from rather.training.reference import Reference
from rather.training.run import train
from tests.conftest import WriteFile
from tests.training.test_reference import PAIRS
from tests.training.test_run import ROWS, metrics, weights

FAST = TrainConfig(lr=5e-4, epochs=3, batch_pairs=3, eval_every=2)
# One of the held-out pairs is labelled the other way round, so that their loss falls at first and then rises.
SWAPPED = {**ROWS[8], "chosen": ROWS[8]["rejected"], "rejected": ROWS[8]["chosen"]}
TRAINED, HELD = ROWS[:8], [SWAPPED, *ROWS[9:]]


def measured(out: Path) -> dict[int, float]:
    return {row["step"]: row["heldout_loss"] for row in metrics(out) if "heldout_loss" in row}


def timeless(out: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != "pairs_per_s"} for row in metrics(out)]


def test_the_figures_are_those_of_the_formula(tiny: Path) -> None:
    """β = 0.5: the loss −log σ(½·h) of each pair, its mean, the mean of ½·h, and the share of pairs with h > 0."""
    policy = load(str(tiny)).model
    before = torch.full((sum(s.completion_tokens for pair in PAIRS for s in pair.samples),), -5.0)
    counts = torch.tensor([s.completion_tokens for pair in PAIRS for s in pair.samples])
    held = HeldOut(PAIRS, Reference(before, counts), every=3)
    objective = objective_of(TrainConfig(beta=0.5))
    forms = [
        held.measure(policy, objective, reward_scale=0.5, token_budget=budget, dtype=torch.float32, packed=packed)
        for budget, packed in ((1, True), (100_000, True), (100_000, False))
    ]
    with torch.no_grad():
        ours = pair_logps(policy, [pair.samples for pair in PAIRS], packed=False)
    h = (ours.chosen + 5 * counts[::2]) - (ours.rejected + 5 * counts[1::2])
    by_hand = {
        "heldout_loss": float(-torch.nn.functional.logsigmoid(h / 2).mean()),
        "heldout_margin": float((h / 2).mean()),
        "heldout_accuracy": float((h > 0).float().mean()),
    }
    for form in forms:
        assert form == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize(("done", "due"), [(1, False), (3, True), (4, False), (6, True), (7, True)])
def test_when_they_are_measured(done: int, due: bool) -> None:
    held = HeldOut((), Reference(torch.empty(0), torch.empty(0, dtype=torch.long)), every=3)
    assert held.is_due(done, updates=7) is due


def test_the_best_state_is_that_of_the_lowest_loss(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out, file, held = tmp_path / "out", write_file(TRAINED), write_file(HELD, "held.jsonl")
    result = train(file, model=str(tiny), out=out, config=FAST, heldout=held)
    found = measured(out)
    assert list(found) == [2, 4, 6, 8, 9]
    best = min(found, key=lambda step: found[step])
    assert 2 < best < 9, "a test of the best wants it in between"
    assert json.loads((out / "manifest.json").read_text())["best"] == {"step": best, "loss": found[best]}
    assert result.best == out / "best"
    # The weights that the same run had there.
    kept: dict[str, torch.Tensor] = {}
    real = loop.save_best

    def spied(folder: Path, model: torch.nn.Module, state: Any, **options: Any) -> None:
        if state.step == best:
            kept.update({name: value.detach().clone() for name, value in model.named_parameters()})
        real(folder, model, state, **options)

    patch = pytest.MonkeyPatch()
    patch.setattr(loop, "save_best", spied)
    train(file, model=str(tiny), out=tmp_path / "again", config=FAST, heldout=held)
    patch.undo()
    stored = load_file(out / "best" / "model.safetensors")
    assert stored.keys() == weights(out).keys()
    assert all(torch.equal(stored[name], kept[name]) for name in stored)
    assert any(not torch.equal(stored[name], weights(out)[name]) for name in stored)
    assert load(str(out / "best")).tokenizer.chat_template
    assert not (out / "checkpoints").exists()


@pytest.mark.parametrize("options", [{}, {"loss": "kto"}, {"loss": "bco"}, {"loss": "tdpo"}, {"loss": "aot"},
                                     {"ref_sync_steps": 2}], ids=str)  # fmt: skip
def test_measuring_changes_nothing_that_is_learned(
    tiny: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any]
) -> None:
    file, held = write_file(TRAINED), write_file(HELD, "held.jsonl")
    config = FAST.changed(options)
    train(file, model=str(tiny), out=tmp_path / "with", config=config, heldout=held)
    plain = config.model_copy(update={"eval_every": None})
    train(file, model=str(tiny), out=tmp_path / "without", config=plain)
    one, two = weights(tmp_path / "with"), weights(tmp_path / "without")
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not (tmp_path / "without" / "best").exists()


def test_a_merged_adapter_of_the_best_state_and_of_the_last(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    """The last model is the one of a run without held-out pairs, to the last bit: the best was folded in on a copy."""
    file, held = write_file(TRAINED), write_file(HELD, "held.jsonl")
    config = FAST.changed({"lora_rank": 4, "lr": 1e-2})
    train(file, model=str(tiny), out=tmp_path / "with", config=config, heldout=held)
    train(file, model=str(tiny), out=tmp_path / "without", config=config.model_copy(update={"eval_every": None}))
    one, two = weights(tmp_path / "with"), weights(tmp_path / "without")
    assert all(torch.equal(one[name], two[name]) for name in one)
    best = load_file(tmp_path / "with" / "best" / "model.safetensors")
    assert best.keys() == one.keys()
    manifest = json.loads((tmp_path / "with" / "manifest.json").read_text())
    assert manifest["best"]["step"] < 9
    assert any(not torch.equal(best[name], one[name]) for name in one)


@pytest.mark.parametrize("stop", range(1, 10))
def test_a_run_killed_anywhere_has_the_same_best(
    stop: int, tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in update `stop`, with checkpoints every third: what a better state since then replaced must not be missed."""
    file, held = write_file(TRAINED), write_file(HELD, "held.jsonl")
    config = FAST.changed({"save_every": 3})
    train(file, model=str(tiny), out=tmp_path / "whole", config=config, heldout=held)
    real, calls = loop.train_step, 0

    def killed(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == stop:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        train(file, model=str(tiny), out=tmp_path / "parts", config=config, heldout=held)
    monkeypatch.setattr(loop, "train_step", real)
    train(file, model=str(tiny), out=tmp_path / "parts", config=config, heldout=held)
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    for name in ("model", "best"):
        one, two = (load_file(tmp_path / run / name / "model.safetensors") for run in ("whole", "parts"))
        assert all(torch.equal(one[key], two[key]) for key in one)


def test_pairs_that_are_trained_on_are_not_held_out(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file, held = write_file(TRAINED), write_file([*HELD, TRAINED[3]], "held.jsonl")
    with pytest.raises(InputError, match=r"held.jsonl:5: is also trained on \(1 of 5 held-out pairs\); remove it from"):
        train(file, model=str(tiny), out=tmp_path / "out", config=FAST, heldout=held)
    assert not (tmp_path / "out").exists()


def test_a_shared_prompt_is_said(
    tiny: Path, tmp_path: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    held = write_file([*HELD, {**TRAINED[0], "rejected": " No."}], "held.jsonl")
    train(write_file(TRAINED), model=str(tiny), out=tmp_path / "out", config=FAST, heldout=held)
    assert "warning: 1 of 5 held-out pairs have a prompt that is also trained on" in capsys.readouterr().err


def test_bad_rows_are_refused_or_listed(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file, held = write_file(TRAINED), write_file([*HELD, {**HELD[0], "chosen": ""}], "held.jsonl")
    with pytest.raises(InputError, match=r'held.jsonl:5: "chosen" is empty; remove the row or pass --skip-bad'):
        train(file, model=str(tiny), out=tmp_path / "out", config=FAST, heldout=held)
    train(file, model=str(tiny), out=tmp_path / "out", config=FAST, heldout=held, skip_bad=True)
    assert [json.loads(line)["place"] for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()] == [
        f"{held}:5"
    ]


def test_an_option_of_theirs_does_nothing_without_them(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(ConfigError, match=r"^--eval-every does nothing without --heldout$"):
        train(write_file(TRAINED), model=str(tiny), out=tmp_path / "out", config=FAST)


def test_other_held_out_pairs_are_another_run(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file, held = write_file(TRAINED), write_file(HELD, "held.jsonl")
    train(file, model=str(tiny), out=tmp_path / "out", config=FAST, heldout=held)
    with pytest.raises(Exception, match="holds a run with heldout"):
        train(file, model=str(tiny), out=tmp_path / "out", config=FAST, heldout=write_file(HELD[:2], "other.jsonl"))


def test_from_the_command_line_and_in_a_sweep(
    tiny: Path, tmp_path: Path, write_file: WriteFile, capsys: pytest.CaptureFixture[str]
) -> None:
    file, held = str(write_file(TRAINED)), str(write_file(HELD, "held.jsonl"))
    command = ["train", file, "--model", str(tiny), "--heldout", held, "--eval-every", "1", "--batch-pairs", "4"]
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    assert f"best: {tmp_path / 'one' / 'best'}" in capsys.readouterr().out
    assert main(["report", str(tmp_path / "one")]) == 0
    assert main([*command, "--out", str(tmp_path / "many"), "--sweep", "loss=dpo,ipo"]) == 0
    assert (tmp_path / "many" / "loss=ipo" / "best").is_dir()
    assert (tmp_path / "many" / "report.html").is_file()
    assert set(LOSSES) >= {"dpo", "ipo"}


LISTS = [{"prompt": row["prompt"], "ranked": [row["chosen"], " Perhaps.", row["rejected"]]} for row in ROWS]
SINGLES = [{"prompt": row["prompt"], "completion": row["chosen" if i % 2 else "rejected"], "label": bool(i % 2)}
           for i, row in enumerate(ROWS)]  # fmt: skip
CHAT = [{"prompt": [{"role": "user", "content": row["prompt"]}],
         "chosen": [{"role": "assistant", "content": row["chosen"]}],
         "rejected": [{"role": "assistant", "content": row["rejected"]}]} for row in ROWS]  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        (LISTS, {"loss": "plackett_luce"}),
        (SINGLES, {"loss": "kto"}),
        (SINGLES, {"loss": "bco_unpaired"}),
        (CHAT, {"objective": "reward"}),
        (CHAT, {"objective": "reward", "lora_rank": 4}),
        ([{**row, "weight": 1 + i / 9, "probability": 0.9} for i, row in enumerate(ROWS)], {"loss": "dpo"}),
    ],
    ids=["lists", "kto", "bco_unpaired", "reward", "reward with an adapter", "said of pairs"],
)
def test_whatever_is_trained_on_can_be_held_out(
    tiny: Path, tmp_path: Path, write_file: WriteFile, rows: list[dict[str, Any]], options: dict[str, Any]
) -> None:
    """With a rate of almost nothing, the held-out figures are those of an update that trains on the same rows."""
    size, config = len(rows) - 8, {"lr": 1e-12, "epochs": 1, "eval_every": 1, "allow": {"all": "a test"}, **options}
    held = write_file(rows[8:], "held.jsonl")
    out = tmp_path / "out"
    result = train(write_file(rows[:8]), model=str(tiny), out=out, heldout=held, batch_pairs=8, **config)
    assert result.best == out / "best"
    (row,) = metrics(out)
    if options["loss" if "loss" in options else "objective"] in ("dpo", "plackett_luce", "reward"):
        config = {key: value for key, value in config.items() if key != "eval_every"}
        train(held, model=str(tiny), out=tmp_path / "held", batch_pairs=size, **config)
        theirs = metrics(tmp_path / "held")[0]
        assert row["heldout_loss"] == pytest.approx(theirs["loss"], abs=1e-5)
        assert row["heldout_accuracy"] == theirs["accuracy"]
    assert row["heldout_margin"] == pytest.approx(row["heldout_margin"])


def test_what_the_loss_does_not_take_is_refused_held_out_too(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    file = write_file(TRAINED)
    with pytest.raises(ConfigError, match=r"--loss dpo does not take ranked lists"):
        train(file, model=str(tiny), out=tmp_path / "out", heldout=write_file(LISTS[8:], "lists.jsonl"))
    held = write_file([{**HELD[0], "margin": 2.0}], "held.jsonl")
    with pytest.raises(InputError, match=r'held.jsonl:1: has a "margin", which the loss simpo does not use'):
        train(file, model=str(tiny), out=tmp_path / "out", heldout=held, loss="simpo")
    held = write_file([{**TRAINED[0], "weight": 2.0}], "heavy.jsonl")
    with pytest.raises(InputError, match=r"is also trained on"):
        train(file, model=str(tiny), out=tmp_path / "out", heldout=held)
    assert not (tmp_path / "out").exists()
