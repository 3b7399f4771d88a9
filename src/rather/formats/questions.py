"""What is to be asked, one question at a time: a line of text, a row with a `prompt`, or the prompt of a pair.

    questions.txt     a question a line, asked as a user's turn
    questions.jsonl   {"prompt": "…" or turns, "tools": [ … ], "tags": {"kind": "identity"}}
    any file of pairs, ranked lists, single answers or responses: its prompts

Text is UTF-8, plain or gzipped.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

from rather.errors import InputError, RowError
from rather.formats import READERS
from rather.formats.preference import prompt_of, reason_of, tags_of
from rather.formats.refusals import Refusal
from rather.formats.rows import Row, read_rows
from rather.formats.sources import files_of
from rather.formats.tools import tools_of, with_tools
from rather.records import Message, Question

Placed = tuple[str, Question]
"""A question, and where it stands (file:line)."""


def iter_questions(path: str | Path) -> Iterator[Placed | Refusal]:
    """The questions of a file, or of several by a glob, with their places, and a Refusal for each row that holds none.

    Raises InputError where the file as a whole cannot be read, or holds no row.
    """
    count = 0
    for place, row in _placed(path):
        count += 1
        try:
            if isinstance(row, RowError):
                raise row
            yield place, question_of(row)
        except RowError as error:
            yield Refusal(place, error.reason)
    if count == 0:
        raise InputError(f"{path}: holds no question; write one a line, or rows with a prompt")


def _placed(path: str | Path) -> Iterator[tuple[str, Row | RowError]]:
    """The rows of a file, or of several by a glob, with their places."""
    for part in files_of(path):
        rows = _lines(part) if part.name.removesuffix(".gz").endswith(".txt") else read_rows(part)
        for number, row in rows:
            yield f"{part}:{number}", row


def question_of(row: Row) -> Question:
    """The question that a row asks, whatever else it says. Raises RowError where there is none."""
    reader = next((module for module in READERS.values() if module.matches(row)), None)
    if reader is not None and row.get("prompt") is None:  # the prompt stands inside of both sides
        for name in reader.REQUIRED:
            if name not in row:
                raise RowError(f'has no "{name}"')
        example = reader.parse(row)
        return Question(prompt=example.prompt, tags=example.tags)
    if row.get("prompt") is None:
        keys = ", ".join(sorted(row)[:8]) or "no fields"
        raise RowError(f'has no "prompt" (it has {keys})')
    try:
        tools = tools_of(row.get("tools"), row["prompt"])
        prompt = with_tools(prompt_of(row["prompt"], tools=tools is not None), tools)
        return Question(prompt=prompt, tags=tags_of(row))
    except ValidationError as error:
        raise RowError(reason_of(error)) from error


def as_chat(question: Question) -> Question:
    """The same question with a plain-text prompt as a user's turn."""
    if not isinstance(question.prompt, str):
        return question
    return question.model_copy(update={"prompt": (Message(role="user", content=question.prompt),)})


def _lines(path: Path) -> Iterable[tuple[int, Row]]:
    """The lines of a text file as rows, empty ones left out."""
    if not path.exists():
        raise InputError(f"{path}: no such file")
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield number, {"prompt": [{"role": "user", "content": text}]}
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8; save it as UTF-8") from error
    except (EOFError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
