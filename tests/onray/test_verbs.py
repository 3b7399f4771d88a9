"""Verbs on a Ray cluster of two workers write what one process writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rather
from rather.rundir import read_manifest
from tests.conftest import WriteFile

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    """One for all of them: a user's own, which the verbs find and leave as it is."""
    from rather.onray.cluster import Wanted, connected

    with connected(Wanted(2)):
        yield


QUESTIONS: list[Any] = [{"prompt": [{"role": "user", "content": f"Say {number} words."}]} for number in range(12)]
ANSWERS: list[Any] = [
    {"prompt": f"Question {number}?", "response": f"answer {place} " + "word " * ((7 * number + 13 * place) % 23)}
    for number in range(50)
    for place in range(3)
]


def test_generated_answers_are_the_same(tiny: Path, write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file(QUESTIONS)
    given = {"model": str(tiny), "n": 3, "temperature": (0, 1.0), "max_new_tokens": 12, "dtype": "fp32"}
    alone = rather.generate(file, out=tmp_path / "alone", **given)
    spread = rather.generate(file, out=tmp_path / "spread", ray=2, **given)
    assert spread.responses.read_bytes() == alone.responses.read_bytes()
    assert {**spread.figures, "seconds_of_last_run": 0, "peak_memory_gb": 0} == {
        **alone.figures, "seconds_of_last_run": 0, "peak_memory_gb": 0,
    }  # fmt: skip
    assert read_manifest(tmp_path / "spread")["config"] == read_manifest(tmp_path / "alone")["config"]


@pytest.mark.parametrize("by", [["length", "refusal"], ["function:tests.onray.test_verbs:politeness"]])
def test_judgments_by_metrics_and_functions_are_the_same(by: list[str], write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file(ANSWERS)
    alone = rather.judge(file, by=by, out=tmp_path / "alone")
    spread = rather.judge(file, by=by, out=tmp_path / "spread", ray=2)
    assert spread.judgments.read_bytes() == alone.judgments.read_bytes()
    assert spread.counts == alone.counts


def politeness(prompts: list[str], completions: list[str], **columns: Any) -> list[float | None]:
    return [None if len(text) % 11 == 0 else float(len(text)) for text in completions]


@pytest.mark.parametrize("kind", ["pairwise", "rubric", "listwise"])
def test_judgments_by_models_are_the_same(kind: str, tiny: Path, write_file: WriteFile, tmp_path: Path) -> None:
    file = write_file([{**row, "prompt": [{"role": "user", "content": row["prompt"]}]} for row in ANSWERS[:60]])
    given: dict[str, Any] = {"by": [f"{kind}:{tiny}"]} | ({"max_unparsable": 1.0} if kind == "listwise" else {})
    if kind == "listwise":
        given["judge_tokens"] = 8
    outcomes = []
    for name, more in (("alone", {}), ("spread", {"ray": 2})):
        try:
            outcomes.append(rather.judge(file, out=tmp_path / name, **given, **more).judgments.read_bytes())
        except rather.RatherError as error:  # a tiny model orders nothing: on a cluster it says so, too
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
