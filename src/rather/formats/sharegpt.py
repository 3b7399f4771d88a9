"""ShareGPT's preference form: `conversations` of `{"from", "value"}` turns, and one more turn on either side.

    {"conversations": [{"from": "human", "value": "…"}], "chosen": {"from": "gpt", "value": "…"}, "rejected": {…}}

A `system` column, if it holds text, is the system turn.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.values import Row, kind_of, reason_of
from rather.records import Message, Pair

FIELDS = frozenset({"conversations", "chosen", "rejected", "system"})

REQUIRED = ("conversations", "chosen", "rejected")

_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def matches(row: Row) -> bool:
    """Turns under ShareGPT's name for them, and both sides."""
    return "conversations" in row and "chosen" in row and "rejected" in row


def parse(row: Row) -> Pair:
    """One row as a pair. Raises RowError for a turn of a speaker that is not known here, as of a tool."""
    prompt = tuple(conversation_of(row))
    return make_pair(prompt, _answer(row["chosen"], '"chosen"'), _answer(row["rejected"], '"rejected"'))


def conversation_of(row: Row) -> list[Message]:
    """The turns of `conversations`, behind that of a `system` column."""
    turns = row["conversations"]
    if not isinstance(turns, list):
        raise RowError(f'"conversations" is {kind_of(turns)}, not a list of turns')
    found = [_turn(turn, f'"conversations" turn {number}') for number, turn in enumerate(turns, start=1)]
    return with_system(row.get("system"), found, "conversations")


def with_system(system: Any, turns: list[Message], name: str) -> list[Message]:
    """The turns of the column `name` behind what the column `system` says, if it holds text."""
    if system in (None, ""):
        return turns
    if turns and turns[0].role == "system":
        raise RowError(f'has a "system" and a system turn in "{name}"; remove one of them')
    return [_turn({"from": "system", "value": system}, '"system"'), *turns]


def write(pair: Pair) -> Row:
    """The row of a pair."""
    if isinstance(pair.prompt, str):
        raise RowError("its prompt is plain text; --as-chat makes it a conversation")
    if any(turn.role in ("tool", "tools") for turn in pair.prompt):
        raise RowError("has a turn of tools, whose speaker has no one name in ShareGPT's form")
    return {
        "conversations": [{"from": _SPEAKERS[turn.role], "value": turn.content} for turn in pair.prompt],
        "chosen": {"from": "gpt", "value": pair.chosen},
        "rejected": {"from": "gpt", "value": pair.rejected},
    }


def _answer(value: Any, place: str) -> str:
    turn = _turn(value, place)
    if turn.role != "assistant":
        raise RowError(f'{place} is from "{value["from"]}"; an answer is from "gpt"')
    return turn.content


def _turn(value: Any, place: str) -> Message:
    if not isinstance(value, dict) or not {"from", "value"} <= set(value):
        raise RowError(f'{place} is {kind_of(value)} without {{"from", "value"}}')
    role = _ROLES.get(value["from"]) if isinstance(value["from"], str) else None
    if role is None:
        raise RowError(f'{place} is from "{value["from"]}"; known are {", ".join(_ROLES)}')
    try:
        return Message(role=role, content=value["value"])  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        raise RowError(f"{place}: {reason_of(error)}") from error
