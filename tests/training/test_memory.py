"""The token budget: from what is free, and lowered without a change of what is learned."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from rather.errors import TrainError
from rather.model.recompute import recompute_layers
from rather.training import loop, memory
from rather.training.memory import OutOfMemory, bytes_per_token, find_token_budget
from rather.training.run import train
from tests.conftest import WriteFile
from tests.training.test_reference import PAIRS

ROWS = [{"prompt": f"Question {i}?", "chosen": f" It is {i}.", "rejected": f" Ask {i + 9} others!"} for i in range(12)]
FAST = {"lr": 1e-3, "batch_pairs": 6, "epochs": 2}


def test_a_token_costs_what_the_layers_keep(tiny: Path) -> None:
    """More layers, more bytes; the weights themselves are not counted."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    cost = bytes_per_token(model, PAIRS, dtype=torch.float32, packed=True)
    deeper = AutoModelForCausalLM.from_pretrained(tiny)
    deeper.model.layers.extend(AutoModelForCausalLM.from_pretrained(tiny).model.layers)
    deeper.config.num_hidden_layers *= 2
    assert 1.5 * cost < bytes_per_token(deeper, PAIRS, dtype=torch.float32, packed=True) < 2.5 * cost
    hidden = model.config.hidden_size
    assert 10 * 4 * hidden < cost < 400 * 4 * hidden * model.config.num_hidden_layers


def test_a_token_costs_less_where_layers_are_computed_again(tiny: Path) -> None:
    """The inputs of the layers, and what one of them keeps while its backward runs: with two layers at least a half."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    cost = bytes_per_token(model, PAIRS, dtype=torch.float32, packed=True)
    recompute_layers(model)
    assert cost / 2 < bytes_per_token(model, PAIRS, dtype=torch.float32, packed=True) < 0.8 * cost


def test_measuring_leaves_nothing_behind(tiny: Path) -> None:
    """A cycle through autograd's nodes would hold what the forward kept, and the model, for good: no collector sees it."""
    model = AutoModelForCausalLM.from_pretrained(tiny)
    bytes_per_token(model, PAIRS, dtype=torch.bfloat16, packed=True)
    gone = weakref.ref(next(model.parameters()))
    del model
    gc.collect()
    assert gone() is None


def test_the_budget_follows_the_free_memory_within_its_bounds(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny)
    states = 12 * sum(parameter.numel() for parameter in model.parameters())
    monkeypatch.setattr(memory, "bytes_per_token", lambda *_, **__: 1000.0)

    def budget(free: int) -> int:
        monkeypatch.setattr(memory, "free_bytes", lambda device: free + states)
        return find_token_budget(model, PAIRS, dtype=torch.float32, packed=True, state_bytes=states)

    assert budget(2_000_000) == 1000
    assert budget(1_000_000) == 500
    assert budget(0) == memory.SMALLEST
    assert budget(10**12) == memory.ENOUGH["cpu"]


def test_a_gpu_of_apple_says_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 1000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 300)
    assert memory.free_bytes(torch.device("mps")) == 700
    assert memory.is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"))


def test_free_memory_is_a_plausible_number() -> None:
    assert 1 << 20 < memory.free_bytes(torch.device("cpu")) < 1 << 50


def test_a_lack_of_memory_is_said_once_and_changes_nothing_that_is_learned(
    tiny: Path,
    tmp_path: Path,
    write_file: WriteFile,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = write_file(ROWS)
    train(file, model=str(tiny), out=tmp_path / "whole", **FAST)
    real, calls = loop.train_step, 0

    def too_big(model: object, batches: object, *rest: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if len(batches) == 1 and calls > 1:  # pyright: ignore
            raise OutOfMemory
        return real(model, batches, *rest, **options)  # pyright: ignore

    monkeypatch.setattr(loop, "train_step", too_big)
    monkeypatch.setattr(memory, "ENOUGH", {"cpu": 256})
    train(file, model=str(tiny), out=tmp_path / "split", **FAST)
    said = [line for line in capsys.readouterr().err.splitlines() if "out of memory" in line]
    assert said == ["warning: out of memory; from here on 128 tokens at a time, not 256: same result"]
    whole, split = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "split"))
    assert all((whole[name] - split[name]).abs().max() < 1e-5 for name in whole)


def test_one_pair_that_does_not_fit_is_an_error_with_a_cure(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> object:
        raise OutOfMemory

    monkeypatch.setattr(loop, "train_step", never)
    with pytest.raises(TrainError, match=r"out of memory with one pair of \d+ tokens at a time; lower --max-length"):
        train(write_file(ROWS), model=str(tiny), out=tmp_path / "out", **FAST)
