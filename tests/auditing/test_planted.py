"""Defects are found where they are planted, and nothing where none is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.planted import DEFECTS, clean, found, sound, suite
from rather.auditing import CHECKS, AuditInput


@pytest.mark.parametrize("name", DEFECTS)
def test_strong_defects_are_found(name: str, shared_data: Callable[[str], Path]) -> None:
    pairs = sound(shared_data("hh_helpful_test.jsonl.gz"))
    assert found(DEFECTS[name], clean(pairs, 1, 400), 2, 1)


def test_clean_data_are_clean(shared_data: Callable[[str], Path]) -> None:
    given = AuditInput(records=clean(sound(shared_data("hh_helpful_test.jsonl.gz")), 0))
    raised = {
        name: finding.message for name, check in CHECKS.items() for finding in check(given) if finding.verdict != "pass"
    }
    assert raised == {}


def test_a_killed_suite_goes_on_and_takes_nothing_of_other_code(
    shared_data: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part, asked = tmp_path / "part", {"seeds": 2, "clean_seeds": 0, "only": ["identical sides"], "count": 100}
    path = shared_data("hh_helpful_test.jsonl.gz")
    whole = suite(path, **asked, part=part)
    kept = json.loads(part.read_text())
    assert kept["counts"] == {"identical sides, weak": 0, "identical sides, medium": 2, "identical sides, strong": 2}
    # As a kill would leave it: of three counts one, and that one not what would come out again.
    part.write_text(json.dumps({"of": kept["of"], "counts": {"identical sides, weak": 1}}))
    assert suite(path, **asked, part=part).found["identical sides"] == {**whole.found["identical sides"], "weak": 0.5}
    monkeypatch.setattr("benchmarks.keeping.code", lambda: "another")
    assert suite(path, **asked, part=part) == whole


@pytest.mark.slow
def test_the_whole_suite_is_within_its_bounds(shared_data: Callable[[str], Path]) -> None:
    table = suite(shared_data("hh_helpful_test.jsonl.gz"), seeds=20, clean_seeds=40)
    assert table.missed == []
    assert len(table.found) >= 30
