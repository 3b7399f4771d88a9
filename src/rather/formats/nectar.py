"""Nectar's ranked lists: a transcript as `prompt`, and `answers` with their `rank`, 1 the best.

    {"prompt": "\\n\\nHuman: …\\n\\nAssistant: ", "answers": [{"answer": "…", "model": "gpt-4", "rank": 1.0}, …]}

As a list to train on, no two may share a rank; as judgments (`rather pair`) they may.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from rather.errors import RowError
from rather.formats.hh import transcript_of, turns_of_transcript
from rather.formats.values import Row, list_of, made, number_of, object_of, text_of
from rather.records import Message, RankedList, Ranking

FIELDS = frozenset({"prompt", "answers"})
REQUIRED = ("prompt", "answers")


def matches(row: Row) -> bool:
    """Answers that are objects with a rank."""
    answers = row.get("answers")
    return isinstance(answers, list) and bool(answers) and isinstance(answers[0], dict) and "rank" in answers[0]


def parse(row: Row) -> RankedList:
    """One row as a ranked list. Raises RowError for a tie: a list has an order, and a tie has none."""
    answers = answers_of(row)
    ties = Counter(rank for _, _, rank in answers)
    tied = next((rank for rank in sorted(ties) if ties[rank] > 1), None)
    if tied is not None:
        raise RowError(
            f"{ties[tied]} answers share rank {tied}, and a ranked list has no ties; `rather pair` takes them"
        )
    best_first = tuple(text for text, _, _ in sorted(answers, key=lambda answer: answer[2]))
    return made(RankedList, prompt=prompt_of(row["prompt"]), ranked=best_first)


def write(record: RankedList | Ranking) -> Row:
    """The row of a ranked list, or of a ranking that leaves nothing out. Raises RowError for a prompt that is no transcript."""
    ranks = record.ranks if isinstance(record, Ranking) else range(1, len(record.ranked) + 1)
    models = (isinstance(record, Ranking) and record.models) or (None,) * len(record.answers)
    if None in ranks:
        raise RowError("leaves answers without a rank, and Nectar's lists rank every one")
    listed = [
        {"answer": text, **({} if model is None else {"model": model}), "rank": rank}
        for text, model, rank in zip(record.answers, models, ranks, strict=True)
    ]
    return {"prompt": f"{transcript_of(record.prompt)} ", "answers": listed}


def prompt_of(value: Any) -> tuple[Message, ...]:
    """The turns of a transcript; text without marks is one question."""
    text = text_of(value, "prompt")
    if "\n\nHuman:" not in text:
        return (made(Message, role="user", content=text),)
    return turns_of_transcript(text.rstrip().removesuffix("\n\nAssistant:"))


def answers_of(row: Row) -> list[tuple[str, str | None, int]]:
    """Text, model and rank of each answer."""
    return [_answer(value, place) for place, value in enumerate(list_of(row["answers"], "answers"), start=1)]


def _answer(value: Any, place: int) -> tuple[str, str | None, int]:
    name = f"answers {place}"
    found = object_of(value, name)
    rank = number_of(found.get("rank"), f"{name} rank")
    if rank < 1 or rank != int(rank):
        raise RowError(f'"{name}" has the rank {rank:g}; ranks are whole numbers from 1')
    model = found.get("model")
    return text_of(found.get("answer"), name), None if model is None else text_of(model, f"{name} model"), int(rank)
