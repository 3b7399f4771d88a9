"""A judge's results on LLMBar: its verdict on every pair in both orders, beside the label.

    {"input": "…", "output_1": "…", "output_2": "…", "label": 2,
     "results": [{"swap = False": {"winner": "2"}, "swap = True": {"winner": "1"}}]}

`winner` names the output by its number in the row, whatever the order was in which it was shown. The judge is called as its file
is (`Natural_judge_gpt4`); the label becomes a judgment by "label" with the tag `gold`, which no check takes for a judge.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rather.errors import RowError
from rather.formats.llmbar import better_of
from rather.formats.values import Row, list_of, made, object_of, text_of, user_turn
from rather.records import Comparison, Judgment

FIELDS = frozenset({"input", "output_1", "output_2", "label", "results"})
REQUIRED = ("input", "output_1", "output_2", "label", "results")

_ORDERS = {"swap = False": False, "swap = True": True}
_UNNAMED = "llmbar judge"


def matches(row: Row) -> bool:
    """Two outputs with a label and results."""
    return "output_1" in row and "output_2" in row and "label" in row and "results" in row


def parse(row: Row) -> list[Judgment | RowError]:
    """The label, and a comparison for each order in which the judge was asked; an order without a verdict is refused alone."""
    label = better_of(row["label"], "label")
    said: list[Judgment | RowError] = [_comparison(row, label, "label", swapped=False)]
    for result in list_of(row["results"], "results"):
        for name, answer in object_of(result, "results").items():
            if name not in _ORDERS:
                raise RowError(f'"results" has a "{name}"; known are {", ".join(_ORDERS)}')
            try:
                winner = better_of(object_of(answer, name).get("winner"), f"{name} winner")
            except RowError as error:
                said.append(error)
                continue
            said.append(_comparison(row, winner, _UNNAMED, swapped=_ORDERS[name]))
    return said


def signed(record: Judgment, place: str) -> dict[str, Any]:
    """Who said it, which only the file's name tells."""
    return {"judge": Path(place.rpartition(":")[0]).stem} if record.judge == _UNNAMED else {}


def _comparison(row: Row, better: int, judge: str, *, swapped: bool) -> Comparison:
    gold = judge == "label"
    vote = made(
        Comparison,
        prompt=user_turn(row["input"], "input"),
        answers=(text_of(row["output_1"], "output_1"), text_of(row["output_2"], "output_2")),
        judge=judge,
        by="person" if gold else "model",
        verdict="a" if better == 1 else "b",
        tags={"gold": "label", "order": "unknown"} if gold else {},
    )
    return vote.swapped() if swapped else vote
