"""KTO's form of LLaMA-Factory: a whole conversation, and a `label`, true if its last turn is a good answer.

    {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "label": true}
    {"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}], "system": "…", "label": false}

All turns before the last one are the prompt.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats.preference import turns_of
from rather.formats.sharegpt import conversation_of, with_system
from rather.formats.unpaired import label_of
from rather.formats.values import Row, made
from rather.records import Single

FIELDS = frozenset({"messages", "conversations", "system", "label"})
REQUIRED = ("label",)


def matches(row: Row) -> bool:
    """A conversation and a label, and nothing that stands beside it as an answer."""
    return (
        "label" in row and ("messages" in row or "conversations" in row) and not {"chosen", "completion"} & row.keys()
    )


def parse(row: Row) -> Single:
    """One row as a single answer: the last turn."""
    if row.get("messages") is not None:
        turns = with_system(row.get("system"), list(turns_of(row["messages"], "messages")), "messages")
    elif "conversations" in row:
        turns = conversation_of(row)
    else:
        raise RowError('has neither "messages" nor "conversations"')
    if len(turns) < 2 or turns[-1].role != "assistant":
        raise RowError("must end with an assistant turn behind a question: that is the answer which the label is of")
    return made(Single, prompt=tuple(turns[:-1]), completion=turns[-1].content, label=label_of(row["label"]))
