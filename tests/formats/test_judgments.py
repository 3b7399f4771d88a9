"""Files of judgments: the native form there and back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.errors import InputError
from rather.formats import Refusal, iter_judgments, judgment_rows, write_jsonl
from rather.records import Comparison, Event, Judgment, Message, Ranking, Rating

ANSWERS = st.lists(
    st.text(min_size=1).filter(lambda t: t.strip() and "\x00" not in t and t.isprintable()),
    min_size=2,
    max_size=4,
    unique=True,
)


@st.composite
def judgments(draw: st.DrawFn) -> Judgment:
    prompt = draw(st.sampled_from(["Why?", (Message(role="user", content="为什么？"),)]))
    answers = tuple(draw(ANSWERS))
    common: dict[str, Any] = {"prompt": prompt, "judge": "anna", "at": draw(st.none() | st.floats(0, 1e10))}
    kind = draw(st.sampled_from([Comparison, Ranking, Rating, Event]))
    if kind is Comparison:
        return Comparison(answers=answers[:2], verdict=draw(st.sampled_from(["a", "b", "tie", "both_bad"])), **common)
    if kind is Ranking:
        places = draw(st.lists(st.integers(1, 9), min_size=len(answers), max_size=len(answers)))
        return Ranking(answers=answers, ranks=(None, *places[1:]) if len(places) > 2 else tuple(places), **common)
    if kind is Rating:
        return Rating(answers=answers[:1], score=draw(st.floats(0, 5)), scale=(0.0, 5.0), aspect="truth", **common)
    return Event(answers=answers[:1], event="edit", text="better", position=2, **common)


@given(st.lists(judgments(), min_size=1, max_size=5))
def test_native_judgments_come_back(tmp_path_factory: pytest.TempPathFactory, drawn: list[Judgment]) -> None:
    path = tmp_path_factory.mktemp("j") / "judgments.jsonl"
    write_jsonl(path, judgment_rows(drawn))
    back = list(iter_judgments(path))
    assert [j.model_copy(update={"source": None}) for j in back if not isinstance(j, Refusal)] == drawn
    assert [j.source for j in back if not isinstance(j, Refusal)] == [f"{path}:{n}" for n in range(1, len(drawn) + 1)]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "Q", "answers": ["a", "b"], "judge": "x"}, "has none of verdict, ranks, score, event"),
        ({"prompt": "Q", "answers": ["a"], "judge": "x", "score": 1, "event": "like"}, "has score and event"),
        ({"prompt": "Q", "answers": ["a", "b"], "verdict": "a"}, 'has no "judge"'),
        ({"prompt": "Q", "answers": "a", "judge": "x", "score": 1}, '"answers" is a string, not a list'),
        ({"prompt": "Q", "answers": ["a"], "judge": "x", "score": "good"}, "\"score\" is 'good', not a number"),
        (
            {"prompt": "Q", "answers": ["a"], "judge": "x", "event": "click"},
            "\"event\" is 'click'; known are shown, like, dislike, bookmark, copy, edit, regenerate, dwell",
        ),
        (
            {"prompt": "Q", "answers": ["a", "b"], "judge": "x", "verdict": 1},
            '"verdict" is 1; known are a, b, tie, both_bad',
        ),
        (
            {"prompt": "Q", "answers": ["a"], "judge": "x", "event": "dwell", "value": -1},
            '"value" is -1; it must be 0 or more',
        ),
        (
            {"prompt": "Q", "answers": ["a"], "judge": "x", "event": "like", "position": 1.5},
            '"position" is 1.5, not a whole number',
        ),
        (
            {"prompt": "Q", "answers": ["a", "b"], "judge": "x", "verdict": "a", "confidence": 2},
            '"confidence" is 2; it must be 1 or less',
        ),
        (
            {"prompt": "Q", "answers": ["a"], "judge": "x", "score": 1, "position": 2},
            'a "position", which a rating does not',
        ),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_with_its_reason(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    good = {"prompt": "Q", "answers": ["a", "b"], "judge": "x", "verdict": "a"}
    path = tmp_path / "j.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in (good, row)))
    _, refused = iter_judgments(path)
    assert isinstance(refused, Refusal)
    assert refused.place == f"{path}:2"
    assert reason in refused.reason


def test_a_file_of_something_else_says_what_a_judgment_needs(tmp_path: Path) -> None:
    path = tmp_path / "j.jsonl"
    path.write_text('{"question": "Q"}\n')
    with pytest.raises(InputError, match="is no judgment of a known form"):
        list(iter_judgments(path))
