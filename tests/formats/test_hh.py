from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rather.errors import RowError
from rather.formats import hh, read_pairs
from rather.records import Message

ASKED = "\n\nHuman: Hi\n\nAssistant: Hello!\n\nHuman: What is DVT?\n\nAssistant:"
ROW = {"chosen": f"{ASKED} A blood clot.", "rejected": f"{ASKED} I don't know."}


def test_a_transcript_becomes_turns_and_two_answers():
    pair = hh.parse(ROW)
    assert [(message.role, message.content) for message in pair.prompt if isinstance(message, Message)] == [
        ("user", "Hi"),
        ("assistant", "Hello!"),
        ("user", "What is DVT?"),
    ]
    assert (pair.chosen, pair.rejected) == ("A blood clot.", "I don't know.")


def test_marks_inside_a_line_are_text():
    pair = hh.parse({side: text.replace("DVT", "Human: DVT") for side, text in ROW.items()})
    assert isinstance(pair.prompt, tuple)
    assert pair.prompt[-1].content == "What is Human: DVT?"


@pytest.mark.parametrize(
    ("row", "matches"),
    [
        (ROW, True),
        ({**ROW, "prompt": "Q"}, False),
        ({"chosen": ROW["chosen"]}, False),
        ({"chosen": "Human: a", "rejected": "b"}, False),
        ({"chosen": None, "rejected": "b"}, False),
    ],
)
def test_matches_only_its_own_form(row: dict[str, Any], matches: bool):
    assert hh.matches(row) is matches


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rejected": f"{ASKED} "}, '"rejected" is empty'),
        ({"chosen": ASKED}, '"chosen" is empty'),
        ({"chosen": None}, '"chosen" is null, not a transcript'),
        ({"rejected": 3}, '"rejected" is a number, not a transcript'),
        ({"chosen": "\n\nHuman: Hi"}, '"chosen" has no assistant turn'),
        (
            {"rejected": ROW["rejected"].replace("DVT", "TVD")},
            "the two sides differ before the last assistant turn, so they answer different prompts",
        ),
        (
            {"rejected": f"{ASKED} No.\n\nHuman: Why?\n\nAssistant: So."},
            "a side goes on with a human turn behind its answer; cut it there",
        ),
        (
            {"chosen": f"{ASKED} Yes.\n\nHuman: Why?"},
            "a side goes on with a human turn behind its answer; cut it there",
        ),
        (
            {side: "Preamble." + text for side, text in ROW.items()},
            r'"chosen" has text before its first "\n\nHuman:"',
        ),
        ({side: "\n\nAssistant: " + side for side in ROW}, '"prompt" is empty'),
    ],
)
def test_a_row_that_cannot_be_used_says_why(change: dict[str, Any], said: str):
    with pytest.raises(RowError) as caught:
        hh.parse({**ROW, **change})
    assert caught.value.reason == said


def test_the_public_data_in_numbers(shared_data: Callable[[str], Path]):
    path = shared_data("hh_helpful_test.jsonl.gz")
    reading = read_pairs(path)
    assert (reading.format, reading.rows, len(reading.pairs)) == ("hh", 2352, 2346)
    lines: dict[str, list[int]] = {}
    for refusal in reading.refused:
        file, _, line = refusal.place.rpartition(":")
        assert file == str(path)
        lines.setdefault(refusal.reason, []).append(int(line))
    assert lines == {
        "the two sides differ before the last assistant turn, so they answer different prompts": [568, 1166],
        '"rejected" is empty': [121, 740, 1214, 2063],
    }
    assert all(pair.is_chat and pair.prompt[-1].role == "user" for pair in reading.pairs)  # type: ignore[union-attr]
