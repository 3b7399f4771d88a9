"""The broken file of a model folder, found and named."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rather.model.damage import INDEX, broken_file


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny, tmp_path / "copy")


def test_nothing_is_wrong_with_a_whole_folder(copy: Path) -> None:
    (copy / "modules.json").write_text("[]")  # of another library, and none of ours to judge
    assert broken_file(copy) is None


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("config.json", b" ", "config.json is empty"),
        ("config.json", b"\xff\xfe", "config.json is not UTF-8"),
        ("config.json", b'{"a": 1,}', "config.json is not JSON ("),
        ("config.json", b"[" * 200_000, "config.json is not JSON"),
        ("tokenizer_config.json", b"3", "tokenizer_config.json is not a JSON object"),
        ("chat_template.jinja", b"\xff", "chat_template.jinja is not UTF-8"),
        ("model.safetensors", b"", "model.safetensors is empty"),
        ("model.safetensors", b"no tensors at all", "model.safetensors is not safetensors ("),
        (INDEX, b"{}", f'{INDEX} has no "weight_map"'),
    ],
)
def test_the_broken_file_is_named(copy: Path, name: str, content: bytes, said: str) -> None:
    (copy / name).write_bytes(content)
    assert (broken_file(copy) or "").startswith(said)


@pytest.mark.parametrize("left", [4, 100, -1])
def test_weights_that_were_cut_off(copy: Path, left: int) -> None:
    weights = copy / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:left])
    said = broken_file(copy)
    if left == -1:
        assert said == f"model.safetensors is cut off: {len(whole) - 1:,} of {len(whole):,} bytes are there"
    else:
        assert (said or "").startswith("model.safetensors is not safetensors (")


def test_a_shard_that_is_missing(copy: Path) -> None:
    first, second = (f"model-0000{number}-of-00002.safetensors" for number in (1, 2))
    (copy / "model.safetensors").rename(copy / first)
    (copy / INDEX).write_text(json.dumps({"weight_map": {"a": first, "b": second}}))
    assert broken_file(copy) == f"{second}, which {INDEX} names, is missing"
