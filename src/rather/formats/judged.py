"""The native form of judgments: the fields of the records, the kind told by the field that only it has.

    {"prompt": …, "answers": ["…", "…"], "judge": "anna", "verdict": "a"}     comparison: a, b, tie or both_bad
    {"prompt": …, "answers": [ … ], "judge": …, "ranks": [1, 2, 2, null]}     ranking
    {"prompt": …, "answers": ["…"], "judge": …, "score": 4, "scale": [1, 5]}  rating
    {"prompt": …, "answers": ["…"], "judge": …, "event": "like"}              event

`prompt` is text or a list of turns; `at` is seconds since 1970 or ISO 8601.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats.preference import prompt_of, prompt_row, require_own_id, tags_of
from rather.formats.values import Row, kind_of, made, time_of
from rather.records import Comparison, Event, Judgment, Ranking, Rating

TELLING: dict[str, type[Judgment]] = {"verdict": Comparison, "ranks": Ranking, "score": Rating, "event": Event}
"""The field that only one kind has, and that kind."""

FIELDS = frozenset({"id", *(name for kind in TELLING.values() for name in kind.model_fields)}) - {"source"}
REQUIRED = ("prompt", "answers", "judge")

_LISTS = ("answers", "models", "ranks", "scale")


def matches(row: Row) -> bool:
    """Answers, and a field that tells a kind."""
    return "answers" in row and any(name in row for name in TELLING)


def parse(row: Row) -> list[Judgment]:
    """One row is one judgment."""
    # Parquet gives every row all columns; a null there means that the field is absent.
    told = [name for name in TELLING if row.get(name) is not None]
    if len(told) != 1:
        raise RowError(f"has {' and '.join(told) or 'none'} of {', '.join(TELLING)}; a judgment has one of them")
    kind = TELLING[told[0]]
    given = {name: value for name, value in row.items() if name in FIELDS and value is not None}
    idle = sorted(set(given) - set(kind.model_fields) - {"id"})
    if idle:
        raise RowError(f'has a "{idle[0]}", which a {kind.kind} does not have; remove it')
    fields: dict[str, Any] = {**given, "prompt": prompt_of(row["prompt"]), "tags": tags_of(row)}
    if "at" in fields:
        fields["at"] = time_of(fields["at"], "at")
    fields.pop("id", None)
    for name in _LISTS:
        if name in fields:
            if not isinstance(fields[name], list):
                raise RowError(f'"{name}" is {kind_of(fields[name])}, not a list')
            fields[name] = tuple(fields[name])
    record = made(kind, **fields)
    require_own_id(row, record)
    return [record]


def write(record: Judgment) -> Row:
    """The row of a judgment; what was not said is left out."""
    said = record.model_dump(exclude={"source"}, exclude_none=True)
    listed = {name: list(said[name]) for name in _LISTS if name in said}
    return {"id": record.id, **said, "prompt": prompt_row(record.prompt), **listed}
