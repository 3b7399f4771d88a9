"""Judges of a loop's file as the panel that other steps read."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rather.looping.panel import signed, together, write_panel

TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(TEXT.filter(bool), VALUES, min_size=1, max_size=4), min_size=1, max_size=3))
def test_what_is_written_is_read_again(tmp_path: Path, entries: list[dict[str, object]]) -> None:
    path = write_panel(tmp_path / "panel.toml", entries)
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {"judges": entries}


def test_a_panel_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = write_panel(tmp_path / "panel.toml", [{"by": "length"}])
    before = path.stat().st_mtime_ns
    assert write_panel(path, [{"by": "length"}]).stat().st_mtime_ns == before


def test_one_judge_in_two_lists_is_one() -> None:
    length, language = {"by": "length"}, {"by": "language", "name": "speaks"}
    assert together([length], [length, language]) == [length, language]
    assert signed([length, language]) == ["length", "speaks"]


@pytest.mark.parametrize("entries", [[], [{"by": "length"}]])
def test_nothing_is_added(entries: list[dict[str, str]]) -> None:
    assert together(entries, []) == entries
