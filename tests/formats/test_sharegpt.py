from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rather.errors import RowError
from rather.formats import read_pairs, sharegpt
from rather.records import Message


def turn(speaker: str, text: Any) -> dict[str, Any]:
    return {"from": speaker, "value": text}


ROW = {
    "conversations": [turn("system", "Be brief."), turn("human", "Hi"), turn("gpt", "Hello!"), turn("human", "Why?")],
    "chosen": turn("gpt", " So. "),
    "rejected": turn("gpt", "Because."),
}


def test_turns_become_a_prompt_and_the_sides_two_answers():
    pair = sharegpt.parse(ROW)
    assert [(message.role, message.content) for message in pair.prompt if isinstance(message, Message)] == [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "Why?"),
    ]
    assert (pair.chosen, pair.rejected) == (" So. ", "Because.")


def test_a_system_column_is_the_system_turn():
    without = {**ROW, "conversations": ROW["conversations"][1:]}
    assert sharegpt.parse({**without, "system": "Be brief."}) == sharegpt.parse(ROW)
    assert sharegpt.parse({**without, "system": ""}) == sharegpt.parse({**without, "system": None})
    assert sharegpt.parse({**ROW, "system": ""}) == sharegpt.parse(ROW)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conversations": "Hi"}, '"conversations" is a string, not a list of turns'),
        ({"conversations": None}, '"conversations" is null, not a list of turns'),
        ({"conversations": []}, '"prompt" is empty'),
        ({"conversations": ["Hi"]}, '"conversations" turn 1 is a string without {"from", "value"}'),
        ({"conversations": [{"role": "user"}]}, '"conversations" turn 1 is an object without {"from", "value"}'),
        (
            {"conversations": [turn("human", "Hi"), turn("observation", "3")]},
            '"conversations" turn 2 is from "observation"; known are human, user, gpt, assistant, system',
        ),
        ({"conversations": [turn("human", 3)]}, '"conversations" turn 1: "content" is 3, not text'),
        (
            {"conversations": [turn("human", "Hi"), turn("gpt", "Ho")]},
            '"prompt" ends with an assistant turn; it must end where the assistant should speak',
        ),
        ({"system": "Other."}, 'has a "system" and a system turn in "conversations"; remove one of them'),
        ({"chosen": "So."}, '"chosen" is a string without {"from", "value"}'),
        ({"rejected": None}, '"rejected" is null without {"from", "value"}'),
        ({"rejected": turn("human", "So.")}, '"rejected" is from "human"; an answer is from "gpt"'),
        ({"rejected": turn("gpt", " ")}, '"rejected" is empty'),
        ({"chosen": {"from": ["gpt"], "value": "a"}}, '"chosen" is from "[\'gpt\']"; known are human'),
    ],
)
def test_a_row_that_cannot_be_used_says_why(change: dict[str, Any], said: str):
    with pytest.raises(RowError) as caught:
        sharegpt.parse({**ROW, **change})
    assert caught.value.reason.startswith(said)


@pytest.mark.parametrize(("name", "longest", "system"), [("dpo_en_demo.json", 13, 80), ("dpo_zh_demo.json", 2, 64)])
def test_published_files_are_read_whole(shared_data: Callable[[str], Path], name: str, longest: int, system: int):
    reading = read_pairs(shared_data(name))
    assert (reading.format, reading.rows, len(reading.pairs), reading.refused) == ("sharegpt", 300, 300, [])
    assert not reading.unread_columns
    assert max(len(pair.prompt) for pair in reading.pairs) == longest
    assert (
        sum(isinstance(pair.prompt[0], Message) and pair.prompt[0].role == "system" for pair in reading.pairs) == system
    )
