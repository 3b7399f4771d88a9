"""Is a judge of the family of those it judges?"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rather.judging.family import families, kinship, warn_of_kinship


@pytest.mark.parametrize(
    ("judge", "writer", "reason"),
    [
        ("gpt-4o", "gpt-4o", "the same model"),
        ("gpt-4o", "openai/gpt-3.5-turbo", "gpt family"),
        ("Qwen/Qwen3-8B", "qwen2.5-7b-instruct", "qwen family"),
        ("gpt-4o", "claude-3-opus", None),
        ("phi-3", "philosopher", None),
        ("judge", "unknown-model", None),
        ("smollm2-135m-instruct", "/models/HuggingFaceTB/SmolLM2-1.7B", "smollm family"),
    ],
)
def test_by_name(judge: str, writer: str, reason: str | None) -> None:
    found = kinship(judge, writer, local=False)
    assert (found is None) == (reason is None)
    assert reason is None or (found and reason in found)


def test_a_folder_far_up_says_nothing() -> None:
    assert families("/home/llama/work/mistral-7b") == {"mistral"}


def test_by_what_the_configs_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shape = {"model_type": "llama", "vocab_size": 10, "hidden_size": 4, "num_hidden_layers": 2}
    for name, config in (("base", shape), ("tuned", shape), ("other", {**shape, "vocab_size": 11})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    base, tuned, other = (str(tmp_path / name) for name in ("base", "tuned", "other"))
    assert kinship(base, tuned, local=True) == "their configs are of one model family"
    assert kinship(base, f"{base}/", local=True) == "it is the same model"
    assert kinship(base, other, local=True) is None
    assert warn_of_kinship(base, [tuned, other, base], local=True) == [base, tuned]
    assert f"warning: {base} judges answers of {base} (and 1 more): it is the same model" in capsys.readouterr().err
