"""Rows that were not used: counted, listed and said, never dropped in silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rather.errors import InputError
from rather.progress import say


@dataclass(frozen=True)
class Refusal:
    """A row that was not used."""

    place: str
    reason: str


def rows_said(rows: int) -> str:
    """So many rows, in words."""
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def require_clean(refused: list[Refusal], rows: int) -> None:
    """Raise InputError for the first refused row: the user says `--skip-bad` or mends the file."""
    if refused:
        first = refused[0]
        count = f"{len(refused):,} of {rows_said(rows)}"
        cure = "remove the row or pass --skip-bad" if len(refused) < rows else "no row can be used"
        raise InputError(f"{first.place}: {first.reason}; {cure} ({count})")


def say_refused(refused: Sequence[Refusal], rows: int) -> None:
    """Tell the user how many rows were left out, and the first of them."""
    if refused:
        say(f"note: {len(refused):,} of {rows_said(rows)} refused; the first: {refused[0].place}: {refused[0].reason}")
