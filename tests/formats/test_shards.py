"""Several files by a glob, as questions, as responses and as judgments: one after the other, in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import rather
from rather.errors import InputError
from rather.formats import Refusal
from rather.formats.questions import iter_questions
from rather.formats.responses import iter_with_columns

ROWS: list[dict[str, Any]] = [
    {"prompt": f"Question {number}?", "response": "word " * (1 + place), "model": f"m{place}"}
    for number in range(4)
    for place in range(2)
]


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Two shards of Parquet, as one pattern."""
    for number in (0, 1):
        pq.write_table(pa.Table.from_pylist(ROWS[4 * number : 4 * number + 4]), tmp_path / f"part-{number}.parquet")
    return f"{tmp_path}/part-*.parquet"


def test_questions_of_shards(shards: str) -> None:
    found = [item for item in iter_questions(shards) if not isinstance(item, Refusal)]
    assert [question.prompt for _, question in found] == [row["prompt"] for row in ROWS]
    assert [Path(place).name for place, _ in found] == [
        f"part-{n}.parquet:{line}" for n in (0, 1) for line in range(1, 5)
    ]


def test_responses_of_shards(shards: str) -> None:
    found = [item[0] for item in iter_with_columns(shards) if not isinstance(item, Refusal)]
    assert [response.text for response in found] == [row["response"] for row in ROWS]


def test_shards_are_judged_and_paired_as_one_file(shards: str, tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "whole.parquet")
    by_shards = rather.judge(shards, by=["length"], out=tmp_path / "shards")
    whole = rather.judge(tmp_path / "whole.parquet", by=["length"], out=tmp_path / "whole")
    assert by_shards.judgments.read_bytes() == whole.judgments.read_bytes()
    lines = whole.judgments.read_text().splitlines(keepends=True)
    for number in (0, 1):
        (tmp_path / f"judged-{number}.jsonl").write_text("".join(lines[4 * number : 4 * number + 4]))
    split = rather.pair([f"{tmp_path}/judged-*.jsonl"], out=tmp_path / "pairs")
    one = rather.pair([whole.judgments], out=tmp_path / "pairs of one")
    assert split.pairs.read_bytes() == one.pairs.read_bytes()


def test_a_pattern_that_no_file_matches(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches this pattern"):
        list(iter_questions(f"{tmp_path}/none-*.jsonl"))
