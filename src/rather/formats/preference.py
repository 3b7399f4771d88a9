"""TRL's preference form: `prompt`, `chosen`, `rejected`, or the prompt inside both sides; as text or as chat turns.

Beside them `margin`, as TRL's reward trainer has it, `probability` (that chosen is the better answer) and `weight`: numbers,
of which a null is none. Columns `chosen_model` and `rejected_model`, with _ or -, become tags, which the audit reads. `tools` are
read as "Conversations with tools" says. The native form is the same with `tags`.
"""

from __future__ import annotations

import difflib
import os.path
import unicodedata
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from rather.errors import RowError
from rather.formats.tools import IN_TURNS, as_row, held_turn, tools_of, with_tools
from rather.formats.values import Row, kind_of, number_of, reason_of, text_of
from rather.records import JUDGED, Example, Judgment, Message, Pair, Prompt, turns
from rather.records.tools import held

SIDES = frozenset({"prompt", "chosen", "rejected"})
TAGS = {
    "chosen_model": "chosen_model", "rejected_model": "rejected_model", "chosen-model": "chosen_model",
    "rejected-model": "rejected_model",
}  # fmt: skip
"""Columns of published sets that say who wrote the answers, and the tags that they become."""
FIELDS = SIDES | set(JUDGED) | set(TAGS) | {"tools"}
REQUIRED = ("chosen", "rejected")


def matches(row: Row) -> bool:
    """Any row with both sides."""
    return "chosen" in row and "rejected" in row


def parse(row: Row) -> Pair:
    """One row as a pair. Columns beyond FIELDS are the caller's to report."""
    tools = tools_of(row.get("tools"), *(row.get(side) for side in SIDES))
    tags = {tag: text_of(row[name], name) for name, tag in TAGS.items() if row.get(name) is not None}
    prompt, chosen, rejected = sides_of(row, tools=tools is not None)
    return make_pair(with_tools(prompt, tools), chosen, rejected, tags, judged=judged_of(row))


def write(pair: Pair) -> Row:
    """The row of a pair as TRL reads it, with an explicit prompt; `margin` alone of what else is said of a pair."""
    margin = {} if pair.margin is None else {"margin": pair.margin}
    if isinstance(pair.prompt, str):
        return {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected, **margin}
    sides = {"chosen": answer_turn(pair.prompt, pair.chosen), "rejected": answer_turn(pair.prompt, pair.rejected)}
    return {**trl_prompt(pair.prompt), **sides, **margin}


def trl_prompt(prompt: tuple[Message, ...]) -> Row:
    """A conversation as TRL has it: `prompt`, and `tools` where there are some."""
    row = as_row(prompt)
    return {"prompt": row.pop("messages"), **row}


def answer_turn(prompt: tuple[Message, ...], text: str) -> list[Row]:
    """An answer as a conversation's last turn."""
    return turns(prompt, text)[-1:]


def sides_of(row: Row, *, tools: bool = False) -> tuple[Prompt, str, str]:
    """Prompt, chosen and rejected of a row; with `tools`, what calls are made is held in their texts."""
    chosen, rejected = row["chosen"], row["rejected"]
    if row.get("prompt") is not None:
        prompt = prompt_of(row["prompt"], tools=tools)
        if isinstance(prompt, str) and isinstance(chosen, list) and isinstance(rejected, list):
            # The answers are turns, so the text that they answer was one too.
            prompt = (Message(role="user", content=prompt),)
        if _is_whole(chosen) and _is_whole(rejected):
            return _behind(prompt, *split_turns(*_whole_sides(row, tools)))
        return prompt, answer_of(chosen, "chosen", tools=tools), answer_of(rejected, "rejected", tools=tools)
    # Cutting a prompt out of two answers would look like success.
    others = {key.lower(): key for key in sorted(set(row) - SIDES)}
    misspelt = difflib.get_close_matches("prompt", others, n=1, cutoff=0.82)
    if misspelt:
        raise RowError(f'has no "prompt", but "{others[misspelt[0]]}"; rename it')
    if isinstance(chosen, str) and isinstance(rejected, str):
        return split_text(chosen, rejected)
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise RowError('has no "prompt", and only one of "chosen" and "rejected" is text, so they share none')
    return split_turns(*_whole_sides(row, tools))


def _whole_sides(row: Row, tools: bool) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    return turns_of(row["chosen"], "chosen", tools=tools), turns_of(row["rejected"], "rejected", tools=tools)


def _is_whole(side: Any) -> bool:
    """True for a side that begins with the conversation and does not only answer it."""
    return isinstance(side, list) and len(side) > 1


def _behind(prompt: Prompt, shared: Prompt, chosen: str, rejected: str) -> tuple[Prompt, str, str]:
    """Two whole conversations beside a `prompt` that repeats their beginning, or its question, as published sets have it."""
    repeated = len(prompt) == 1 and not isinstance(shared, str) and prompt[0] in shared
    if prompt != shared and not repeated:
        raise RowError('"chosen" and "rejected" are whole conversations, and "prompt" is not what they begin with')
    return shared, chosen, rejected


def judged_of(row: Row) -> dict[str, Any]:
    """What a row says of its pair besides the order of the answers; a table has numbers as text."""
    given = {name: row[name] for name in JUDGED if row.get(name) is not None}
    return {name: number_of(value, name) if isinstance(value, str) else value for name, value in given.items()}


ExampleT = TypeVar("ExampleT", bound=Example)


def checked(row: Row, kind: type[ExampleT], **fields: Any) -> ExampleT:
    """An example of a row's `fields` with its weight and tags, or a RowError that says which field cannot be used and why."""
    for name in ("probability", "margin"):
        if row.get(name) is not None:
            raise RowError(f'has a "{name}", which only a pair has; remove it')
    try:
        record = kind(**judged_of(row), tags=tags_of(row), **fields)
    except ValidationError as error:
        raise RowError(reason_of(error)) from error
    require_own_id(row, record)
    return record


def written(record: Example, answers: Row) -> Row:
    """The row of an example with these answers."""
    judged = {name: value for name in JUDGED if (value := getattr(record, name, None)) is not None}
    return {"id": record.id, "prompt": prompt_row(record.prompt), **answers, **judged, "tags": record.tags}


def prompt_row(prompt: Prompt) -> Any:
    """A prompt as a row has it; `prompt_of(prompt_row(prompt))` is the same."""
    return prompt if isinstance(prompt, str) else [message.model_dump() for message in prompt]


def tags_of(row: Row) -> dict[str, Any]:
    """A row's tags. Parquet gives every row all keys of the column's struct; a null there means that the tag is absent."""
    tags = row.get("tags")
    if tags is not None and not isinstance(tags, dict):
        raise RowError(f'"tags" is {kind_of(tags)}, not an object')
    return {key: value for key, value in (tags or {}).items() if value is not None}


def require_own_id(row: Row, record: Example | Judgment) -> None:
    """Refuse an `id` that is another content's."""
    if row.get("id") not in (None, record.id):
        raise RowError(f'"id" is {row["id"]}, but the content has {record.id}: the row was edited; remove its "id"')


def make_pair(
    prompt: Prompt,
    chosen: str,
    rejected: str,
    tags: dict[str, str] | None = None,
    judged: Mapping[str, Any] | None = None,
) -> Pair:
    """A Pair, or a RowError that says which field cannot be used and why."""
    try:
        return Pair(prompt=prompt, chosen=chosen, rejected=rejected, tags=tags or {}, **(judged or {}))
    except ValidationError as error:
        raise RowError(reason_of(error)) from error


def prompt_of(value: Any, *, tools: bool = False) -> Prompt:
    """A prompt field: text, or a list of turns."""
    if isinstance(value, str):
        return value
    return turns_of(value, "prompt", tools=tools)


def answer_of(value: Any, field: str, *, tools: bool = False) -> str:
    """An answer field: text, or a list of exactly one assistant turn."""
    if isinstance(value, str):
        return held({"role": "assistant", "content": value}) if tools else value
    found = turns_of(value, field, tools=tools)
    if len(found) != 1 or found[0].role != "assistant":
        raise RowError(f'"{field}" has {len(found)} turns; it must be one assistant turn, the rest belongs to "prompt"')
    return found[0].content


def turns_of(value: Any, field: str, *, tools: bool = False) -> tuple[Message, ...]:
    """A list of `{"role", "content"}`; with `tools`, also of calls, and of what a tool's answer says of itself."""
    if value is None:
        raise RowError(f'"{field}" is null')
    if not isinstance(value, list):
        raise RowError(f'"{field}" is {kind_of(value)}; it must be text or a list of turns')
    if not value:
        raise RowError(f'"{field}" is empty')
    found = []
    for index, turn in enumerate(value, start=1):
        if not isinstance(turn, dict):
            raise RowError(f'"{field}" turn {index} is {kind_of(turn)}, not {{"role", "content"}}')
        extra = {key for key, item in turn.items() if item is not None and item != []} - {"role", "content"}
        if unknown := sorted(extra - (IN_TURNS if tools else set())):
            raise RowError(f'"{field}" turn {index} has {unknown[0]!r}, which cannot be trained on')
        turn = held_turn(turn, f'"{field}" turn {index}') if tools else turn
        try:
            found.append(Message(role=turn.get("role"), content=turn.get("content")))  # pyright: ignore[reportArgumentType]
        except ValidationError as error:
            raise RowError(f'"{field}" turn {index}: {reason_of(error)}') from error
    return tuple(found)


def split_turns(chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> tuple[Prompt, str, str]:
    """Prompt and answers of two whole conversations that differ in their last turn."""
    if chosen[-1].role != "assistant" or rejected[-1].role != "assistant":
        raise RowError("both sides must end with an assistant turn")
    if chosen[:-1] != rejected[:-1]:
        raise RowError("the two sides differ before their last turn, so they answer different prompts")
    return chosen[:-1], chosen[-1].content, rejected[-1].content


def split_text(chosen: str, rejected: str) -> tuple[str, str, str]:
    """Prompt and answers of two whole texts: they part at the last word boundary that they share.

    Cutting at the last common *character* would make "The sky is bl" the prompt of "… blue." and "… black.".
    """
    if chosen == rejected:
        raise RowError("the two sides are the same text")
    cut = len(os.path.commonprefix([chosen, rejected]))  # noqa: RUF071 (characters are meant)
    # Either side may be the one that is inside a word: "The cat." against "The cats.".
    while cut > 0 and any(cut < len(side) and _joins(side[cut - 1], side[cut]) for side in (chosen, rejected)):
        cut -= 1
    # White space belongs to the word behind it, as tokenizers have it.
    while cut > 0 and chosen[cut - 1] == " ":
        cut -= 1
    if cut == 0:
        raise RowError('the two sides share no beginning, and there is no "prompt"')
    return chosen[:cut], chosen[cut:], rejected[cut:]


def _joins(left: str, right: str) -> bool:
    """True if no word boundary lies between two characters; every CJK character is a word of its own."""
    return _in_word(left) and _in_word(right) and max(left, right) < "⺀"


def _in_word(character: str) -> bool:
    """True for letters, digits, and the marks that belong to the letter before them (accents, Indic vowel signs)."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
