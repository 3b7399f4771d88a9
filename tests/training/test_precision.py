"""What is held in which precision, and what is refused where there is no GPU."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rather.cli import main
from rather.errors import ConfigError
from rather.training import precision
from rather.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from rather.training.config import TrainConfig
from rather.training.precision import optimizer_of, require_possible, update_bytes, weights_dtype
from tests.conftest import WriteFile
from tests.training.test_run import ROWS


@pytest.mark.parametrize(
    ("options", "device", "dtype"),
    [
        ({"lora_rank": 4, "dtype": "bf16"}, "cuda", torch.bfloat16),
        ({"lora_rank": 4, "dtype": "fp32"}, "cuda", torch.float32),
        ({"dtype": "bf16"}, "cuda", torch.float32),
        ({"lora_rank": 4, "dtype": "bf16"}, "cpu", torch.float32),
    ],
)
def test_only_a_frozen_base_on_a_gpu_is_rounded(options: dict[str, Any], device: str, dtype: torch.dtype) -> None:
    assert weights_dtype(TrainConfig(**options), device) == dtype


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        # gradient and two moments of 4 bytes each, for 8192 and 100 values
        ("adamw", 12 * 8192 + 12 * 100),
        # the small one as before; of the large one two moments of a byte and 32 scales of 4 bytes each
        ("adamw_8bit", 4 * 8192 + 2 * (8192 + 32 * 4) + 12 * 100),
    ],
)
def test_what_an_update_holds(optimizer: Any, expected: int) -> None:
    trainable = [torch.nn.Parameter(torch.zeros(64, 128)), torch.nn.Parameter(torch.zeros(100))]
    assert update_bytes(TrainConfig(optimizer=optimizer), trainable) == expected


GPU_ONLY = [
    ({"optimizer": "adamw_8bit"}, "--optimizer adamw_8bit"),
    ({"load_in_4bit": True, "lora_rank": 2}, "--load-in-4bit"),
]


@pytest.mark.parametrize(("options", "flag"), GPU_ONLY)
def test_without_a_gpu_or_its_package(options: dict[str, Any], flag: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = TrainConfig(**options)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=f"^{flag} needs a CUDA GPU, and torch finds none here; leave it out$"):
        require_possible(config)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=rf"^{flag} needs the package bitsandbytes; pip install 'rather\[gpu\]'$"):
        require_possible(config)
    monkeypatch.setattr(precision, "find_spec", lambda name: object())
    require_possible(config)
    require_possible(TrainConfig())


def test_four_bits_are_refused_without_an_adapter() -> None:
    with pytest.raises(ConfigError, match="--load-in-4bit needs --lora-rank"):
        TrainConfig.build({"load_in_4bit": True})


@pytest.mark.parametrize("flags", [["--optimizer", "adamw_8bit"], ["--load-in-4bit", "--lora-rank", "4"]])
def test_the_command_line_says_it_in_one_line_and_leaves_nothing(
    flags: list[str],
    tiny: Path,
    tmp_path: Path,
    write_file: WriteFile,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    out = tmp_path / "out"
    assert main(["train", str(write_file(ROWS)), "--model", str(tiny), "--out", str(out), *flags]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert "needs a CUDA GPU" in said
    assert not out.exists()


class Eight(torch.optim.Optimizer):
    """Keeps what AdamW8bit keeps: a step in a Python int, moments in bytes, one table for all parameters."""

    def __init__(self, params: Any, *, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.table = torch.linspace(-1, 1, 256)

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for parameter in self.param_groups[0]["params"]:
            state = self.state[parameter]
            state.setdefault("step", 0)
            state.setdefault("state1", torch.zeros_like(parameter, dtype=torch.uint8))
            state.setdefault("qmap1", self.table)
            state["step"] += 1
            state["state1"] += 3


def test_a_checkpoint_holds_moments_of_eight_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        precision, "import_module", lambda name: SimpleNamespace(optim=SimpleNamespace(AdamW8bit=Eight))
    )
    config, model = TrainConfig(optimizer="adamw_8bit", lr=0.1, weight_decay=0.5), torch.nn.Linear(3, 2)
    optimizer = optimizer_of(config, list(model.parameters()))
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.1, 0.5)
    optimizer.step()
    optimizer.step()
    save_checkpoint(tmp_path, model, optimizer, Progress(step=2))
    again = optimizer_of(config, list(model.parameters()))
    load_checkpoint(tmp_path / "step-000002", model, again)
    for parameter in model.parameters():
        state = again.state[parameter]
        assert state["step"] == 2
        assert isinstance(state["step"], int)
        assert torch.equal(state["state1"], optimizer.state[parameter]["state1"])
        assert state["state1"].dtype == torch.uint8
        assert torch.equal(state["qmap1"], torch.linspace(-1, 1, 256))


@pytest.mark.skipif(
    not (torch.cuda.is_available() and importlib.util.find_spec("bitsandbytes")), reason="a CUDA GPU with bitsandbytes"
)
@pytest.mark.parametrize(("options", "flag"), GPU_ONLY)
def test_on_a_gpu(options: dict[str, Any], flag: str, tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    from rather.training.run import train

    result = train(write_file(ROWS), model=str(tiny), out=tmp_path / "out", lr=1e-3, epochs=4, dtype="bf16", **options)
    assert result.last["loss"] < 0.69
