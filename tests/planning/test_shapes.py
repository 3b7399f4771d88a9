"""Weights are counted as transformers makes them, and as models are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rather.errors import ModelError
from rather.model.catalog import CATALOG
from rather.planning.known import KNOWN
from rather.planning.shapes import FAMILIES, read_shape, shape_of

SMALL = {
    "hidden_size": 48, "intermediate_size": 112, "num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2,
    "head_dim": 8, "vocab_size": 320, "max_position_embeddings": 512, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip

# Parameters as the models' pages and safetensors indices give them, a tied matrix once.
PUBLISHED = {
    "SmolLM2-135M": 134_515_008,
    "SmolLM2-1.7B": 1_711_376_384,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "Llama-3.1-8B": 8_030_261_248,
    "Llama-3.1-70B": 70_553_706_496,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-72B": 72_706_203_648,
    "Qwen3-0.6B": 596_049_920,
    "Qwen3-8B": 8_190_735_360,
    "Mistral-7B-v0.3": 7_248_023_552,
    "gemma-2-2b": 2_614_341_888,
    "gemma-2-9b": 9_241_705_984,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_well_known_models_have_as_many_weights_as_published(name: str) -> None:
    assert read_shape(name).weights == PUBLISHED[name]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", FAMILIES)
def test_every_kind_has_as_many_weights_as_transformers_makes(kind: str, bias: bool) -> None:
    own = {**SMALL, **({"head_dim": None} if kind == "phi3" else {})}
    own |= {"attention_bias": True} if bias and isinstance(FAMILIES[kind].qkv_bias, str) else {}
    own |= {"mlp_bias": True} if bias and isinstance(FAMILIES[kind].mlp_bias, str) else {}
    config = AutoConfig.for_model(kind, **{name: value for name, value in own.items() if value is not None})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    shape = shape_of(json.loads(config.to_json_string(use_diff=False)), kind)
    assert shape.weights == sum(weight.numel() for weight in model.parameters())
    linear = {
        name: part for name, part in model.named_modules() if isinstance(part, torch.nn.Linear) and name != "lm_head"
    }
    assert shape.products == sum(part.weight.numel() for part in linear.values())
    assert shape.modules * shape.layers == len(linear)
    assert shape.adapter(5) == sum(5 * (part.in_features + part.out_features) for part in linear.values())


def test_worked_by_hand() -> None:
    """2 layers of 8, 2 heads of 4 over 1 of keys, 16 within, 10 tokens: attention 8·(8 + 2·4) + 8·8 = 192, gates 3·8·16 = 384."""
    config = {
        "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1,
        "intermediate_size": 16, "num_hidden_layers": 2, "vocab_size": 10, "tie_word_embeddings": True,
    }  # fmt: skip
    shape = shape_of(config, "tiny")
    assert shape.layer_products == 576
    assert shape.layer_weights == 576 + 16
    assert shape.outside == 80 + 8
    assert shape.weights == 2 * 592 + 88
    untied = shape_of({**config, "tie_word_embeddings": False}, "tiny")
    assert untied.weights == shape.weights + 80
    # q 8+8, k and v 8+4 each, o 8+8, gate and up 8+16 each, down 16+8: 128 a layer
    assert shape.adapter(3) == 2 * 3 * 128


def test_catalogued_models_are_known_and_as_their_config_says(smollm2: str) -> None:
    for name in CATALOG:
        assert read_shape(name).weights > 0
    folder, named = read_shape(smollm2), read_shape("smollm2-135m-instruct")
    assert (folder.weights, folder.matrices, folder.positions) == (named.weights, named.matrices, named.positions)


@pytest.mark.parametrize(
    "name", ["meta-llama/Llama-3.2-1B-Instruct", "llama-3.2-1b", "unsloth/Llama-3.2-1B", " Llama-3.2-1B "]
)
def test_owners_and_endings_change_no_size(name: str) -> None:
    assert read_shape(name).weights == PUBLISHED["Llama-3.2-1B"]


def _folder(path: Path, text: str) -> str:
    (path / "config.json").write_text(text, encoding="utf-8")
    return str(path)


GOOD = {
    "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 16, "num_hidden_layers": 2,
    "vocab_size": 9,
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "cannot be read"),
        ("{", "it is not JSON"),
        ("[]", "holds no table"),
        ("{}", "not counted"),
        ('{"model_type": "mixtral"}', "the kind mixtral are not counted; those that are: gemma"),
        ('{"model_type": ["llama"]}', "not counted"),
        (json.dumps({**GOOD, "hidden_size": None}), "no usable hidden_size"),
        (json.dumps({**GOOD, "hidden_size": "8"}), "no usable hidden_size"),
        (json.dumps({**GOOD, "vocab_size": 0}), "no usable vocab_size"),
        (json.dumps({**GOOD, "num_hidden_layers": True}), "no usable num_hidden_layers"),
        (json.dumps({**GOOD, "num_attention_heads": 0}), "no usable num_attention_heads"),
        (json.dumps({**GOOD, "num_key_value_heads": 3}), "do not divide"),
    ],
)
def test_a_config_that_cannot_be_used_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as error:
        read_shape(_folder(tmp_path, text))
    assert "\n" not in str(error.value)


def test_a_config_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelError, match="cannot be read"):
        read_shape(str(tmp_path))


def test_a_model_that_is_nowhere(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has no config"):
        read_shape(str(tmp_path))
    for name in ("nothing", "", "./nothing", "/no/such/folder"):
        with pytest.raises(ModelError, match=r"known by name; give a folder .* Llama-3.2-1B") as error:
            read_shape(name)
        assert "\n" not in str(error.value)


def test_a_hub_id_is_asked_for_its_config_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []

    def download(name: str, file: str, **_: Any) -> str:
        asked.append((name, file))
        return str(Path(_folder(tmp_path, json.dumps(GOOD))) / "config.json")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    assert read_shape("somebody/new-model").layers == 2
    assert asked == [("somebody/new-model", "config.json")]

    def refuse(name: str, file: str, **_: Any) -> str:
        raise OSError("no network\nand advice")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", refuse)
    with pytest.raises(ModelError, match="the hub does not give it") as error:
        read_shape("somebody/new-model")
    assert "\n" not in str(error.value)


def test_the_table_is_of_kinds_that_are_counted() -> None:
    assert all(config["model_type"] in FAMILIES for config in KNOWN.values())
