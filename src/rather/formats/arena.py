r"""Arena votes: two models' conversations, or a prompt with two responses, and the winner.

    {"model_a": "…", "model_b": "…", "winner": "model_a", "judge": "…", "tstamp": 1682351591.1,
     "conversation_a": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}], "conversation_b": […]}
    {"model_a": "…", "model_b": "…", "prompt": "[\"…\"]", "response_a": "[\"…\"]", "response_b": "[\"…\"]",
     "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0}

`winner` is model_a, model_b, tie, "tie (bothbad)" or both_bad. Conversations that differ before their last turn are refused: the
last answers are then answers to two prompts.
"""

from __future__ import annotations

import json
from typing import Any

from rather.errors import RowError
from rather.formats.preference import prompt_row, split_turns, turns_of
from rather.formats.values import Row, list_of, made, text_of, time_of, word_of
from rather.formats.votes import verdict_of
from rather.records import Comparison, Judgment, Preference, Prompt

FIELDS = frozenset({
    "model_a", "model_b", "winner", "judge", "judge_hash", "conversation_a", "conversation_b", "tstamp", "timestamp",
    "language", "prompt", "response_a", "response_b", "winner_model_a", "winner_model_b", "winner_tie",
})  # fmt: skip
REQUIRED = ("model_a", "model_b")

_FLAGS: dict[str, Preference] = {"winner_model_a": "a", "winner_model_b": "b", "winner_tie": "tie"}


def matches(row: Row) -> bool:
    """Two models, and their conversations or responses."""
    spoken = ("conversation_a" in row and "conversation_b" in row) or ("response_a" in row and "response_b" in row)
    return "model_a" in row and "model_b" in row and spoken


def parse(row: Row) -> list[Judgment]:
    """One row is one comparison; a vote without a name is by the judge "arena"."""
    prompt, first, second = _answers(row)
    when = "tstamp" if row.get("tstamp") is not None else "timestamp"
    judge = next((row[name] for name in ("judge", "judge_hash") if row.get(name) is not None), "arena")
    language = row.get("language")
    return [
        made(
            Comparison,
            prompt=prompt,
            answers=(first, second),
            models=(row["model_a"], row["model_b"]),
            judge=word_of(judge, "judge"),
            verdict=_verdict(row),
            at=time_of(row.get(when), when),
            tags={"language": language} if isinstance(language, str) else {},
        )
    ]


_WINNERS: dict[Preference, str] = {"a": "model_a", "b": "model_b", "tie": "tie", "both_bad": "tie (bothbad)"}


def write(record: Comparison) -> Row:
    """The row of a comparison of two models' answers. Raises RowError where the models are not known, or the prompt is text."""
    if isinstance(record.prompt, str):
        raise RowError("its prompt is plain text; --as-chat makes it a conversation")
    if any(turn.role in ("tool", "tools") for turn in record.prompt):
        raise RowError("has a turn of tools, which the arena's conversations have not")
    if record.models is None or None in record.models:
        raise RowError("does not say which models wrote the answers; a vote of the arena is between two models")
    turns, said = (
        prompt_row(record.prompt),
        {"judge": record.judge, "tstamp": record.at, "language": record.tags.get("language")},
    )
    return {
        "model_a": record.models[0],
        "model_b": record.models[1],
        "winner": _WINNERS[record.verdict],
        **{name: value for name, value in said.items() if value is not None},
        **{
            f"conversation_{side}": [*turns, {"role": "assistant", "content": text}]
            for side, text in zip("ab", record.answers, strict=True)
        },
    }


def _answers(row: Row) -> tuple[Prompt, str, str]:
    if "conversation_a" in row:
        sides = [
            turns_of([_plain(turn) for turn in list_of(row[name], name)], name)
            for name in ("conversation_a", "conversation_b")
        ]
        return split_turns(sides[0], sides[1])
    asked, first, second = (_texts(row[name], name) for name in ("prompt", "response_a", "response_b"))
    if not len(asked) == len(first) == len(second):
        raise RowError(f"has {len(asked)} questions, but {len(first)} and {len(second)} responses")
    if len(asked) > 1 and first[:-1] != second[:-1]:
        raise RowError("the two sides differ before their last turn, so they answer different prompts")
    pairs = zip(asked, first, strict=True)
    turns = [
        {"role": role, "content": text}
        for pair in pairs
        for role, text in zip(("user", "assistant"), pair, strict=True)
    ]
    return turns_of(turns[:-1], "prompt"), first[-1], second[-1]


def _verdict(row: Row) -> Preference:
    if row.get("winner") is not None:
        return verdict_of(row["winner"], "winner")
    said: list[Preference] = [word for name, word in _FLAGS.items() if row.get(name) in (1, "1", True)]
    if len(said) != 1:
        raise RowError(f"has {len(said)} of {', '.join(_FLAGS)} set; a vote has one")
    return said[0]


def _plain(turn: Any) -> Any:
    """A turn whose content is a list of parts, of which every one is text, as a turn of text."""
    parts = turn.get("content") if isinstance(turn, dict) else None
    if not isinstance(parts, list):
        return turn if not isinstance(turn, dict) else {"role": turn.get("role"), "content": parts}
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise RowError("a turn holds more than text")
    return {"role": turn.get("role"), "content": "\n".join(text_of(part.get("text"), "text") for part in parts)}


def _texts(value: Any, name: str) -> list[str]:
    """One text, or the JSON of a list of them, as the published file has it."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            return [value]  # a text that begins with a bracket
    texts = value if isinstance(value, list) else [value]
    if not texts:
        raise RowError(f'"{name}" is empty')
    return [text_of(text, name) for text in texts]
