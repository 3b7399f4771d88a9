from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import InputError
from rather.formats import load_examples, read_pairs, write_pairs
from rather.records import Message, Pair, RankedList
from tests.conftest import WriteFile
from tests.formats.test_native import TAGS, TEXT, TURNS, reuse_folder

ROW: dict[str, Any] = {"prompt": "Q", "ranked": [" a", " b", " c"]}

LISTS = st.builds(
    RankedList,
    prompt=TURNS.map(tuple),
    ranked=st.lists(TEXT, min_size=2, max_size=5).map(tuple),
    weight=st.none() | st.floats(1e-9, 1e9),
    tags=TAGS,
)


@reuse_folder
@given(written=st.lists(LISTS, min_size=1, max_size=4), name=st.sampled_from(["lists.jsonl", "lists.parquet"]))
def test_written_and_read_is_the_same(tmp_path: Path, written: list[RankedList], name: str):
    write_pairs(tmp_path / name, written)
    reading = read_pairs(tmp_path / name)
    assert (reading.format, reading.refused, reading.unread_columns) == ("ranked", [], {})
    assert [record.model_copy(update={"source": None}) for record in reading.records] == written
    assert [record.id for record in reading.records] == [record.id for record in written]


def test_answers_as_turns_make_the_prompt_one(write_file: WriteFile):
    turns = [[{"role": "assistant", "content": text}] for text in ("a", "b")]
    (record,) = read_pairs(write_file([{"prompt": "Q", "ranked": turns}])).records
    assert record == RankedList(prompt=(Message(role="user", content="Q"),), ranked=("a", "b"), source=record.source)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ranked": [" a"]}, '"ranked" has 1 answer; a ranking needs two or more'),
        ({"ranked": []}, '"ranked" has 0 answers; a ranking needs two or more'),
        ({"ranked": " a"}, '"ranked" is a string; it must be a list of answers, best first'),
        ({"ranked": [" a", None]}, '"ranked 2" is null'),
        ({"ranked": [" a", " "]}, '"ranked.1" is empty'),
        ({"prompt": None}, '"prompt" is null'),
        ({"weight": 0}, '"weight" must be above 0; to leave a row out, remove it'),
        ({"margin": 1.0}, 'has a "margin", which only a pair has; remove it'),
        ({"tags": "x"}, '"tags" is a string, not an object'),
        ({"id": "x"}, '"id" is x, but the content has '),
    ],
)
def test_a_row_that_cannot_be_used_says_why(write_file: WriteFile, change: dict[str, Any], said: str):
    (refusal,) = read_pairs(write_file([ROW, {**ROW, **change}])).refused
    assert refusal.reason.startswith(said)


def test_a_pair_among_lists_is_refused_and_lists_are_no_pairs(write_file: WriteFile):
    file = write_file([ROW, {"prompt": "Q", "chosen": "a", "rejected": "b"}])
    reading = read_pairs(file)
    assert [refusal.reason for refusal in reading.refused] == ['has no "ranked"']
    with pytest.raises(InputError, match='holds ranked lists; here pairs are needed, with "chosen" and "rejected"'):
        _ = reading.pairs


def test_records_of_two_kinds_are_refused():
    both = [Pair(prompt="Q", chosen="a", rejected="b"), RankedList(prompt="Q", ranked=("a", "b"))]
    with pytest.raises(InputError, match="pairs and ranked lists stand beside each other; give one kind at a time"):
        load_examples(both)


def test_the_row_that_is_written(tmp_path: Path):
    record = RankedList(prompt="Q", ranked=(" a", " b"), weight=2.0)
    write_pairs(tmp_path / "lists.jsonl", [record])
    assert json.loads((tmp_path / "lists.jsonl").read_text()) == {
        "id": record.id, "prompt": "Q", "ranked": [" a", " b"], "weight": 2.0, "tags": {},
    }  # fmt: skip
