"""A training run from a file to a model folder, on a tiny model: what it writes, refuses, survives and resumes."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from rather.errors import AuditStop, ConfigError, InputError, NonFiniteLoss, RunDirError, TrainError
from rather.losses import PairLogps
from rather.losses.contrastive import dpo
from rather.training import loop
from rather.training.config import TrainConfig
from rather.training.run import train
from tests.conftest import WriteFile

KEYS = [
    "step", "loss", "margin", "accuracy", "chosen_reward", "rejected_reward", "chosen_logp", "rejected_logp",
    "chosen_logp_change_per_token", "rejected_logp_change_per_token", "grad_norm", "lr", "pairs_per_s",
]  # fmt: skip

ROWS = [
    {
        "prompt": f"Question {i}: what is {i} and {i + 1}?",
        "chosen": f" It is {i + i + 1}.",
        "rejected": f" Ask {i} others!",
    }
    for i in range(12)
]
FAST = TrainConfig(lr=1e-3, epochs=2, batch_pairs=4)


def metrics(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model" / "model.safetensors")


def test_what_a_run_leaves(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out = tmp_path / "out"
    result = train(write_file(ROWS), model=str(tiny), out=out, config=FAST)
    rows = metrics(out)
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert sorted(rows[0]) == sorted(KEYS)
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["margin"] > 0
    assert result.last == rows[-1]
    assert {path.name for path in out.iterdir()} == {
        "model", "metrics.jsonl", "refused.jsonl", "audit.json", "manifest.json", "run.json", ".lock",
    }  # fmt: skip
    # transformers alone loads it and chats.
    model, tokenizer = AutoModelForCausalLM.from_pretrained(result.model), AutoTokenizer.from_pretrained(result.model)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], return_tensors="pt", add_generation_prompt=True
    )
    assert model.generate(**prompt, max_new_tokens=3).shape[1] > 3
    assert model.dtype == torch.float32
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["pairs"], manifest["rows"], manifest["refused"]) == (12, 12, 0)
    assert manifest["config"]["lr"] == 1e-3


def test_the_same_call_again_does_nothing_and_another_is_refused(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    out, file = tmp_path / "out", write_file(ROWS)
    train(file, model=str(tiny), out=out, config=FAST)
    stamp = (out / "model" / "model.safetensors").stat().st_mtime_ns
    train(file, model=str(tiny), out=out, config=FAST)
    assert (out / "model" / "model.safetensors").stat().st_mtime_ns == stamp
    with pytest.raises(RunDirError, match=r"holds a run with lr 0\.001, not 0\.002; choose another --out"):
        train(file, model=str(tiny), out=out, config=FAST.model_copy(update={"lr": 2e-3}))
    with pytest.raises(RunDirError, match="pairs"):
        train(write_file(ROWS[:6], "fewer.jsonl"), model=str(tiny), out=out, config=FAST)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    file = write_file(ROWS)
    runs = {}
    for name, config in {"a": FAST, "b": FAST, "c": FAST.model_copy(update={"seed": 1})}.items():
        train(file, model=str(tiny), out=tmp_path / name, config=config)
        runs[name] = weights(tmp_path / name)
    assert all(torch.equal(runs["a"][key], runs["b"][key]) for key in runs["a"])
    assert not all(torch.equal(runs["a"][key], runs["c"][key]) for key in runs["a"])


@pytest.mark.parametrize("change", [{"sft_weight": 0.5}, {"loss": "ipo"}, {"beta": 0.5}, {"weight_decay": 0.5},
                                    {"shuffle": False}, {"warmup": 0.5}, {"schedule": "cosine"},
                                    {"max_grad_norm": 0.01}, {"dtype": "bf16"},
                                    {"system_prompt": "Be brief."}, {"max_length": 40}], ids=str)  # fmt: skip
def test_every_option_acts(tiny: Path, tmp_path: Path, write_file: WriteFile, change: dict[str, Any]) -> None:
    file = write_file([{**row, "prompt": [{"role": "user", "content": row["prompt"][:9]}],
                        "chosen": [{"role": "assistant", "content": row["chosen"]}],
                        "rejected": [{"role": "assistant", "content": row["rejected"]}]} for row in ROWS])  # fmt: skip
    allow = {"identical_after_truncation": "test", "missing_end_of_turn": "test"}
    train(file, model=str(tiny), out=tmp_path / "plain", config=FAST, allow=allow)
    train(file, model=str(tiny), out=tmp_path / "changed", config=FAST.model_copy(update=change), allow=allow)
    plain, changed = weights(tmp_path / "plain"), weights(tmp_path / "changed")
    assert any(not torch.equal(plain[key], changed[key]) for key in plain)


def test_a_system_prompt_that_no_pair_can_take_is_refused(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(ConfigError, match="--system-prompt does nothing"):
        train(write_file(ROWS), model=str(tiny), out=tmp_path / "out", config=FAST, system_prompt="Be brief.")
    assert not (tmp_path / "out").exists()


def test_options_by_name_stand_over_the_config_and_are_checked(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    out = tmp_path / "out"
    train(str(write_file(ROWS)), model=str(tiny), out=str(out), config=FAST, epochs=1, beta=0.5)
    config = json.loads((out / "manifest.json").read_text())["config"]
    assert (config["epochs"], config["beta"], config["lr"]) == (1, 0.5, 1e-3)
    with pytest.raises(ConfigError, match=r'unknown key "betta"; did you mean "beta"\?'):
        train(str(write_file(ROWS)), model=str(tiny), out=str(out), betta=0.5)


def test_lora_trains_an_adapter_and_leaves_a_plain_model(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out = tmp_path / "out"
    train(write_file(ROWS), model=str(tiny), out=out, config=FAST.model_copy(update={"lora_rank": 4, "lr": 1e-2}))
    before, after = load_file(tiny / "model.safetensors"), weights(out)
    assert set(before) == set(after)
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed
    assert all("proj" in key for key in changed), "embeddings and norms have no adapter"
    assert (out / "adapter" / "adapter_model.safetensors").is_file()
    assert metrics(out)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert metrics(out)[-1]["loss"] < metrics(out)[0]["loss"]


@pytest.mark.parametrize("options", [{}, {"lora_rank": 4}, {"loss": "tdpo"}, {"loss": "aot"}], ids=str)
def test_gradient_checkpointing_changes_nothing_that_is_learned(
    tiny: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any]
) -> None:
    file, config = write_file(ROWS), FAST.changed({"lr": 1e-2, **options})
    train(file, model=str(tiny), out=tmp_path / "plain", config=config)
    train(file, model=str(tiny), out=tmp_path / "again", config=config, gradient_checkpointing=True)
    one, two = weights(tmp_path / "plain"), weights(tmp_path / "again")
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert metrics(tmp_path / "again")[-1]["loss"] == metrics(tmp_path / "plain")[-1]["loss"]


def test_bad_rows_stop_the_run_unless_they_may_be_skipped(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out, file = tmp_path / "out", write_file([*ROWS[:3], {**ROWS[3], "chosen": " "}, *ROWS[4:]])
    with pytest.raises(InputError) as caught:
        train(file, model=str(tiny), out=out, config=FAST)
    assert str(caught.value) == f'{file}:4: "chosen" is empty; remove the row or pass --skip-bad (1 of 12 rows)'
    assert not out.exists()
    train(file, model=str(tiny), out=out, config=FAST, skip_bad=True)
    refused = [json.loads(line) for line in (out / "refused.jsonl").read_text().splitlines()]
    assert refused == [{"place": f"{file}:4", "reason": '"chosen" is empty'}]


def test_pairs_that_say_nothing_are_stopped_by_the_audit(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out, file = tmp_path / "out", write_file([{**row, "rejected": row["chosen"]} for row in ROWS])
    with pytest.raises(AuditStop, match="identical_sides: 12 of 12 pairs"):
        train(file, model=str(tiny), out=out, config=FAST)
    assert not out.exists()
    train(file, model=str(tiny), out=out, config=FAST, allow={"identical_sides": "a test"})
    audit = json.loads((out / "audit.json").read_text())
    assert audit["allowed"] == {"identical_sides": "a test"}
    assert json.loads((out / "manifest.json").read_text())["audit"]["allowed"] == {"identical_sides": "a test"}


def test_a_window_shorter_than_max_length_is_refused(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    with pytest.raises(ConfigError, match="--max-length 4096 is longer than the model's window of 2048 tokens"):
        train(
            write_file(ROWS), model=str(tiny), out=tmp_path / "out", config=FAST.model_copy(update={"max_length": 4096})
        )


def test_a_non_finite_loss_names_step_and_pairs_and_keeps_the_last_state(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, file = tmp_path / "out", write_file(ROWS)
    updates = 0

    def breaks_in_the_third_update(logps: PairLogps, **options: float) -> torch.Tensor:
        nonlocal updates
        updates += logps.chosen.requires_grad  # not the call that tries the options out
        loss = dpo(logps, **options)
        return loss * torch.where(torch.arange(len(loss)) == 1, torch.inf, 1.0) if updates == 3 else loss

    monkeypatch.setattr("rather.losses.contrastive.dpo", breaks_in_the_third_update)
    with pytest.raises(
        NonFiniteLoss, match=r"^the loss of update 3 is not finite, from pairs \w+ \(.*pairs.jsonl:\d+\); "
    ) as caught:
        train(file, model=str(tiny), out=out, config=FAST)
    assert (caught.value.step, len(caught.value.pair_ids)) == (3, 1)
    assert len(metrics(out)) == 2
    assert (out / "checkpoints" / "step-000002").is_dir()
    # Once the cause is gone, the same command goes on and ends like a run that never met it.
    monkeypatch.setattr("rather.losses.contrastive.dpo", dpo)
    train(file, model=str(tiny), out=out, config=FAST)
    train(file, model=str(tiny), out=tmp_path / "whole", config=FAST)
    assert all(torch.equal(weights(out)[key], value) for key, value in weights(tmp_path / "whole").items())


def test_weights_that_made_a_loss_non_finite_do_not_take_the_place_of_the_checkpoint_before(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    updates = 0

    def breaks_in_the_fourth_update(logps: PairLogps, **options: float) -> torch.Tensor:
        nonlocal updates
        updates += logps.chosen.requires_grad
        return dpo(logps, **options) * (torch.nan if updates == 4 else 1.0)

    monkeypatch.setattr("rather.losses.contrastive.dpo", breaks_in_the_fourth_update)
    with pytest.raises(NonFiniteLoss):
        train(write_file(ROWS), model=str(tiny), out=tmp_path / "out", config=FAST, save_every=2)
    kept = sorted(folder.name for folder in (tmp_path / "out" / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000003"]


def test_a_model_that_computes_nothing_finite_is_named_before_training(
    tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    with torch.no_grad():
        model.model.norm.weight.fill_(torch.inf)
    model.save_pretrained(tmp_path / "broken")
    AutoTokenizer.from_pretrained(tiny).save_pretrained(tmp_path / "broken")
    with pytest.raises(TrainError, match=r"the model gives no finite log-probability to .*pairs.jsonl:\d+"):
        train(write_file(ROWS), model=str(tmp_path / "broken"), out=tmp_path / "out", config=FAST)


COMMAND = "import sys; from rather.cli import main; sys.exit(main(sys.argv[1:]))"


def start(file: Path, tiny: Path, out: Path) -> subprocess.Popen[str]:
    arguments = ["train", str(file), "--model", str(tiny), "--out", str(out), "--lr", "1e-3", "--epochs", "40",
                 "--batch-pairs", "4", "--save-every", "3"]  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )


def wait_for_step(out: Path, step: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if (out / "metrics.jsonl").is_file() and len((out / "metrics.jsonl").read_text().splitlines()) >= step:
            return
        time.sleep(0.01)
    pytest.fail(f"no step {step}: {process.communicate()[1]}")


@pytest.fixture(scope="module")
def undisturbed(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody stopped, and beside it the file it was trained on."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    process = start(file, tiny, folder / "whole")
    stderr = process.communicate(timeout=300)[1]
    assert process.returncode == 0, stderr
    return folder / "whole"


@pytest.mark.parametrize(
    "how",
    [signal.SIGKILL, signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)],
    ids=lambda s: s.name,
)
def test_a_stopped_run_resumes_bit_identically(
    how: signal.Signals, tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """Stopped twice; by a kill that leaves no time for anything, at updates that are others in every run of this test."""
    file = undisturbed.parent / "pairs.jsonl"
    updates = len(metrics(undisturbed))
    steps = sorted(random.sample(range(1, updates - 10), 2)) if how is signal.SIGKILL else (7, 50)
    print(f"stopped after updates {steps} of {updates}")  # pytest shows it where the test fails
    for step in steps:
        process = start(file, tiny, tmp_path / "stopped")
        wait_for_step(tmp_path / "stopped", step, process)
        process.send_signal(how)
        stderr = process.communicate(timeout=120)[1]
        assert not (tmp_path / "stopped" / "manifest.json").exists()
        if how is not signal.SIGKILL:
            assert process.returncode == 130
            assert "the same command goes on" in stderr.splitlines()[-1]
    finished = start(file, tiny, tmp_path / "stopped")
    stderr = finished.communicate(timeout=300)[1]
    assert finished.returncode == 0, stderr
    assert "goes on after update" in stderr
    one, two = weights(undisturbed), weights(tmp_path / "stopped")
    assert all(torch.equal(one[key], two[key]) for key in one)
    timeless = [{k: v for k, v in row.items() if k != "pairs_per_s"} for row in metrics(tmp_path / "stopped")]
    assert timeless == [{k: v for k, v in row.items() if k != "pairs_per_s"} for row in metrics(undisturbed)]
    assert not list((tmp_path / "stopped").glob(".*-*"))


@pytest.mark.parametrize("size", ["200k", "400k"], ids=["reference or checkpoint", "model"])
def test_a_full_disk_is_named_and_the_same_command_goes_on(
    size: str, tiny: Path, tmp_path: Path, write_file: WriteFile
) -> None:
    disk, file = tmp_path / "disk", write_file(ROWS)
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system can only be mounted by root")
    try:
        config = FAST.model_copy(update={"save_every": 2})
        with pytest.raises(RunDirError, match=r"^no space left for .*; free some and run the same command again"):
            train(file, model=str(tiny), out=disk / "out", config=config)
        assert not (disk / "out" / "manifest.json").exists()
        subprocess.run(["mount", "-o", "remount,size=8m", disk], check=True)
        train(file, model=str(tiny), out=disk / "out", config=config)
        train(file, model=str(tiny), out=tmp_path / "whole", config=config)
        assert all(torch.equal(weights(disk / "out")[key], value) for key, value in weights(tmp_path / "whole").items())
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    "options",
    [
        *({"loss": loss} for loss in ("bco", "beta_dpo", "aot", "tdpo", "wpo", "ld_dpo", "kto", "dpo:0.8,sft:0.2")),
        {"ref_sync_steps": 2},
        {"ref_sync_steps": 2, "ref_mixup_alpha": 1.0, "lora_rank": 2},
    ],
    ids=str,
)
def test_a_run_with_state_of_its_own_resumes_to_the_last_bit(
    tiny: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after the third of six updates, with the cache of references gone: the same weights and metrics."""
    file, config = write_file(ROWS), FAST.changed({**options, "save_every": 1})
    train(file, model=str(tiny), out=tmp_path / "whole", config=config)
    real, calls = loop.train_step, 0

    def stopped(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(loop, "train_step", stopped)
    with pytest.raises(KeyboardInterrupt):
        train(file, model=str(tiny), out=tmp_path / "parts", config=config)
    monkeypatch.setattr(loop, "train_step", real)
    monkeypatch.setenv("RATHER_CACHE", str(tmp_path / "cache"))
    train(file, model=str(tiny), out=tmp_path / "parts", config=config)
    assert all(torch.equal(weights(tmp_path / "parts")[name], v) for name, v in weights(tmp_path / "whole").items())
    both = [
        [{key: value for key, value in row.items() if key != "pairs_per_s"} for row in metrics(tmp_path / name)]
        for name in ("whole", "parts")
    ]
    assert both[0] == both[1]
    assert [row["step"] for row in both[1]] == [1, 2, 3, 4, 5, 6]
