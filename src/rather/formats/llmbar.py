"""LLMBar: an instruction, two outputs, and which of them follows it, by an objective label.

    {"input": "…", "output_1": "…", "output_2": "…", "label": 2}

`label` is 1 or 2, the number of the better output.
"""

from __future__ import annotations

from rather.errors import RowError
from rather.formats.preference import make_pair
from rather.formats.values import Row, short, text_of, user_turn
from rather.records import Pair

FIELDS = frozenset({"input", "output_1", "output_2", "label"})
REQUIRED = ("input", "output_1", "output_2", "label")


def matches(row: Row) -> bool:
    """Two outputs and a label; with `results` it is a judge's file."""
    return "input" in row and "output_1" in row and "output_2" in row and "label" in row and "results" not in row


def parse(row: Row) -> Pair:
    """One row as a pair."""
    first, second = text_of(row["output_1"], "output_1"), text_of(row["output_2"], "output_2")
    better, worse = (first, second) if better_of(row["label"], "label") == 1 else (second, first)
    return make_pair(user_turn(row["input"], "input"), better, worse, {})


def better_of(value: object, name: str) -> int:
    """The number of the better output, 1 or 2; a file may have it as text."""
    number = int(value) if isinstance(value, str) and value in ("1", "2") else value
    if isinstance(number, bool) or number not in (1, 2):
        raise RowError(f'"{name}" is {short(value)!r}; it must be 1 or 2, the number of the better output')
    return int(str(number))
