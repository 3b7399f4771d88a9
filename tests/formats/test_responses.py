"""Answers in files: what is written is read again, and a user's own file needs two fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import InputError
from rather.formats import Refusal, write_jsonl
from rather.formats.responses import NAME, iter_responses, parse, response_rows, write
from rather.records import Message, Question, Response
from tests.conftest import WriteFile

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))
PROMPT = TEXT.filter(str.strip)
RESPONSES = st.builds(
    Response,
    question=st.builds(
        Question,
        prompt=PROMPT | PROMPT.map(lambda text: (Message(role="user", content=text),)),
        tags=st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    text=TEXT,
    model=TEXT.filter(bool),
    tokens=st.none() | st.lists(st.integers(0, 50_000), max_size=4).map(tuple),
    seed=st.none() | st.integers(0, 2**31),
    finished=st.none() | st.booleans(),
    temperature=st.none() | st.floats(0, 2),
    system=st.none() | TEXT,
    count=st.integers(1, 9),
)


@given(st.lists(RESPONSES, min_size=1, max_size=5))
def test_what_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, responses: list[Response]) -> None:
    folder = tmp_path_factory.mktemp("out")
    write_jsonl(folder / NAME, response_rows(responses))
    found = list(iter_responses(folder))
    assert [record.model_copy(update={"source": None}) for record in found if isinstance(record, Response)] == responses
    assert [parse(write(response)) for response in responses] == responses


def test_a_user_s_own_file_needs_prompt_and_response(write_file: WriteFile) -> None:
    file = write_file([{"prompt": "Why?", "response": "So."}, {"prompt": "Why?"}, {"prompt": "Why?", "response": 3}])
    first, second, third = iter_responses(file)
    assert isinstance(first, Response)
    assert (first.text, first.model, first.count, first.source) == ("So.", "unknown", 1, f"{file}:1")
    assert second == Refusal(f"{file}:2", 'has no "response"')
    assert isinstance(third, Refusal)
    assert third.reason.startswith('"response" ')


def test_a_folder_without_answers(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no responses\.jsonl"):
        list(iter_responses(tmp_path))
