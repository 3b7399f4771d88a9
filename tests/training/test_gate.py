"""The gate: a poisoned copy of real data is refused, and trained only by a reason that stays with the run and the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import rather
from rather.auditing.fixing import log_of
from rather.cli import main
from rather.errors import ConfigError, InputError, RatherError, RunDirError
from rather.formats import read_pairs, write_pairs
from rather.records import Pair
from rather.training import prepare
from tests.conftest import WriteFile

CONSTANT = "I am sorry, but I am not able to help you with that."


@pytest.fixture
def helpful(shared_data: Callable[[str], Path]) -> list[Pair]:
    """Forty short pairs of HH helpful, each of another prompt."""
    read = read_pairs(shared_data("hh_helpful_test.jsonl.gz")).records
    pairs = {pair.prompt: pair for pair in read if isinstance(pair, Pair) and len(str(pair.prompt)) < 400}
    return [pair.model_copy(update={"source": None}) for pair in list(pairs.values())[:40]]


def poisoned(pairs: list[Pair], kind: str) -> list[Pair]:
    """The defect planted: one answer that wins everywhere, or a side that repeats the other."""
    if kind == "constant_answer":
        return [pair.model_copy(update={"chosen": CONSTANT}) for pair in pairs]
    return [pair.model_copy(update={"rejected": pair.chosen}) for pair in pairs[:10]] + pairs[10:]


@pytest.mark.parametrize("check", ["constant_answer", "identical_sides"])
def test_a_poisoned_copy_is_refused_and_passes_with_a_reason(
    check: str, helpful: list[Pair], tiny: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "poisoned.jsonl", tmp_path / "out"
    write_pairs(file, poisoned(helpful, check))
    command = ["train", str(file), "--model", str(tiny), "--out", str(out), "--limit", "24", "--batch-pairs", "12"]
    assert main(command) == 2
    said = capfd.readouterr()
    (line,) = [line for line in said.err.splitlines() if line.startswith("rather: ")]
    assert line.startswith(f"rather: audit: {check}: ")
    assert f'or pass --allow {check}="reason"' in line
    assert not out.exists()

    assert main([*command, "--allow", f"{check}=to <b>show</b> the gate"]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["audit"]["allowed"] == {check: "to <b>show</b> the gate"}
    assert check in manifest["audit"]["stop"]
    card = (out / "model" / "README.md").read_text(encoding="utf-8")
    assert f"data hash `{manifest['inputs']['pairs']}`" in card
    assert f"- stop: `{check}`: " in card
    assert "  - let pass: to &lt;b&gt;show&lt;/b&gt; the gate" in card
    page = rather.report(out).read_text(encoding="utf-8")
    assert "to &lt;b&gt;show&lt;/b&gt; the gate" in page
    assert manifest["inputs"]["pairs"] in page


def test_the_same_pairs_unspoilt_are_trained_on(helpful: list[Pair], tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rather.train(helpful[:8], model=str(tiny), out=out, batch_pairs=8, epochs=1)
    assert json.loads((out / "manifest.json").read_text())["audit"]["stop"] == []


def test_a_large_set_is_audited_by_a_named_sample(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prepare, "AUDITED", 20)
    pairs = [Pair(prompt=f"Question {n}?", chosen=f" It is {n}.", rejected=f" Ask {n + 9} others!") for n in range(60)]
    out = tmp_path / "out"
    rather.train(pairs, model=str(tiny), out=out, batch_pairs=60, epochs=1)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("audit: looked at ")]
    assert "audit: looked at 20 of 60 pairs, whole prompts drawn by chance" in line
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["pairs"] == 60
    assert f"audit: {manifest['audit']['sample']}" == line


ROWS: list[dict[str, Any]] = [
    {"prompt": f"Question {n}?", "chosen": f" It is {n}.", "rejected": f" Ask {n + 9} others!"} for n in range(12)
]


def test_audit_looks_at_what_is_held_out(write_file: WriteFile, tmp_path: Path) -> None:
    file, held = write_file(ROWS), write_file(ROWS[:3], "held.jsonl")
    result = rather.audit(file, heldout=held, out=tmp_path / "out")
    (leak,) = [finding for finding in result.findings if finding.check == "leakage"]
    assert (leak.verdict, leak.count, leak.total) == ("stop", 3, 3)
    assert set(json.loads((tmp_path / "out" / "manifest.json").read_text())["inputs"]) == {"pairs", "heldout"}
    assert not [finding for finding in rather.audit(file).findings if finding.check == "leakage"]


def test_audit_with_a_model_ranks_by_ches(tiny: Path, write_file: WriteFile) -> None:
    result = rather.audit(write_file(ROWS), model=str(tiny), ches=4)
    (found,) = [finding for finding in result.findings if "CHES" in finding.message]
    assert (found.check, found.total, len(found.examples)) == ("displacement_risk", 4, 4)


@pytest.fixture(scope="module")
def lesson(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was taught to say yes, by labels of which the first three say no."""
    out = tmp_path_factory.mktemp("lesson") / "run"
    rather.train(
        labels(wrong=3), model=str(tiny), out=out, batch_pairs=10, epochs=4, lr=3e-3, allow={"all": "a lesson"}
    )
    return out


def labels(wrong: int, total: int = 60) -> list[Pair]:
    pairs = [Pair(prompt=f"Question {n}?", chosen=" yes", rejected=" no", source=f"p:{n}") for n in range(total)]
    return [pair.swapped() if n < wrong else pair for n, pair in enumerate(pairs)]


def mislabels(**options: Any) -> Any:
    (finding,) = [found for found in rather.audit(**options).findings if found.check == "likely_mislabels"]
    return finding


def test_a_trained_run_says_which_labels_it_doubts(lesson: Path) -> None:
    finding = mislabels(pairs=labels(wrong=3), trained=lesson)
    assert {row["place"] for row in finding.evidence["ask_again"]} == {"p:0", "p:1", "p:2"}
    assert all(row["margin"] < 0 for row in finding.evidence["ask_again"])
    assert "(it was trained on these labels" in finding.message
    # Margins of others than it was trained on, and the other way round: everything is doubted.
    other = mislabels(pairs=labels(wrong=60), trained=lesson)
    assert "trained on these labels" not in other.message
    assert other.evidence["margin_agrees"] == 0.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trained": "RUN", "model": "other"}, "--model does nothing beside --trained"),
        ({"trained": "RUN", "max_length": 9}, "--max-length does nothing beside --trained"),
        ({"trained": "AUDIT"}, "is a folder of `rather audit`; name one of `rather train`"),
        ({"trained": "nowhere"}, "nowhere has no manifest.json"),
    ],
)
def test_a_run_that_has_no_margins(
    options: dict[str, Any], said: str, lesson: Path, write_file: WriteFile, tmp_path: Path
) -> None:
    rather.audit(write_file(ROWS), out=tmp_path / "audited")
    named = {"RUN": lesson, "AUDIT": tmp_path / "audited"}
    with pytest.raises(RatherError, match=re.escape(said)):
        rather.audit(labels(0), **{name: named.get(value, value) for name, value in options.items()})


def test_fix_writes_a_copy_and_its_log(
    write_file: WriteFile, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file, out = write_file([*ROWS, ROWS[0]]), tmp_path / "clean.jsonl"
    assert main(["audit", str(file), "--fix", str(out), "--fix-with", "drop-duplicates,balance-drop"]) == 0
    assert "fix: drop-duplicates: 1 dropped, 0 changed" in capfd.readouterr().err
    assert {json.loads(line)["operation"] for line in log_of(out).read_text().splitlines()} >= {"drop-duplicates"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ches": 3}, "--ches does nothing without --model"),
        ({"fix_with": ("merge",)}, "--fix-with does nothing without --fix"),
        ({"fix": "clean.csv"}, "--fix clean.csv: is written as JSON lines; name a .jsonl file"),
    ],
)
def test_options_that_cannot_act(options: dict[str, Any], said: str, write_file: WriteFile) -> None:
    with pytest.raises(ConfigError) as caught:
        rather.audit(write_file(ROWS), **options)
    assert str(caught.value) == said


def test_the_input_is_never_overwritten(write_file: WriteFile) -> None:
    file = write_file(ROWS)
    with pytest.raises(ConfigError, match="is the input itself"):
        rather.audit(file, fix=file)


def test_a_broken_row_of_what_is_held_out_is_said(write_file: WriteFile) -> None:
    file, held = write_file(ROWS), write_file("not json\n", "held.jsonl")
    with pytest.raises(InputError, match=r"held.jsonl:1: is not JSON"):
        rather.audit(file, heldout=held)
    with pytest.raises(InputError, match=r"held.jsonl: no usable pair in 1 row"):
        rather.audit(file, heldout=held, skip_bad=True)


def test_judgments_of_other_questions_are_no_evidence(write_file: WriteFile) -> None:
    vote = {"prompt": "q", "answers": ["a", "b"], "judge": "j", "by": "person", "verdict": "a"}
    file, votes = write_file(ROWS), write_file([vote, {**vote, "prompt": "p"}], "votes.jsonl")
    with pytest.raises(InputError, match="of 2 prompts that were judged, none is a prompt of the pairs"):
        rather.audit(file, judgments=votes)
    own = write_file([vote, {**vote, "prompt": ROWS[0]["prompt"]}], "own.jsonl")
    assert rather.audit(file, judgments=own).judgments == 2


def test_refused_judgments_are_listed(write_file: WriteFile, tmp_path: Path) -> None:
    vote = {"prompt": "q", "answers": ["a", "b"], "judge": "j", "by": "person", "verdict": "a"}
    votes = write_file([vote, {**vote, "answers": ["a"]}], "votes.jsonl")
    rather.audit(votes, skip_bad=True, out=tmp_path / "out")
    (row,) = [json.loads(line) for line in (tmp_path / "out" / "refused.jsonl").read_text().splitlines()]
    assert row["place"].endswith("votes.jsonl:2")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["rows"], manifest["refused"], manifest["judgments"]) == (2, 1, 1)


def test_fix_overwrites_nothing(write_file: WriteFile, tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    mine.write_text("kept")
    with pytest.raises(RunDirError, match=r"mine.jsonl is there already"):
        rather.audit(write_file(ROWS), fix=mine)
    assert mine.read_text() == "kept"
