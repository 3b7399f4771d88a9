"""Values of rows: what they are called, and numbers and times as the field's files write them."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from rather.errors import RowError
from rather.records import Message, Record

Row = dict[str, Any]

# Seconds since 1970 beyond this lie in the year 5138: the file counts milliseconds.
_LATEST = 1e11


def kind_of(value: object) -> str:
    """A JSON value's kind in JSON's own words."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def short(value: object, width: int = 40) -> str:
    """A value as a message quotes it."""
    text = " ".join(str(value).split())
    return text if len(text) <= width else text[: width - 1] + "…"


def text_of(value: object, name: str) -> str:
    """A field that is text."""
    if not isinstance(value, str):
        raise RowError(f'"{name}" is {kind_of(value)}, not text')
    return value


def list_of(value: object, name: str) -> list[Any]:
    """A field that is a list."""
    if not isinstance(value, list):
        raise RowError(f'"{name}" is {kind_of(value)}, not a list')
    return value


def object_of(value: object, name: str) -> Row:
    """A field that is an object."""
    if not isinstance(value, dict):
        raise RowError(f'"{name}" is {kind_of(value)}, not an object')
    return value


def word_of(value: object, name: str) -> str:
    """A field that names something: text, or a number that stands for a name."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_of(value, name)


def number_of(value: object, name: str) -> float:
    """A finite number; a CSV file has it as text."""
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if value is None:
        raise RowError(f'has no "{name}"')
    if not math.isfinite(number):
        raise RowError(f'"{name}" is {short(value)!r}, not a number')
    return number


def time_of(value: object, name: str) -> float | None:
    """Seconds since 1970-01-01 UTC, from themselves or from ISO 8601; a time without a zone is taken as UTC."""
    if value is None:
        return None
    if isinstance(value, datetime):  # Parquet has a type for it
        return _utc(value)
    try:
        seconds = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else None
    except (ValueError, OverflowError):
        seconds = None
    if seconds is None:
        try:
            return _utc(datetime.fromisoformat(value)) if isinstance(value, str) else _no_time(value, name)
        except ValueError:
            return _no_time(value, name)
    if not math.isfinite(seconds):
        return _no_time(value, name)
    if abs(seconds) > _LATEST:
        raise RowError(f'"{name}" is {short(value)}: as seconds since 1970 that is no date; are these milliseconds?')
    return seconds


def user_turn(text: object, name: str) -> tuple[Message, ...]:
    """A prompt of one question."""
    return (made(Message, role="user", content=text_of(text, name)),)


RecordT = TypeVar("RecordT", bound=Record)


def made(kind: type[RecordT], **fields: Any) -> RecordT:
    """A record of these fields, or a RowError that says which cannot be used and why."""
    try:
        return kind(**fields)
    except ValidationError as error:
        raise RowError(reason_of(error)) from error


def reason_of(error: ValidationError) -> str:
    """The first complaint of pydantic in a row's own words."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f'"{place}" {message}' if place else message


def _utc(when: datetime) -> float:
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _no_time(value: object, name: str) -> float:
    raise RowError(f'"{name}" is {short(value)!r}; a time is seconds since 1970 or ISO 8601, as 2024-05-01T12:00:00Z')
