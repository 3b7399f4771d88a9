"""A whole run, from the command line, of small random models of other families than Llama, packed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig, Qwen3Config, Qwen3ForCausalLM

from rather.cli import main
from rather.training import run
from tests.conftest import WriteFile
from tests.tiny import make_tokenizer

SMALL: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4, "head_dim": 8,
    "num_key_value_heads": 2, "max_position_embeddings": 2048, "initializer_range": 0.2,
}  # fmt: skip
FAMILIES: dict[str, tuple[Any, type, dict[str, Any]]] = {
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {}),
    # a window shorter than the conversations, in every second layer
    "gemma3": (
        Gemma3TextConfig,
        Gemma3ForCausalLM,
        {"sliding_window": 16, "query_pre_attn_scalar": 8, "layer_types": ["sliding_attention", "full_attention"] * 2},
    ),
}
ROWS = [
    {
        "prompt": [{"role": "user", "content": f"What comes after {i}, if one counts?"}],
        "chosen": f"After {i} comes {i + 1}.",
        "rejected": f"Ask {i + 9} others, they may know!",
    }
    for i in range(6)
]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, type]:
    """Folder and class of a small random model."""
    config, kind, options = FAMILIES[request.param]
    tokenizer = make_tokenizer()
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config(vocab_size=len(tokenizer), **SMALL, **ids, **options))
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model", kind


def test_another_family_is_trained_packed(
    family: tuple[Path, type], tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins at ln 2, learns, is saved as its own kind, and learns the same on the plain path."""
    (model, kind), metrics = family, {}
    for path in ("packed", "plain"):
        if path == "plain":
            monkeypatch.setattr(run, "packing_is_exact", lambda *_, **__: False)
        command = ["train", str(write_file(ROWS)), "--model", str(model), "--out", str(tmp_path / path)]
        assert main([*command, "--lr", "1e-3", "--batch-pairs", "3", "--epochs", "3"]) == 0
        assert json.loads((tmp_path / path / "manifest.json").read_text())["packed"] == (path == "packed")
        lines = (tmp_path / path / "metrics.jsonl").read_text().splitlines()
        metrics[path] = [json.loads(line) for line in lines]
    first, last = metrics["packed"][0], metrics["packed"][-1]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert last["loss"] < first["loss"] - 0.01
    assert last["margin"] > 0
    for ours, theirs in zip(metrics["packed"], metrics["plain"], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-3)
        assert ours["grad_norm"] == pytest.approx(theirs["grad_norm"], rel=1e-2)
    assert type(AutoModelForCausalLM.from_pretrained(tmp_path / "packed" / "model")) is kind
