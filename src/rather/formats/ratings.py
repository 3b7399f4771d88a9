"""Ratings in a table: `prompt`, `response` and `score`; perhaps `rater`, `aspect`, `model`, `low` and `high`, `time`.

    prompt,response,score,rater
    Why is the sky blue?,It scatters.,4,anna

Without a `rater` the ratings are one judge's, called "ratings". `low` and `high` are the scale; a score outside it is refused.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats.preference import prompt_of, prompt_row
from rather.formats.values import Row, made, number_of, text_of, time_of, word_of
from rather.records import Judgment, Rating

FIELDS = frozenset({"prompt", "response", "score", "rater", "aspect", "model", "low", "high", "time"})
REQUIRED = ("prompt", "response", "score")


def matches(row: Row) -> bool:
    """A response with a score."""
    return "response" in row and "score" in row


def parse(row: Row) -> list[Judgment]:
    """One row is one rating."""
    given: dict[str, Any] = {name: row[name] for name in ("aspect",) if row.get(name) is not None}
    if row.get("model") is not None:
        given["models"] = (text_of(row["model"], "model"),)
    ends = [name for name in ("low", "high") if row.get(name) is not None]
    if len(ends) == 1:
        raise RowError(f'has "{ends[0]}" alone; a scale has "low" and "high"')
    if ends:
        given["scale"] = (number_of(row["low"], "low"), number_of(row["high"], "high"))
    rater = row.get("rater")
    return [
        made(
            Rating,
            prompt=prompt_of(row["prompt"]),
            answers=(text_of(row["response"], "response"),),
            score=number_of(row["score"], "score"),
            judge="ratings" if rater is None else word_of(rater, "rater"),
            at=time_of(row.get("time"), "time"),
            **given,
        )
    ]


def write(record: Rating) -> Row:
    """The row of a rating; what was not said is left out."""
    low, high = record.scale or (None, None)
    row = {
        "prompt": prompt_row(record.prompt), "response": record.answer, "score": record.score, "rater": record.judge,
        "aspect": record.aspect, "model": record.models[0] if record.models else None, "low": low, "high": high,
        "time": record.at,
    }  # fmt: skip
    return {name: value for name, value in row.items() if value is not None}
