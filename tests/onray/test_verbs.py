"""Verbs on a Ray cluster of two workers write what one process writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

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


def test_findings_are_the_same(write_file: WriteFile, tmp_path: Path) -> None:
    rows = [
        {
            "prompt": f"Question {number}?",
            "chosen": "yes indeed " * (1 + number % 5),
            "rejected": "no " * (1 + number % 3),
        }
        for number in range(60)
    ]
    file = write_file(rows)
    alone = rather.audit(file, out=tmp_path / "alone")
    spread = rather.audit(file, out=tmp_path / "spread", ray=2)
    assert spread == alone
    assert (tmp_path / "spread" / "audit.json").read_bytes() == (tmp_path / "alone" / "audit.json").read_bytes()


PAIRS: list[Any] = [
    {
        "prompt": [{"role": "user", "content": f"Question {number}?"}],
        "chosen": "yes " * (number % 5 + 1),
        "rejected": "no " * (number % 7 + 1),
    }
    for number in range(11)
]
TRAIN: dict[str, Any] = {
    "dtype": "fp32", "lr": 1e-3, "epochs": 2, "batch_pairs": 4, "save_every": 2, "allow": {"all": "random pairs are few"},
}  # fmt: skip


def largest_difference(a: Path, b: Path) -> float:
    one, two = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    assert one.keys() == two.keys()
    return max(float((one[name] - two[name]).abs().max()) for name in one)


def test_two_ranks_train_the_same_model(
    tiny: Path, write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_file(PAIRS)
    alone = rather.train(file, model=str(tiny), out=tmp_path / "alone", **TRAIN)
    capsys.readouterr()
    spread = rather.train(file, model=str(tiny), out=tmp_path / "spread", ray=2, **TRAIN)
    assert spread.updates == alone.updates == 6
    assert largest_difference(spread.model, alone.model) < 1e-5
    assert "2 ranks" in capsys.readouterr().err  # what rank 0 says is said here
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".rather-ray-")] == []


def test_what_a_rank_raises_is_raised_once_and_not_tried_again(
    write_file: WriteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(rather.RatherError, match="nowhere"):
        rather.train(write_file(PAIRS), model="/nowhere", out=tmp_path / "out", ray=2, **TRAIN)
    assert "started again" not in capsys.readouterr().err


def test_from_questions_to_a_model(tiny: Path, write_file: WriteFile, tmp_path: Path) -> None:
    """Every step on the cluster, and every step in one process: the same files, and the same weights within 1e-5."""
    questions = write_file(QUESTIONS)
    models = []
    for name, more in (("alone", {}), ("spread", {"ray": 2})):
        out = tmp_path / name
        answers = rather.generate(
            questions,
            model=str(tiny),
            out=out / "answers",
            n=4,
            temperature=(1.0,),
            max_new_tokens=12,
            dtype="fp32",
            **more,
        )
        judged = rather.judge(answers.responses, by=["length"], out=out / "judged", **more)
        paired = rather.pair(judged.judgments, out=out / "pairs")
        models.append(rather.train(paired.pairs, model=str(tiny), out=out / "trained", **TRAIN, **more).model)
    for step in ("answers/responses.jsonl", "judged/judgments.jsonl", "pairs/pairs.jsonl"):
        assert (tmp_path / "spread" / step).read_bytes() == (tmp_path / "alone" / step).read_bytes(), step
    assert largest_difference(*models) < 1e-5
