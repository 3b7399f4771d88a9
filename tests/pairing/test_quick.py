"""Rows taken without a record are the rows that a record would take, and say the same."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import RowError
from rather.formats import iter_judgments, judged, ratings
from rather.pairing import quick
from rather.pairing.ledger import Ledger
from rather.records import Comparison, Rating

TURNS = [{"role": "user", "content": "为什么？"}]
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "prompt": st.sampled_from(["Why?", "", "  ", "a\x00b", "\ud800", TURNS, [], [{"role": "assistant", "content": "x"}],
                               [{"role": []}], [{"role": "user", "content": ""}, {"role": "user", "content": "y"}], None, 3]),
    "answers": st.sampled_from([["x"], ["x", "y"], ["x", "x"], [], "x", ["x", None], ["", "y"], ["x", "y", "z"], None]),
    "judge": st.sampled_from(["anna", "", "\t", None, 7]),
    "models": st.sampled_from([["m"], ["m", None], ["m", "n"], [], "m", None, [""]]),
    "by": st.sampled_from(["person", "model", "metric", "nobody", None, []]),
    "aspect": st.sampled_from(["style", "", None]),
    "at": st.sampled_from([1.5, 7, float("nan"), "now", True, None, 10**400]),
    "tags": st.sampled_from([{}, {"kind": "x"}, {"order": "unknown"}, {"order": "both"}, {"kind": None}, {"": "x"},
                             {"kind": 3}, None, []]),
    "score": st.sampled_from([3, 3.5, True, float("inf"), "3", None, 10**400]),
    "scale": st.sampled_from([[1, 5], [5, 1], [1], [1, None], "1-5", None, [1.0, 3.0]]),
    "verdict": st.sampled_from(["a", "b", "tie", "both_bad", "c", None, []]),
    "confidence": st.sampled_from([0.5, 2, None]),
    "other": st.just(1),
}  # fmt: skip
ORDINARY = {"prompt": "Why?", "judge": "anna"}


@st.composite
def rows(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {**ORDINARY, "answers": ["x"], "score": 4, "scale": [1, 5]}
    if draw(st.booleans()):
        row = {**ORDINARY, "answers": ["x", "y"], "verdict": "a"}
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=3, unique=True)):
        row[name] = draw(FIELDS[name])
    for name in draw(st.lists(st.sampled_from(sorted(row)), max_size=1)):
        del row[name]
    return row


def columns(ledger: Ledger) -> list[Any]:
    texts = [ledger.texts[number] for number in range(len(ledger.texts))]
    said = [column.tolist() for table in (ledger.compared, ledger.rated) for column in table]
    names = ledger.judges.names, ledger.models.names, ledger.scales.names, ledger.aspects.names
    return [texts, said, names, ledger.tags, ledger.answer_models.tolist(), ledger.shared, ledger.kinds]


@given(rows())
def test_the_quick_way_and_the_long_way_agree(tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        missing = [name for name in judged.REQUIRED if row.get(name) is None]
        record = None if missing else judged.parse(dict(row))[0]
    except RowError:
        record = None
    with Ledger(folder) as short, Ledger(folder) as long:
        if quick.native(short, row):
            assert record is not None
            long.add(record)
            assert columns(short) == columns(long)
        else:
            assert columns(short) == columns(long)  # nothing was taken


TABLE: dict[str, st.SearchStrategy[Any]] = {
    "prompt": FIELDS["prompt"],
    "response": st.sampled_from(["x", "", " ", "a\x00b", "\ud800", None, 3, ["x"]]),
    "score": st.sampled_from([3, 3.5, "4", " 4.5 ", "1e1", "four", "nan", "", True, float("inf"), None, 10**400, 2**60 + 1]),
    "rater": st.sampled_from(["anna", 7, "", "  ", None, True, 1.5, []]),
    "aspect": st.sampled_from(["style", "", None, 3]),
    "model": st.sampled_from(["m", "", None, 3]),
    "low": st.sampled_from([1, "1", 5, "low", None, True]),
    "high": st.sampled_from([5, "5", 1, None, float("nan")]),
    "time": st.sampled_from([7, "7.5", "2024-05-01", "now", None, True, 1e12]),
    "notes": st.just("nobody reads this"),
}  # fmt: skip


@st.composite
def table_rows(draw: st.DrawFn) -> dict[str, Any]:
    row: dict[str, Any] = {"prompt": "Why?", "response": "x", "score": draw(st.sampled_from(["4", 4]))}
    if draw(st.booleans()):
        row |= {"rater": "anna", "low": "1", "high": "5"}
    for name in draw(st.lists(st.sampled_from(sorted(TABLE)), max_size=3, unique=True)):
        row[name] = draw(TABLE[name])
    return row


@given(table_rows())
def test_the_quick_way_and_the_long_way_agree_on_tables(
    tmp_path_factory: pytest.TempPathFactory, row: dict[str, Any]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        record = ratings.parse(dict(row))[0]
    except RowError:
        record = None
    with Ledger(folder) as short, Ledger(folder) as long:
        if quick.rating(short, row):
            assert record is not None
            long.add(record)
        assert columns(short) == columns(long)


def test_an_ordinary_table_makes_no_records(tmp_path: Path) -> None:
    table = tmp_path / "ratings.csv"
    table.write_text('prompt,response,score,rater,notes\n"Why, then?",It scatters.,4,anna,\nWhy?,Magic.,2,,x\n')
    with Ledger(tmp_path) as ledger:
        stream = iter_judgments(table, quick={"ratings": partial(quick.rating, ledger)})
        assert list(stream) == []
        assert ledger.kinds == {"rating": 2}
        assert ledger.judges.names == ["anna", "ratings"]
        assert stream.unread_columns == {"notes": 2}  # a column that nothing reads is told all the same


@pytest.mark.parametrize(
    "record",
    [
        Rating(prompt="Why?", answers=("x",), judge="anna", score=4, scale=(1, 5), tags={"kind": "é"}, at=3.0),
        Rating(prompt="Why?", answers=("x",), judge="anna", score=4, aspect="style", models=("m",), by="model"),
        Comparison(prompt="Why?", answers=("x", "y"), judge="anna", verdict="both_bad", models=("m", "n")),
    ],
)
def test_what_rather_writes_is_ordinary(tmp_path: Path, record: Rating | Comparison) -> None:
    row = judged.write(record)
    with Ledger(tmp_path) as ledger:
        assert quick.native(ledger, row)
        assert not quick.native(ledger, {**row, "id": "0" * 16})  # for the long way, which refuses it
        assert not quick.native(ledger, {**row, "judge": "ben"})
    with pytest.raises(RowError, match="the row was edited"):
        judged.parse({**row, "judge": "ben"})
