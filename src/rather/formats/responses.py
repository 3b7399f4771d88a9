"""Answers to prompts, one a line, as `rather generate` writes them; a file of one's own needs only the first two fields.

    {"prompt": text or turns, "response": "…", "model": "…", "tokens": […], "seed": 1, "finished": true,
     "temperature": 0.8, "system": "…", "count": 2, "tags": {"reference": "…"}}

`count` says how often the same text was drawn, where that is more than once. Other columns (a reference answer, whatever a
reward function asks for) are kept beside the record for those who judge.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rather.errors import InputError, RowError
from rather.formats.preference import prompt_of, reason_of, tags_of
from rather.formats.refusals import Refusal
from rather.formats.rows import Row, kind_of, read_rows
from rather.formats.sources import files_of
from rather.records import Question, Response
from rather.records.base import usable

NAME = "responses.jsonl"
UNKNOWN = "unknown"
"""What stands for the writer of an answer where the file does not say who it was."""

REQUIRED = ("prompt", "response")
_SAID = ("seed", "finished", "temperature", "system", "count")
FIELDS = frozenset({"id", "prompt", "response", "model", "tokens", "tags", *_SAID})

# What other programs call an answer.
_OTHER_NAMES = ("completion", "output", "generated", "generation", "text", "content")


def responses_file(path: str | Path) -> Path:
    """The file itself, or the one that a step left in a folder. Raises InputError for a folder without one."""
    path = Path(path)
    if not path.is_dir():
        return path
    if not (path / NAME).is_file():
        raise InputError(f"{path}: has no {NAME}; name a file of responses, or the --out of `rather generate`")
    if not (path / "manifest.json").is_file():
        raise InputError(f"{path}: is not finished; run the command that makes it again")
    return path / NAME


def iter_responses(path: str | Path) -> Iterator[Response | Refusal]:
    """The responses of a file or folder in its order, and a Refusal in the place of each row that cannot be used."""
    return (found if isinstance(found, Refusal) else found[0] for found in iter_with_columns(path))


def iter_with_columns(path: str | Path) -> Iterator[tuple[Response, Row] | Refusal]:
    """The same, each response with its tags and with the columns that are no field of it."""
    rows = 0
    for place, row in _placed(path):
        if isinstance(row, RowError):
            rows += 1
            yield Refusal(place, row.reason)
            continue
        rows += 1
        if rows == 1:
            _require_responses(row, place)
        try:
            response = parse(row)
        except RowError as error:
            yield Refusal(place, error.reason)
            continue
        others = {name: value for name, value in row.items() if name not in FIELDS and value is not None}
        yield response.model_copy(update={"source": place}), {**response.question.tags, **others}
    if rows == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")


def _placed(path: str | Path) -> Iterator[tuple[str, Row | RowError]]:
    """The rows of a file, of a step's folder, or of several files by a glob, with their places."""
    for part in files_of(path):
        file = responses_file(part)
        for number, row in read_rows(file):
            yield f"{file}:{number}", row


def parse(row: Row) -> Response:
    """One row as a response. Raises RowError."""
    for name in REQUIRED:
        if row.get(name) is None:
            raise RowError(f'has no "{name}"')
    if not isinstance(row["response"], str):
        raise RowError(f'"response" is {kind_of(row["response"])}, not text')
    said: dict[str, Any] = {name: row[name] for name in _SAID if row.get(name) is not None}
    tokens = row.get("tokens")
    if tokens is not None:
        if not isinstance(tokens, list):
            raise RowError(f'"tokens" is {kind_of(tokens)}, not a list of ids')
        said["tokens"] = tuple(tokens)
    if isinstance(said.get("temperature"), int):
        said["temperature"] = float(said["temperature"])
    try:
        usable(row["response"])
    except ValueError as error:
        raise RowError(f'"response" {error}') from error
    try:
        question = Question(prompt=prompt_of(row["prompt"]), tags=tags_of(row))
        return Response(question=question, text=row["response"], model=row.get("model") or UNKNOWN, **said)
    except ValidationError as error:
        raise RowError(reason_of(error)) from error


def matches(row: Row) -> bool:
    """A prompt with one answer under our name for it."""
    return "prompt" in row and "response" in row


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


def response_rows(responses: Iterable[Response]) -> Iterator[Row]:
    """Rows, for `write_jsonl`."""
    return (write(response) for response in responses)


def _require_responses(row: Row, place: str) -> None:
    """Raise InputError where the first row shows that the file holds something else."""
    missing = next((name for name in REQUIRED if name not in row), None)
    if missing is None:
        return
    keys = ", ".join(itertools.islice(sorted(row), 8)) or "no fields"
    close = difflib.get_close_matches(missing, list(row), n=1, cutoff=0.75)
    others = close or [name for name in _OTHER_NAMES if missing == "response" and name in row]
    cure = f'rename "{others[0]}"' if others else 'a row of responses needs "prompt" and "response"'
    raise InputError(f'{place}: has no "{missing}" (it has {keys}); {cure}')
