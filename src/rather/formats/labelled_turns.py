"""Whole conversations with a label for their last answer, as published sets for KTO have them.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "label": true}

The last turn, the assistant's, is the answer; `label` is true for a good one. `weight` and `tags` may stand beside them.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats import preference
from rather.formats.tools import tools_of, with_tools
from rather.formats.unpaired import label_of
from rather.formats.values import Row
from rather.records import Single

FIELDS = frozenset({"tools", "messages", "label", "weight", "tags"})
REQUIRED = ("messages", "label")


def matches(row: Row) -> bool:
    """A conversation and a label, and no answer beside it."""
    return "messages" in row and "label" in row and not {"chosen", "rejected", "completion"} & set(row)


def parse(row: Row) -> Single:
    """One row as a single answer. Raises RowError also for a conversation that does not end with an answer."""
    label, tools = label_of(row), tools_of(row.get("tools"), row["messages"])
    *prompt, answer = preference.turns_of(row["messages"], "messages", tools=tools is not None)
    if answer.role != "assistant" or not prompt:
        raise RowError('"messages" must be a question and more, and end with the assistant turn that "label" is about')
    return preference.checked(
        row, Single, prompt=with_tools(tuple(prompt), tools), completion=answer.content, label=label
    )
