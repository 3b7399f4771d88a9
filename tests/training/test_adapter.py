"""Adapters: put on, put aside, saved alone, folded in, without a word from any library; and what cannot be folded in."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from rather.cli import main
from rather.errors import ModelError, RatherError, RunDirError
from rather.model import completions, load, load_tokenizer
from rather.training.adapter import add_lora, held_in_fp32, merge, merged, save_adapter
from rather.training.run import train
from tests.conftest import WriteFile
from tests.training.test_reference import PAIRS
from tests.training.test_run import ROWS, weights

SAMPLES = [sample for pair in PAIRS for sample in pair.samples]
TOKENS = torch.arange(10)[None]


def stored(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def filled(policy: Any) -> Any:
    """With an adapter that does something."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.2)
    return policy


@pytest.fixture
def adapter(tiny: Path, tmp_path: Path) -> Path:
    save_adapter(filled(add_lora(load(str(tiny)), 4, seed=0)), tmp_path / "adapter")
    return tmp_path / "adapter"


def in_bf16(tiny: Path, folder: Path) -> Path:
    """The tiny model as it would be stored in bf16."""
    AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return folder


def test_an_adapter_is_put_on_put_aside_and_folded_in(tiny: Path) -> None:
    loaded = load(str(tiny))
    with torch.no_grad():
        before = loaded.model(TOKENS).logits
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # also what pytest is told to pass over
        policy = add_lora(loaded, 4, seed=3)
    assert {name.split(".")[-3] for name, weight in policy.named_parameters() if weight.requires_grad} == {
        "lora_A",
        "lora_B",
    }
    with torch.no_grad():
        assert torch.equal(policy(TOKENS).logits, before), "it starts as zero"
        for name, weight in policy.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.1)
        after = policy(TOKENS).logits
        with policy.disable_adapter():
            assert torch.equal(policy(TOKENS).logits, before)
        assert torch.equal(policy(TOKENS).logits, after)
        assert not torch.allclose(after, before)
        plain = merged(policy)
        assert plain is loaded.model
        torch.testing.assert_close(plain(TOKENS).logits, after)
    assert not [name for name, _ in plain.named_parameters() if "lora" in name]


def test_one_weight_by_hand(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    """W + (α / r)·B·A, with α = 2·r."""
    merge(adapter, out=tmp_path / "out")
    parts = load_file(adapter / "adapter_model.safetensors")
    name = "model.layers.0.self_attn.q_proj"
    a, b = (parts[f"base_model.model.{name}.lora_{side}.weight"] for side in "AB")
    by_hand = stored(tiny)[f"{name}.weight"] + 2 * b @ a
    torch.testing.assert_close(stored(tmp_path / "out")[f"{name}.weight"], by_hand, rtol=0, atol=1e-6)


@pytest.mark.parametrize("config", [{"r": 3, "lora_alpha": 5}, {"r": 4, "use_rslora": True}, {"r": 2, "use_dora": True},
                                    {"r": 2, "modules_to_save": ["norm"]}], ids=str)  # fmt: skip
def test_any_peft_adapter_becomes_what_peft_makes_of_it(tiny: Path, tmp_path: Path, config: dict[str, Any]) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny)
    theirs = filled(
        get_peft_model(base, LoraConfig(target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM", **config))
    )
    theirs.save_pretrained(tmp_path / "adapter")
    merge(tmp_path / "adapter", out=tmp_path / "out")
    fresh = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(tmp_path / "adapter"))
    whole = fresh.merge_and_unload().state_dict()  # pyright: ignore
    ours = stored(tmp_path / "out")
    assert all(torch.equal(value, whole[name]) for name, value in ours.items())
    assert any(not torch.equal(value, stored(tiny)[name]) for name, value in ours.items())


def test_a_base_in_bf16_stays_in_bf16_and_is_rounded_once(tiny: Path, tmp_path: Path) -> None:
    base = in_bf16(tiny, tmp_path / "base")
    save_adapter(filled(add_lora(load(str(base)), 4, seed=0)), tmp_path / "adapter")
    merge(tmp_path / "adapter", out=tmp_path / "out")
    exact = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(tmp_path / "adapter")
    ).merge_and_unload()  # pyright: ignore
    ours, theirs = stored(tmp_path / "out"), exact.state_dict()
    assert {value.dtype for value in ours.values()} == {torch.bfloat16}
    assert all(torch.equal(value, theirs[name].bfloat16()) for name, value in ours.items())
    assert AutoModelForCausalLM.from_pretrained(tmp_path / "out").dtype == torch.bfloat16


def test_the_adapter_of_a_run_gives_the_model_of_the_run(tiny: Path, tmp_path: Path, write_file: WriteFile) -> None:
    out = tmp_path / "out"
    rows = [{**row, "prompt": [{"role": "user", "content": row["prompt"]}],
             "chosen": [{"role": "assistant", "content": row["chosen"]}],
             "rejected": [{"role": "assistant", "content": row["rejected"]}]} for row in ROWS]  # fmt: skip
    train(write_file(rows), model=str(tiny), out=out, lora_rank=4, lr=1e-2, batch_pairs=4, system_prompt="Be brief.")
    assert main(["merge", str(out / "adapter"), "--out", str(tmp_path / "merged")]) == 0
    ours, theirs = stored(tmp_path / "merged"), weights(out)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    templates = [load_tokenizer(str(folder)).chat_template for folder in (tmp_path / "merged", out / "model")]
    assert templates[0] == templates[1]
    assert "Be brief." in str(templates[0])
    assert not (out / "adapter" / "README.md").exists()


def test_a_base_named_by_a_relative_path_is_found_from_elsewhere(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny.parent)
    save_adapter(filled(add_lora(load(f"./{tiny.name}"), 2, seed=0)), tmp_path / "adapter")
    monkeypatch.chdir(tmp_path)
    merge("adapter", out="out")
    assert (tmp_path / "out" / "config.json").is_file()


def refusal(adapter: Path, out: Path) -> str:
    with pytest.raises(RatherError) as caught:
        merge(adapter, out=out)
    assert "\n" not in str(caught.value)
    assert not out.exists()
    return str(caught.value)


def edit(folder: Path, **changes: Any) -> None:
    file = folder / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_what_is_no_adapter(tiny: Path, adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert "has no adapter_config.json; `rather merge` takes a peft adapter in safetensors" in refusal(tiny, out)
    pickled = shutil.copytree(adapter, tmp_path / "pickled")
    torch.save(load_file(pickled / "adapter_model.safetensors"), pickled / "adapter_model.bin")
    (pickled / "adapter_model.safetensors").unlink()
    assert "has no adapter_model.safetensors" in refusal(pickled, out)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        damaged = shutil.copytree(adapter, tmp_path / f"damaged-{name}")
        (damaged / name).write_bytes(b"{")
        assert "is damaged (" in refusal(damaged, out)


def test_a_base_that_is_not_there_or_does_not_fit(adapter: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    edit(adapter, base_model_name_or_path="")
    assert "names no base_model_name_or_path" in refusal(adapter, out)
    edit(adapter, base_model_name_or_path=str(tmp_path / "gone"))
    said = refusal(adapter, out)
    assert f"{tmp_path / 'gone'} does not exist" in said
    assert said.endswith(f"or correct base_model_name_or_path in {adapter / 'adapter_config.json'}")


def test_an_adapter_of_another_shape_or_with_missing_weights(adapter: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "out", adapter / "adapter_model.safetensors"
    whole = load_file(file)
    name = next(iter(whole))
    save_file({key: value for key, value in whole.items() if key != name}, file)
    assert f"does not fit {json.loads((adapter / 'adapter_config.json').read_text())['base_model_name_or_path']}" in (
        said := refusal(adapter, out)
    )
    assert name in said
    save_file({**whole, "base_model.model.model.layers.7.mlp.up_proj.lora_A.weight": torch.ones(4, 32)}, file)
    assert "layers.7.mlp.up_proj.lora_A.weight is in one of them alone (1 such weights)" in refusal(adapter, out)
    save_file(whole, file)
    edit(adapter, r=2)
    assert "does not fit" in refusal(adapter, out)


def test_a_prompt_tuning_has_no_weights_to_go_into(tiny: Path, tmp_path: Path) -> None:
    tuned = get_peft_model(
        AutoModelForCausalLM.from_pretrained(tiny), PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    )
    tuned.save_pretrained(str(tmp_path / "adapter"))
    assert "adapter, which no weights can take up" in refusal(tmp_path / "adapter", tmp_path / "out")


def test_a_folder_that_is_not_free(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    merge(adapter, out=tmp_path / "out")
    with pytest.raises(RunDirError, match="out is there already; choose another --out or remove it"):
        merge(adapter, out=tmp_path / "out")


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "plain"])
def test_a_frozen_base_in_bf16_under_an_adapter_in_fp32(tiny: Path, packed: bool) -> None:
    """What a GPU trains with --dtype bf16: adapter and gradients in fp32, values as those of an fp32 base, to bf16."""
    exact = filled(add_lora(load(str(tiny)), 4, seed=0))
    policy = filled(add_lora(load(str(tiny), dtype=torch.bfloat16), 4, seed=0))
    assert held_in_fp32(exact)
    assert not held_in_fp32(policy)
    for name, parameter in policy.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        assert parameter.dtype == (torch.float32 if "lora_" in name else torch.bfloat16)
    found = {}
    for key, model, dtype in (("exact", exact, torch.float32), ("bf16", policy, torch.bfloat16)):
        logps = completions(model, SAMPLES, dtype=dtype, packed=packed)
        assert logps.logp_C.dtype == torch.float32
        logps.sums().sum().backward()
        slopes = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
        assert slopes.dtype == torch.float32
        found[key] = logps.sums().detach(), slopes
    torch.testing.assert_close(found["bf16"][0], found["exact"][0], rtol=3e-2, atol=0)
    assert torch.nn.functional.cosine_similarity(found["bf16"][1], found["exact"][1], dim=0) > 0.98
    with pytest.raises(ValueError, match="fewer digits"):
        merged(policy)


def test_a_run_on_a_rounded_base_folds_its_adapter_into_the_base_as_it_is_stored(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stored in fp32, held in bf16: the weights of model/ that have no adapter are those of the base, to the last bit."""
    monkeypatch.setattr("rather.training.run.weights_dtype", lambda config, device: torch.bfloat16)
    file, held = write_file(ROWS[:8]), write_file(ROWS[8:], "held.jsonl")
    config: dict[str, Any] = {"lora_rank": 4, "lr": 1e-2, "dtype": "bf16", "batch_pairs": 4, "eval_every": 1}
    out = tmp_path / "out"
    result = train(file, model=str(tiny), out=out, heldout=held, **config)
    ours, before = weights(out), stored(tiny)
    for name, value in ours.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name]) == ("proj" not in name), name
    merge(out / "adapter", out=tmp_path / "merged")
    assert all(torch.equal(value, ours[name]) for name, value in stored(tmp_path / "merged").items())
    assert result.best
    assert stored(result.best).keys() == ours.keys()
    assert not [path for path in out.iterdir() if path.name.startswith(".rather-")]
    with pytest.raises(ModelError):
        load(str(out / "adapter"))


CHAT = [{"prompt": [{"role": "user", "content": row["prompt"]}],
         "chosen": [{"role": "assistant", "content": row["chosen"]}],
         "rejected": [{"role": "assistant", "content": row["rejected"]}]} for row in ROWS]  # fmt: skip


@pytest.mark.parametrize("rounded", [False, True], ids=["fp32", "bf16"])
def test_the_adapter_of_a_reward_model_holds_its_head(
    tiny: Path, tmp_path: Path, write_file: WriteFile, monkeypatch: pytest.MonkeyPatch, rounded: bool
) -> None:
    if rounded:
        monkeypatch.setattr("rather.training.run.weights_dtype", lambda config, device: torch.bfloat16)
    out = tmp_path / "out"
    config: dict[str, Any] = {"objective": "reward", "lora_rank": 4, "lr": 1e-2, "batch_pairs": 4}
    train(write_file(CHAT), model=str(tiny), out=out, dtype="bf16" if rounded else "fp32", **config)
    merge(out / "adapter", out=tmp_path / "merged")
    ours, theirs = stored(tmp_path / "merged"), weights(out)
    assert "score.weight" in ours
    assert {value.dtype for value in theirs.values()} == {torch.float32}
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    fresh = AutoModelForSequenceClassification.from_pretrained(tiny, num_labels=1)
    whole = PeftModel.from_pretrained(fresh, str(out / "adapter")).merge_and_unload().state_dict()  # pyright: ignore
    assert all(torch.equal(value, whole[name]) for name, value in ours.items())
    configs = [json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "merged", out / "model")]
    assert configs[0]["pad_token_id"] == configs[1]["pad_token_id"]


def test_the_adapter_is_one_that_peft_loads(tiny: Path, adapter: Path) -> None:
    ours = filled(add_lora(load(str(tiny)), 4, seed=0))
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(adapter))
    with torch.no_grad():
        torch.testing.assert_close(theirs(TOKENS).logits, ours(TOKENS).logits, rtol=0, atol=0)


@pytest.mark.parametrize("options", [{}, {"loss": "tdpo"}, {"objective": "reward"}], ids=str)
def test_a_run_with_an_adapter_says_nothing_of_any_library(
    tiny: Path, tmp_path: Path, write_file: WriteFile, options: dict[str, Any]
) -> None:
    file, held = write_file(CHAT[:8]), write_file(CHAT[8:], "held.jsonl")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(file, model=str(tiny), out=tmp_path / "out", heldout=held, lora_rank=4, batch_pairs=4, **options)
        merge(tmp_path / "out" / "adapter", out=tmp_path / "merged")
