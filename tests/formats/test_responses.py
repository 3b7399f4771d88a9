"""Files of responses: there and back, their columns, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.formats import Refusal, write_jsonl
from rather.formats.responses import iter_responses, iter_with_columns, response_rows
from rather.records import Message, Question, Response
from tests.conftest import WriteFile

TEXT = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"))


@st.composite
def responses(draw: st.DrawFn) -> Response:
    prompt = draw(
        st.sampled_from(["Why?", (Message(role="system", content="S"), Message(role="user", content="为什么？"))])
    )
    return Response(
        question=Question(prompt=prompt, tags=draw(st.dictionaries(st.sampled_from(["a", "b"]), TEXT))),
        text=draw(TEXT),
        model=draw(st.sampled_from(["m", "org/n"])),
        tokens=draw(st.none() | st.lists(st.integers(0, 99)).map(tuple)),
        seed=draw(st.none() | st.integers(0, 9)),
        finished=draw(st.none() | st.booleans()),
        temperature=draw(st.none() | st.floats(0, 2)),
        system=draw(st.none() | TEXT),
    )


@given(st.lists(responses(), min_size=1, max_size=4))
def test_responses_come_back(tmp_path_factory: pytest.TempPathFactory, drawn: list[Response]) -> None:
    path = tmp_path_factory.mktemp("r") / "responses.jsonl"
    write_jsonl(path, response_rows(drawn))
    back = [found for found in iter_responses(path) if not isinstance(found, Refusal)]
    assert [found.model_copy(update={"source": None}) for found in back] == drawn
    assert [found.source for found in back] == [f"{path}:{number}" for number in range(1, len(drawn) + 1)]


def test_columns_and_tags_stand_beside_the_response(write_file: WriteFile) -> None:
    row = {
        "prompt": "Q",
        "response": "a",
        "gold": [1, 2],
        "tags": {"kind": "x", "gold": "t"},
        "empty": None,
        "temperature": 1,
    }
    [found] = iter_with_columns(write_file([row]))
    assert not isinstance(found, Refusal)
    response, columns = found
    assert columns == {"kind": "x", "gold": [1, 2]}
    assert (response.model, response.temperature) == ("unknown", 1.0)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Q", "response": None}, 'has no "response"'),
        ({"prompt": "Q", "response": ["a"]}, '"response" is an array, not text'),
        ({"prompt": " ", "response": "a"}, '"prompt" is empty'),
        ({"prompt": "Q", "response": "a\x00"}, '"response" contains a NUL'),
        ({"prompt": "Q", "response": "a", "tokens": 3}, '"tokens" is a number, not a list'),
        ({"prompt": "Q", "response": "a", "seed": "x"}, "\"seed\" is 'x', not a whole number"),
        ({"prompt": [{"role": "assistant", "content": "x"}], "response": "a"}, "ends with an assistant turn"),
    ],
)
def test_a_row_that_cannot_be_used(write_file: WriteFile, tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    _, refused = iter_responses(write_file([{"prompt": "Q", "response": "a"}, row]))
    assert isinstance(refused, Refusal)
    assert refused.place.endswith(":2")
    assert reason in refused.reason
