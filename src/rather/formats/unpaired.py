"""TRL's unpaired form: `prompt`, `completion`, and `label`, true for a good answer; as text or as chat turns.

    {"prompt": [{"role": "user", "content": "…"}], "completion": "…", "label": true, "weight": 1.5, "tags": {}}

`weight` and `tags` may be left out.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats import preference
from rather.formats.tools import tools_of, with_tools
from rather.formats.values import Row
from rather.records import Message, Single

FIELDS = frozenset({"id", "tools", "prompt", "completion", "label", "weight", "tags"})
REQUIRED = ("prompt", "completion", "label")

_SAID = {"true": True, "false": False}


def matches(row: Row) -> bool:
    """Any row with one answer."""
    return "completion" in row and "chosen" not in row


def parse(row: Row) -> Single:
    """One row as a single answer. Raises RowError also for a label that is neither true nor false."""
    tools = tools_of(row.get("tools"), row["prompt"], row["completion"])
    label = label_of(row["label"])
    prompt, completion = preference.prompt_of(row["prompt"], tools=tools is not None), row["completion"]
    if isinstance(prompt, str) and isinstance(completion, list):
        prompt = (Message(role="user", content=prompt),)  # the answer is a turn, so the text was one too
    answer = preference.answer_of(completion, "completion", tools=tools is not None)
    return preference.checked(row, Single, prompt=with_tools(prompt, tools), completion=answer, label=label)


def label_of(value: Any) -> bool:
    """True for a good answer; a table has it as text."""
    said = _SAID.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(said, bool):
        raise RowError(f'"label" is {str(value)[:20]!r}; it must be true for a good answer or false for a bad one')
    return said


def write(record: Single) -> Row:
    """The row of a single answer; `parse(write(record))` has the same id."""
    return preference.written(record, {"completion": record.completion, "label": record.label})


def write_trl(record: Single) -> Row:
    """The row of a single answer as TRL reads it."""
    if isinstance(record.prompt, str):
        return {"prompt": record.prompt, "completion": record.completion, "label": record.label}
    completion = preference.answer_turn(record.prompt, record.completion)
    return {**preference.trl_prompt(record.prompt), "completion": completion, "label": record.label}
