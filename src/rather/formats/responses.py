"""Answers, one a line, as `rather generate` writes them; a user's own file needs only "prompt" and "response".

    {"prompt": …, "response": "…", "model": "…", "tokens": [1, 2], "seed": 7, "finished": true, "temperature": 0.7,
     "system": "…", "count": 2, "tags": {}}

`prompt` is text or a list of turns. `count` says how often the same text was drawn, where that is more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rather.errors import InputError, RowError
from rather.formats.preference import prompt_of, reason_of, tags_of
from rather.formats.refusals import Refusal
from rather.formats.rows import Row, kind_of, read_rows
from rather.records import Question, Response
from rather.records.base import usable

NAME = "responses.jsonl"
REQUIRED = ("prompt", "response")
FIELDS = frozenset(
    {"id", *REQUIRED, "model", "tokens", "seed", "finished", "temperature", "system", "count", "tags"}
)  # fmt: skip
_SAID = ("seed", "finished", "temperature", "system", "count")
UNKNOWN = "unknown"
"""The model of an answer of which the file does not say who wrote it."""


def matches(row: Row) -> bool:
    """A prompt with one answer under our name for it."""
    return "prompt" in row and "response" in row


def parse(row: Row) -> Response:
    """One row as a response. Raises RowError."""
    for name in REQUIRED:
        if row.get(name) is None:
            raise RowError(f'has no "{name}"')
    # Parquet gives every row all columns; a null there means that the field is absent.
    said: dict[str, Any] = {name: row[name] for name in _SAID if row.get(name) is not None}
    if row.get("tokens") is not None:
        if not isinstance(row["tokens"], list):
            raise RowError(f'"tokens" is {kind_of(row["tokens"])}, not a list of ids')
        said["tokens"] = tuple(row["tokens"])
    if not isinstance(row["response"], str):
        raise RowError(f'"response" is {kind_of(row["response"])}, not text')
    try:
        usable(row["response"])
    except ValueError as error:
        raise RowError(f'"response" {error}') from error
    try:
        question = Question(prompt=prompt_of(row["prompt"]), tags=tags_of(row))
        return Response(question=question, text=row["response"], model=row.get("model") or UNKNOWN, **said)
    except ValidationError as error:
        raise RowError(reason_of(error)) from error


def write(record: Response) -> Row:
    """The row of a response; `parse(write(record))` is the same record."""
    prompt = record.question.prompt
    row: Row = {
        "prompt": prompt if isinstance(prompt, str) else [message.model_dump() for message in prompt],
        "response": record.text,
        "model": record.model,
        "tokens": None if record.tokens is None else list(record.tokens),
        "seed": record.seed,
        "finished": record.finished,
        "temperature": record.temperature,
        "system": record.system,
        "tags": record.question.tags,
    }
    return row if record.count == 1 else {**row, "count": record.count}


def iter_responses(path: str | Path) -> Iterator[Response | Refusal]:
    """The responses of a file, or of the folder that `rather generate` made, one at a time; a Refusal for each unusable row."""
    path = Path(path)
    if path.is_dir():
        if not (path / NAME).is_file():
            raise InputError(f"{path}: holds no {NAME}; name a file, or a folder that `rather generate` made")
        path = path / NAME
    count = 0
    for number, row in read_rows(path):
        count += 1
        place = f"{path}:{number}"
        try:
            if isinstance(row, RowError):
                raise row
            yield parse(row).model_copy(update={"source": place})
        except RowError as error:
            yield Refusal(place, error.reason)
    if count == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")


def response_rows(responses: Iterable[Response]) -> Iterator[Row]:
    """Rows, for `write_jsonl`."""
    return (write(response) for response in responses)
