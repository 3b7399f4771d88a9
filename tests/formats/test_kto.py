from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rather.formats import convert, read_pairs
from rather.records import Message, Single
from tests.conftest import WriteFile

TURNS = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "a"}]
SPOKEN = [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "a"}]


@pytest.mark.parametrize(
    ("row", "system"),
    [
        ({"messages": TURNS, "label": False}, False),
        ({"conversations": SPOKEN, "label": False}, False),
        ({"conversations": SPOKEN, "system": "", "label": False}, False),
        ({"messages": TURNS, "system": "Be brief.", "label": False}, True),
        ({"conversations": [{"from": "system", "value": "Be brief."}, *SPOKEN], "label": False}, True),
    ],
)
def test_the_last_turn_is_the_answer_that_the_label_is_of(write_file: WriteFile, row: dict[str, Any], system: bool):
    reading = read_pairs(write_file([row]))
    (record,) = reading.records
    turns = (Message(role="system", content="Be brief."),) * system + (Message(role="user", content="Q"),)
    assert record == Single(prompt=turns, completion="a", label=False, source=record.source)
    assert (reading.format, reading.unread_columns) == ("kto", {})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"label": 1}, "\"label\" is '1'; it must be true for a good answer or false for a bad one"),
        ({"messages": TURNS[:1]}, "must end with an assistant turn behind a question"),
        ({"messages": TURNS[1:]}, "must end with an assistant turn behind a question"),
        ({"messages": []}, '"messages" is empty'),
        ({"messages": "Q"}, '"messages" is a string; it must be text or a list of turns'),
        ({"messages": None}, 'has neither "messages" nor "conversations"'),
        ({"messages": [*TURNS[:1], {"role": "assistant", "content": " "}]}, '"completion" is empty'),
    ],
)
def test_a_row_that_cannot_be_used_says_why(write_file: WriteFile, change: dict[str, Any], reason: str):
    (refusal,) = read_pairs(
        write_file([{"messages": TURNS, "label": True}, {"messages": TURNS, "label": True, **change}])
    ).refused
    assert refusal.place.endswith(":2")
    assert refusal.reason.startswith(reason)


def test_the_published_file_is_read_whole_and_written_as_trl_has_it(shared_data: Callable[[str], Path], tmp_path: Path):
    reading = read_pairs(shared_data("kto_en_demo.json"))
    assert (len(reading.records), reading.refused, reading.unread_columns) == (300, [], {})
    labels = Counter(record.label for record in reading.records if isinstance(record, Single))
    assert labels == {True: 150, False: 150}
    convert(shared_data("kto_en_demo.json"), tmp_path / "trl.parquet", to="trl-unpaired")
    again = read_pairs(tmp_path / "trl.parquet")
    assert again.format == "unpaired"
    assert [record.id for record in again.records] == [record.id for record in reading.records]
