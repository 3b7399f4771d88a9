from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.formats import read_pairs, write_pairs
from rather.records import Message, Single
from tests.conftest import WriteFile
from tests.formats.test_native import TAGS, TEXT, TURNS, reuse_folder

ROW: dict[str, Any] = {"prompt": "Q", "completion": " a", "label": True}

SINGLES = st.builds(
    Single,
    prompt=TURNS.map(tuple),
    completion=TEXT,
    label=st.booleans(),
    weight=st.none() | st.floats(1e-9, 1e9),
    tags=TAGS,
)


@reuse_folder
@given(written=st.lists(SINGLES, min_size=1, max_size=4), name=st.sampled_from(["one.jsonl", "one.parquet"]))
def test_written_and_read_is_the_same(tmp_path: Path, written: list[Single], name: str):
    write_pairs(tmp_path / name, written)
    reading = read_pairs(tmp_path / name)
    assert (reading.format, reading.refused, reading.unread_columns) == ("unpaired", [], {})
    assert [record.model_copy(update={"source": None}) for record in reading.records] == written
    assert [record.id for record in reading.records] == [record.id for record in written]


def test_trls_conversational_row(write_file: WriteFile):
    row = {
        "prompt": [{"role": "user", "content": "Q"}],
        "completion": [{"role": "assistant", "content": "a"}],
        "label": False,
    }
    (record,) = read_pairs(write_file([row])).records
    assert record == Single(
        prompt=(Message(role="user", content="Q"),), completion="a", label=False, source=record.source
    )
    (same,) = read_pairs(write_file([{**row, "prompt": "Q"}])).records
    assert same == record


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": 1}, "\"label\" is '1'; it must be true for a good answer or false for a bad one"),
        ({"label": "yes"}, "\"label\" is 'yes'; it must be true"),
        ({"label": None}, "\"label\" is 'None'; it must be true"),
        ({"completion": None}, '"completion" is null'),
        ({"completion": " "}, '"completion" is empty'),
        ({"probability": 0.7}, 'has a "probability", which only a pair has; remove it'),
        ({"weight": -1}, '"weight" must be above 0; to leave a row out, remove it'),
    ],
)
def test_a_row_that_cannot_be_used_says_why(write_file: WriteFile, change: dict[str, Any], said: str):
    (refusal,) = read_pairs(write_file([ROW, {**ROW, **change}])).refused
    assert refusal.reason.startswith(said)


def test_an_answer_without_a_label_is_no_example(write_file: WriteFile):
    reading = read_pairs(write_file([{"prompt": "Q", "completion": "a"}]))
    assert [refusal.reason for refusal in reading.refused] == ['has no "label"']


ASKED, SAID = {"role": "user", "content": "Q"}, {"role": "assistant", "content": "a"}


def test_a_whole_conversation_with_a_label_is_the_same_example(write_file: WriteFile):
    turns = {"messages": [ASKED, SAID, ASKED, SAID], "label": False, "weight": 2.0, "tags": {"k": "v"}}
    reading = read_pairs(write_file([turns]))
    (record,) = reading.records
    (same,) = read_pairs(write_file([{**turns, "prompt": [ASKED, SAID, ASKED], "completion": [SAID]}])).records
    assert (reading.format, reading.unread_columns) == ("kto", {})
    assert record.id == same.id


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"label": "good"}, "\"label\" is 'good'; it must be true for a good answer or false for a bad one"),
        (
            {"messages": [ASKED]},
            "must end with an assistant turn behind a question: that is the answer which the label is of",
        ),
        ({"messages": [ASKED, SAID, ASKED]}, "must end with an assistant turn behind a question"),
        ({"probability": 0.7}, 'has a "probability", which only a pair has; remove it'),
    ],
)
def test_a_whole_conversation_that_cannot_be_used_says_why(write_file: WriteFile, change: dict[str, Any], said: str):
    good = {"messages": [ASKED, SAID], "label": True}
    (refusal,) = read_pairs(write_file([good, {**good, **change}])).refused
    assert refusal.reason.startswith(said)


def test_good_and_bad_of_one_answer_have_different_ids():
    good, bad = (Single(prompt="Q", completion="a", label=label) for label in (True, False))
    assert good.id != bad.id
    assert good.same_question == bad.same_question
