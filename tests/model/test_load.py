"""Loading and saving: plain folders in and out, and every folder that is none refused with its cure."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from rather.errors import ConfigError, ModelError
from rather.model import device_said, load, load_tokenizer, model_hash, pick_device, save
from rather.model.load import with_default_system
from tests.tiny import CHATML

USER = {"role": "user", "content": "Hi"}
SYSTEM = {"role": "system", "content": "Own."}


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "copy")


def test_a_round_trip_keeps_every_weight_and_token(tiny: Path, tmp_path: Path) -> None:
    loaded = load(str(tiny))
    save(loaded, tmp_path / "saved")
    again = load(str(tmp_path / "saved"))
    theirs = again.model.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in loaded.model.state_dict().items())
    assert again.tokenizer.chat_template == loaded.tokenizer.chat_template == CHATML
    assert again.tokenizer("Hi <|im_end|>").input_ids == loaded.tokenizer("Hi <|im_end|>").input_ids
    assert again.stop_tokens == loaded.stop_tokens == {loaded.tokenizer.eos_token_id}
    assert (again.window, again.model.training, again.model.dtype) == (2048, False, torch.float32)
    assert not list((tmp_path / "saved").glob("*.bin"))


def test_a_system_prompt_is_left_in_the_template(tiny: Path, tmp_path: Path) -> None:
    prompt = 'You\'re "it".\nSay {{ x }} and {% y %} \\n.'
    save(load(str(tiny)), tmp_path / "saved", system_prompt=prompt)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "saved")
    alone = tokenizer.apply_chat_template([USER], tokenize=False)
    assert alone == f"<|im_start|>system\n{prompt}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    own = tokenizer.apply_chat_template([SYSTEM, USER], tokenize=False)
    assert own == "<|im_start|>system\nOwn.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
    assert load_tokenizer(str(tiny)).chat_template == CHATML, "the model it came from is as it was"


def test_of_several_named_templates_the_default_one_gets_the_system_prompt(tiny: Path, tmp_path: Path) -> None:
    loaded = load(str(tiny))
    template = loaded.tokenizer.chat_template
    loaded.tokenizer.chat_template = {"default": template, "tool_use": "{{ messages }}"}  # pyright: ignore
    save(loaded, tmp_path / "saved", system_prompt="Be brief.")
    text = AutoTokenizer.from_pretrained(tmp_path / "saved").apply_chat_template(
        [{"role": "user", "content": "Hi"}], tokenize=False
    )
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>")


@given(st.text(st.characters(exclude_categories=["Cs"])))
@example("a\rb\r\nc\\n'\"{{ }}{% %}{# #}-%}")
def test_any_text_can_be_a_default_system_prompt(prompt: str) -> None:
    template = "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}"
    rendered = jinja2.Template(with_default_system(template, prompt)).render(messages=[USER])
    assert rendered == f"[system:{prompt}][user:Hi]"


def test_pickled_weights_are_refused(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    (copy / "model.safetensors").unlink()
    torch.save(weights, copy / "pytorch_model.bin")
    with pytest.raises(ModelError, match="only safetensors are loaded; convert the weights first"):
        load(str(copy))


def test_a_model_that_brings_code_is_refused_and_the_code_not_run(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    config |= {"model_type": "homemade", "architectures": ["Homemade"],
               "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Homemade"}}  # fmt: skip
    (copy / "config.json").write_text(json.dumps(config))
    (copy / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Config: ...\nclass Homemade: ...\n")
    with pytest.raises(ModelError, match="models that bring code of their own are not run"):
        load(str(copy))
    assert not (tmp_path / "ran").exists()


def test_an_encoder_decoder_is_refused(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "is_encoder_decoder": True, "model_type": "t5"}))
    with pytest.raises(ModelError, match="is an encoder-decoder; a causal language model is needed"):
        load(str(copy))


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    (tmp_path / "file.gguf").write_text("x")
    (tmp_path / "empty").mkdir()
    for path, message in (
        (tmp_path / "file.gguf", "is a file; --model takes a folder in Hugging Face layout, or a hub id"),
        (tmp_path / "empty", "has no config.json; --model takes a folder"),
        (tmp_path / "absent", "does not exist; --model takes a folder"),
        (tmp_path / "absent" / "deeper", "does not exist; --model takes a folder"),
    ):
        for function in (load, load_tokenizer, model_hash):
            with pytest.raises(ModelError) as caught:
                function(str(path))
            assert str(caught.value).startswith(f"{path} {message}")


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\x00", b""], ids=["half", "bytes", "empty"])
def test_damaged_files_are_one_line(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    with pytest.raises(ModelError) as caught:
        load(str(copy))
    assert str(caught.value).startswith(f"cannot load the model {copy}: ")
    assert "\n" not in str(caught.value)


def _edit(**values: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **values}))

    return edit


def _halved(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            lambda folder: (folder / "config.json").write_text('{"a": '),
            "config.json is not JSON (Expecting value, line 1",
        ),
        (lambda folder: (folder / "tokenizer.json").write_text("{"), "tokenizer.json is not JSON ("),
        (lambda folder: (folder / "tokenizer.json").write_text("[]"), "tokenizer.json is not a JSON object; fetch"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "the tokenizer cannot be used (KeyError 'added"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "it has no tokenizer (tokenizer.json); fetch or copy"),
        (lambda folder: (folder / "generation_config.json").write_text("{"), "generation_config.json is not JSON ("),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            "it has no weights (model.safetensors); fetch or copy",
        ),
        (_halved, "model.safetensors is cut off: "),
        (_edit(hidden_size=64), "model.embed_tokens.weight is [259, 32] in the weights and [259, 64] by config.json"),
        (_edit(hidden_size="x"), "config.json cannot be used (TypeError: Field 'hidden_size' expected int, got str"),
        (
            _edit(model_type="nope", architectures=[]),
            "config.json cannot be used (The checkpoint you are trying to load",
        ),
    ],
)
def test_the_broken_file_is_named_and_not_the_hub(copy: Path, harm: Callable[[Path], None], said: str) -> None:
    harm(copy)
    with pytest.raises(ModelError) as caught:
        load(str(copy))
    assert str(caught.value).startswith(f"cannot load the model {copy}: {said}")
    assert "hub" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_no_model(name: str) -> None:
    with pytest.raises(ModelError, match="the model's name is empty; --model takes a folder"):
        load_tokenizer(name)


def test_an_unreachable_hub_says_why_as_far_as_it_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("Got: ConnectError: \nAdvice.") from ConnectionError("")

    monkeypatch.setattr(sys.modules["rather.model.load"], "snapshot_download", unreachable)
    with pytest.raises(ModelError, match=r"the hub cannot be reached \(ConnectionError\); check the path, or connect"):
        load_tokenizer("org/absent")


def test_a_missing_weight_is_named_and_not_made_up(copy: Path) -> None:
    weights = load_file(copy / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"has no weights for model.layers.1.mlp.up_proj.weight; fetch or copy"):
        load(str(copy))


OFFLINE = """
import sys
from rather.errors import ModelError
from rather.model import load, load_tokenizer, model_hash
name = sys.argv[1]
for function in (load_tokenizer, load, model_hash):
    try:
        print("ok", type(function(name)).__name__)
    except ModelError as error:
        print(error)
"""


def offline(home: Path, name: str) -> list[str]:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    env.pop("HF_HUB_CACHE", None)
    done = subprocess.run([sys.executable, "-c", OFFLINE, name], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_hub_id_without_a_network_fails_fast(tmp_path: Path) -> None:
    began = time.monotonic()
    lines = offline(tmp_path, "org/absent")
    assert time.monotonic() - began < 60
    assert len(lines) == 3
    for line in lines:
        assert line.startswith("cannot load the model org/absent: ")
        assert line.endswith("check the path, or connect to the hub once so that the model is in its local cache")


def test_a_hub_id_in_the_local_cache_needs_no_network(tiny: Path, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--org--tiny"
    shutil.copytree(tiny, repository / "snapshots" / "abc123")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    lines = offline(tmp_path, "org/tiny")
    assert lines[0].startswith("ok ")  # the tokenizer's class is the library's affair
    assert lines[1:] == ["ok Loaded", "ok str"]


def test_the_hash_is_of_what_decides_the_answers(copy: Path, tiny: Path) -> None:
    same = model_hash(str(copy))
    assert same == model_hash(str(tiny))
    (copy / "README.md").write_text("A note.")
    assert model_hash(str(copy)) == same
    weights = load_file(copy / "model.safetensors")
    weights["model.norm.weight"][0] += 1e-3
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    changed = model_hash(str(copy))
    assert changed != same
    (copy / "chat_template.jinja").write_text(CHATML + " ")
    assert model_hash(str(copy)) not in (same, changed)


def devices(monkeypatch: pytest.MonkeyPatch, *, cuda: bool, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(
    ("cuda", "mps", "wanted", "picked"),
    [
        (False, False, None, "cpu"),
        (True, True, None, "cuda"),
        (False, True, None, "mps"),
        (True, True, "mps", "mps"),
        (True, True, "CPU", "cpu"),
        (False, True, "", "mps"),
    ],
)
def test_the_best_device_at_hand_or_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, wanted: str | None, picked: str
) -> None:
    devices(monkeypatch, cuda=cuda, mps=mps)
    if wanted is None:
        monkeypatch.delenv("RATHER_DEVICE", raising=False)
    else:
        monkeypatch.setenv("RATHER_DEVICE", wanted)
    assert pick_device() == picked


@pytest.mark.parametrize(
    ("wanted", "said"),
    [("tpu", "choose cuda, mps, cpu, or leave it unset"), ("mps", "torch finds no such device here")],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, wanted: str, said: str) -> None:
    devices(monkeypatch, cuda=False, mps=False)
    monkeypatch.setenv("RATHER_DEVICE", wanted)
    with pytest.raises(ConfigError, match=f"^RATHER_DEVICE={wanted}: {said}"):
        pick_device()


def test_what_is_said_of_the_device() -> None:
    assert device_said(torch.device("cpu")).startswith(f"device: cpu, {torch.get_num_threads()} threads, ")
    assert device_said(torch.device("mps")) == "device: mps"
