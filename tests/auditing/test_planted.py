"""Defects are found where they are planted, and nothing where none is."""

from __future__ import annotations

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


@pytest.mark.slow
def test_the_whole_suite_is_within_its_bounds(shared_data: Callable[[str], Path]) -> None:
    table = suite(shared_data("hh_helpful_test.jsonl.gz"), seeds=20, clean_seeds=40)
    assert table.missed == []
    assert len(table.found) >= 30
