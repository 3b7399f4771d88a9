"""Ranked lists: `prompt` and `ranked`, two answers or more with the best first; as text or as chat turns.

    {"prompt": [{"role": "user", "content": "…"}], "ranked": ["best", "second", "third"], "weight": 1.5, "tags": {}}

`weight` and `tags` may be left out.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats import preference
from rather.formats.values import Row, kind_of
from rather.records import Message, RankedList

FIELDS = frozenset({"id", "prompt", "ranked", "weight", "tags"})
REQUIRED = ("prompt", "ranked")


def matches(row: Row) -> bool:
    """Any row with a ranking."""
    return "ranked" in row


def parse(row: Row) -> RankedList:
    """One row as a ranked list. Raises RowError also for what only a pair can say."""
    answers = row["ranked"]
    if not isinstance(answers, list):
        raise RowError(f'"ranked" is {kind_of(answers)}; it must be a list of answers, best first')
    prompt = preference.prompt_of(row["prompt"])
    if isinstance(prompt, str) and answers and all(isinstance(answer, list) for answer in answers):
        prompt = (Message(role="user", content=prompt),)  # the answers are turns, so the text was one too
    found = [preference.answer_of(answer, f"ranked {place}") for place, answer in enumerate(answers, start=1)]
    return preference.checked(row, RankedList, prompt=prompt, ranked=tuple(found))


def write(record: RankedList) -> Row:
    """The row of a ranked list; `parse(write(record))` has the same id."""
    return preference.written(record, {"ranked": list(record.ranked)})
