"""UltraFeedback: several models' completions, each rated by GPT-4 from 1 to 5 by aspect, and from 1 to 10 as a whole.

    {"instruction": "…", "completions": [{"model": "…", "response": "…", "overall_score": 7.5,
     "annotations": {"helpfulness": {"Rating": "4", …}, "honesty": {…}, …}}]}

Where an `overall_score` is 10 the published file may mean 1: its scores were cut at a point that "1" has not. The authors' own
mending keeps a 10 only if the aspects' mean is above 4; so does this reader, and refuses the others. "N/A" is no rating.
"""

from __future__ import annotations

from typing import Any

from rather.errors import RowError
from rather.formats.values import Row, list_of, made, number_of, object_of, text_of, user_turn
from rather.records import Judgment, Rating

FIELDS = frozenset({"instruction", "completions", "models", "source", "correct_answers", "incorrect_answers"})
REQUIRED = ("instruction", "completions")

JUDGE = "gpt-4"
_WRONG_TEN, _TRUSTED_FROM = 10.0, 4.0


def matches(row: Row) -> bool:
    """Completions that are objects beside an instruction."""
    completions = row.get("completions")
    return (
        "instruction" in row
        and isinstance(completions, list)
        and bool(completions)
        and isinstance(completions[0], dict)
    )


def parse(row: Row) -> list[Judgment | RowError]:
    """One row is a rating for each aspect of each completion, and one of the whole."""
    prompt = user_turn(row["instruction"], "instruction")
    found: list[Judgment | RowError] = []
    for place, value in enumerate(list_of(row["completions"], "completions"), start=1):
        try:
            found += _rated(prompt, object_of(value, f"completion {place}"), place)
        except RowError as error:
            found.append(error)
    return found


def _rated(prompt: Any, completion: Row, place: int) -> list[Judgment | RowError]:
    name = f"completion {place}"
    answer = text_of(completion.get("response"), f"{name} response")
    common: dict[str, Any] = {"prompt": prompt, "answers": (answer,), "judge": JUDGE, "by": "model"}
    if completion.get("model") is not None:
        common["models"] = (text_of(completion["model"], f"{name} model"),)
    scores = _aspects(completion.get("annotations"), name)
    found: list[Judgment | RowError] = [
        made(Rating, **common, aspect=aspect, score=score, scale=(1.0, 5.0)) for aspect, score in scores.items()
    ]
    if completion.get("overall_score") is None:
        return found
    overall = number_of(completion["overall_score"], f"{name} overall_score")
    mean = sum(scores.values()) / len(scores) if scores else 0.0
    if overall == _WRONG_TEN and mean <= _TRUSTED_FROM:
        aspects = f"its aspects average {mean:.2g} of 5" if scores else "no aspect was rated beside it"
        return [*found, RowError(f"{name} has the overall_score 10, but {aspects}: a known defect wrote 10 for 1")]
    return [*found, made(Rating, **common, score=overall, scale=(1.0, 10.0))]


def _aspects(annotations: Any, name: str) -> dict[str, float]:
    """aspect → rating, without those that GPT-4 found not to apply."""
    scores = {}
    for aspect, said in object_of(annotations or {}, f"{name} annotations").items():
        rating = said.get("Rating") if isinstance(said, dict) else said
        if rating not in (None, "N/A"):
            scores[aspect] = number_of(rating, f"{name} {aspect} Rating")
    return scores
