"""Alpaca-style pairs: `instruction` (or `question`), perhaps `input`, `system` and `history`, and two answers.

    {"instruction": "…", "input": "…", "chosen": "…", "rejected": "…"}
    {"instruction": "…", "output": ["the better", "the worse"], "history": [["asked before", "answered"]]}

`input` follows the instruction on a line of its own. The prompt is a conversation.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.values import Row, kind_of, list_of, made, text_of
from rather.records import Message, Pair

FIELDS = frozenset({"instruction", "question", "input", "system", "history", "chosen", "rejected", "output"})
REQUIRED = ()


def matches(row: Row) -> bool:
    """An instruction or a question, and two answers under either name."""
    asked = "instruction" in row or "question" in row
    return (
        asked
        and "prompt" not in row
        and (("chosen" in row and "rejected" in row) or isinstance(row.get("output"), list))
    )


def parse(row: Row) -> Pair:
    """One row as a pair. Raises RowError also where a row asks or answers twice."""
    asked = [name for name in ("instruction", "question") if row.get(name) is not None]
    if len(asked) != 1:
        raise RowError(f'has {" and ".join(asked) or "neither"} of "instruction" and "question"; a row has one of them')
    question = text_of(row[asked[0]], asked[0])
    more = row.get("input")
    if more not in (None, ""):
        question = f"{question}\n{text_of(more, 'input')}"
    turns = [made(Message, role="user", content=question)]
    for place, pair in reversed(list(enumerate(list_of(row.get("history") or [], "history"), start=1))):
        turns[:0] = _exchange(pair, place)
    if row.get("system") not in (None, ""):
        turns.insert(0, made(Message, role="system", content=text_of(row["system"], "system")))
    return make_pair(tuple(turns), *_answers(row))


def write(pair: Pair) -> Row:
    """The row of a pair. Raises RowError for a conversation that is not questions and answers in turn."""
    if isinstance(pair.prompt, str):
        raise RowError("its prompt is plain text; --as-chat makes it a question")
    turns = list(pair.prompt)
    row: Row = {"system": turns.pop(0).content} if turns[0].role == "system" else {}
    if [turn.role for turn in turns] != (["user", "assistant"] * len(turns))[: len(turns)]:
        raise RowError("its turns are not questions and answers in turn, as this form has them")
    if len(turns) > 1:
        before = [turn.content for turn in turns[:-1]]
        row["history"] = [list(pair) for pair in zip(before[::2], before[1::2], strict=True)]
    return {"instruction": turns[-1].content, "input": "", "chosen": pair.chosen, "rejected": pair.rejected, **row}


def _answers(row: Row) -> tuple[str, str]:
    sided = row.get("chosen") is not None or row.get("rejected") is not None
    if not sided and row.get("output") is not None:
        answers = list_of(row["output"], "output")
        if len(answers) != 2:
            raise RowError(f'"output" has {len(answers)} answers; a pair has two, the better one first')
        return text_of(answers[0], "output 1"), text_of(answers[1], "output 2")
    return _answer(row.get("chosen"), "chosen"), _answer(row.get("rejected"), "rejected")


def _answer(value: Any, name: str) -> str:
    if isinstance(value, dict | list):
        raise RowError(f'"{name}" is {kind_of(value)}; beside an "instruction" it is text')
    return text_of(value, name)


def _exchange(value: Any, place: int) -> list[Message]:
    name = f"history {place}"
    pair = list_of(value, name)
    if len(pair) != 2:
        raise RowError(f'"{name}" has {len(pair)} texts; it must be a question and its answer')
    asked, answered = (text_of(text, name) for text in pair)
    return [made(Message, role="user", content=asked), made(Message, role="assistant", content=answered)]
