"""Whole conversations with a `label`, true if the last turn is a good answer: as published sets for KTO have them.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "label": true}
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}], "system": "…", "label": false}

All turns before the last one are the prompt; `tools`, `weight` and `tags` may stand beside them.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats.preference import checked, turns_of
from rather.formats.sharegpt import conversation_of, with_system
from rather.formats.tools import tools_of, with_tools
from rather.formats.unpaired import label_of
from rather.formats.values import Row
from rather.records import Single

FIELDS = frozenset({"messages", "conversations", "system", "tools", "label", "weight", "tags"})
REQUIRED = ("label",)


def matches(row: Row) -> bool:
    """A conversation and a label, and nothing that stands beside it as an answer."""
    beside = {"chosen", "rejected", "completion"} & row.keys()
    return "label" in row and ("messages" in row or "conversations" in row) and not beside


def parse(row: Row) -> Single:
    """One row as a single answer: the last turn. Raises RowError also for a conversation that does not end with an answer."""
    label, tools = label_of(row["label"]), tools_of(row.get("tools"), row.get("messages"))
    if row.get("messages") is not None:
        said = list(turns_of(row["messages"], "messages", tools=tools is not None))
        turns = with_system(row.get("system"), said, "messages")
    elif "conversations" in row:
        turns = conversation_of(row)
    else:
        raise RowError('has neither "messages" nor "conversations"')
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise RowError("must end with an assistant turn behind a question: that is the answer which the label is of")
    return checked(row, Single, prompt=with_tools(tuple(turns[:-1]), tools), completion=turns[-1].content, label=label)
