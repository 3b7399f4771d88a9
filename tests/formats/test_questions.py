"""Questions from text, rows and pairs."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rather.errors import InputError
from rather.formats import Refusal
from rather.formats.questions import iter_questions
from rather.records import Message, Question
from tests.conftest import WriteFile

ASKED = (Message(role="user", content="Why?"),)


def read(file: Path) -> list[Question]:
    found = list(iter_questions(file))
    assert not [item for item in found if isinstance(item, Refusal)]
    return [item[1] for item in found if not isinstance(item, Refusal)]


def test_a_line_of_text_is_a_user_s_turn(write_file: WriteFile) -> None:
    file = write_file("\ufeffWhy?\r\n\n 为什么？ \nA\u2028B".encode(), "q.txt")
    assert [question.text for question in read(file)] == ["Why?", "为什么？", "A\u2028B"]
    assert read(file)[0].prompt == ASKED
    assert [item[0] for item in iter_questions(file)][1] == f"{file}:3"
    packed = file.with_name("q.txt.gz")
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert read(packed) == read(file)


def test_rows_with_a_prompt_whatever_else_they_say(write_file: WriteFile) -> None:
    turns = [{"role": "user", "content": "Why?"}]
    rows = [
        {"prompt": "Why?"},
        {"prompt": turns, "tags": {"kind": "x"}},
        {"prompt": turns, "chosen": "A", "rejected": "B"},
        {"prompt": "Why?", "response": "A", "tokens": [1]},
        {"chosen": [*turns, {"role": "assistant", "content": "A"}],
         "rejected": [*turns, {"role": "assistant", "content": "B"}]},
    ]  # fmt: skip
    found = read(write_file(rows))
    assert [question.prompt for question in found] == ["Why?", ASKED, ASKED, "Why?", ASKED]
    assert found[1].tags == {"kind": "x"}


def test_transcripts_and_sharegpt(write_file: WriteFile) -> None:
    hh = {"chosen": "\n\nHuman: Why?\n\nAssistant: A", "rejected": "\n\nHuman: Why?\n\nAssistant: B"}
    share = {"conversations": [{"from": "human", "value": "Why?"}], "chosen": {"from": "gpt", "value": "A"},
             "rejected": {"from": "gpt", "value": "B"}}  # fmt: skip
    assert [question.prompt for question in read(write_file([hh, share]))] == [ASKED, ASKED]


def test_rows_that_ask_nothing_are_refused_one_by_one(write_file: WriteFile) -> None:
    file = write_file(
        '{"prompt": ""}\n{"question": "Why?"}\nnonsense\n{"prompt": 3}\n{"prompt": "Why?", "tags": {"a": 1}}\n'
    )
    refused = [item for item in iter_questions(file) if isinstance(item, Refusal)]
    assert [refusal.place for refusal in refused] == [f"{file}:{number}" for number in (1, 2, 3, 4, 5)]
    assert "is empty" in refused[0].reason
    assert 'has no "prompt" (it has question)' in refused[1].reason


@pytest.mark.parametrize(
    ("content", "name"), [("", "q.txt"), ("\n \n", "q.txt"), ("", "q.jsonl"), (b"\xff\xfea", "q.txt")]
)
def test_files_without_a_question(write_file: WriteFile, content: str | bytes, name: str) -> None:
    file = write_file(content, name)
    with pytest.raises(InputError, match=r"holds no question|is empty|not UTF-8"):
        list(iter_questions(file))


def test_no_file(tmp_path: Path) -> None:
    for name in ("none.txt", "none.jsonl"):
        with pytest.raises(InputError, match="no such file"):
            list(iter_questions(tmp_path / name))
