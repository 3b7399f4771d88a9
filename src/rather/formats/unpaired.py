"""TRL's unpaired form: `prompt`, `completion`, and `label`, true for a good answer; as text or as chat turns.

    {"prompt": [{"role": "user", "content": "…"}], "completion": "…", "label": true, "weight": 1.5, "tags": {}}

`weight` and `tags` may be left out.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats import preference
from rather.formats.tools import tools_of, with_tools
from rather.formats.values import Row
from rather.records import Message, Single

FIELDS = frozenset({"id", "tools", "prompt", "completion", "label", "weight", "tags"})
REQUIRED = ("prompt", "completion", "label")


def matches(row: Row) -> bool:
    """Any row with one answer."""
    return "completion" in row and "chosen" not in row


def parse(row: Row) -> Single:
    """One row as a single answer. Raises RowError also for a label that is neither true nor false."""
    label, tools = label_of(row), tools_of(row.get("tools"), row["prompt"], row["completion"])
    prompt, completion = preference.prompt_of(row["prompt"], tools=tools is not None), row["completion"]
    if isinstance(prompt, str) and isinstance(completion, list):
        prompt = (Message(role="user", content=prompt),)  # the answer is a turn, so the text was one too
    answer = preference.answer_of(completion, "completion", tools=tools is not None)
    return preference.checked(row, Single, prompt=with_tools(prompt, tools), completion=answer, label=label)


def label_of(row: Row) -> bool:
    """What a row says of its answer. Raises RowError for a label that is neither true nor false."""
    if not isinstance(row["label"], bool):
        raise RowError(
            f'"label" is {str(row["label"])[:20]!r}; it must be true for a good answer or false for a bad one'
        )
    return row["label"]


def write(record: Single) -> Row:
    """The row of a single answer; `parse(write(record))` has the same id."""
    return preference.written(record, {"completion": record.completion, "label": record.label})


def write_trl(record: Single) -> Row:
    """The row of a single answer as TRL reads it."""
    if isinstance(record.prompt, str):
        return {"prompt": record.prompt, "completion": record.completion, "label": record.label}
    completion = preference.answer_turn(record.prompt, record.completion)
    return {**preference.trl_prompt(record.prompt), "completion": completion, "label": record.label}
