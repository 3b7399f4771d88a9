"""What somebody said of answers: what cannot be right cannot be made."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rather.records import Comparison, Event, Judgment, Pair, Ranking, Rating


def test_the_order_in_which_answers_were_shown_is_part_of_a_comparison() -> None:
    seen = Comparison(prompt="Q", answers=("yes", "no"), models=("m1", None), judge="anna", verdict="a")
    other = seen.swapped()
    assert (other.answers, other.models, other.verdict) == (("no", "yes"), (None, "m1"), "b")
    assert other.swapped() == seen
    assert other.id != seen.id


@pytest.mark.parametrize("verdict", ["tie", "both_bad"])
def test_a_tie_is_a_label(verdict: Any) -> None:
    assert Comparison(prompt="Q", answers=("yes", "no"), judge="anna", verdict=verdict).swapped().verdict == verdict


def test_an_answer_that_says_nothing_can_be_judged() -> None:
    vote = Comparison(prompt="Q", answers=("a", " \n"), judge="anna", verdict="a")
    assert vote.swapped().answers == (" \n", "a")
    assert Rating(prompt="Q", answers=("",), judge="anna", score=0.0).answer == ""


def test_an_id_is_of_what_was_said_and_not_of_where_it_stood() -> None:
    vote = Rating(prompt="Q", answers=("yes",), judge="anna", score=3.0, at=1.0)
    assert vote.id == vote.model_copy(update={"source": "f:1"}).id
    assert vote.id != vote.model_copy(update={"at": 2.0}).id  # the same said twice is two votes
    assert vote.prompt_id == Comparison(prompt="Q", answers=("a", "b"), judge="x", verdict="a").prompt_id
    assert vote.id != Pair(prompt="Q", chosen="a", rejected="b").id


@pytest.mark.parametrize(
    ("kind", "fields", "reason"),
    [
        (Comparison, {"answers": ("a",), "verdict": "a"}, "1 answers; a comparison has two"),
        (Comparison, {"answers": ("a", "a"), "verdict": "tie"}, "the same text"),
        (Comparison, {"answers": (" ", " "), "verdict": "a"}, "the same text"),
        (Comparison, {"answers": ("a", "b\x00"), "verdict": "a"}, "NUL"),
        (Comparison, {"answers": ("a", "b"), "verdict": "left"}, "Input should be"),
        (Comparison, {"answers": ("a", "b"), "verdict": "a", "models": ("m",)}, "1 models for 2 answers"),
        (Ranking, {"answers": ("a", "b"), "ranks": (1,)}, "1 places for 2 answers"),
        (Ranking, {"answers": ("a", "b"), "ranks": (1, None)}, "fewer than two answers have a place"),
        (Ranking, {"answers": ("a", "b"), "ranks": (0, 1)}, "greater than or equal to 1"),
        (Rating, {"answers": ("a", "b"), "score": 1.0}, "2 answers; this kind of judgment is of one"),
        (Rating, {"answers": ("a",), "score": 11.0, "scale": (1.0, 10.0)}, "11 is outside the scale, 1 to 10"),
        (Rating, {"answers": ("a",), "score": 1.0, "scale": (1.0, 1.0)}, "has no room"),
        (Rating, {"answers": ("a",), "score": float("nan")}, "finite"),
        (Event, {"answers": ("a",), "event": "edit"}, 'an "edit" has a "text"'),
        (Event, {"answers": ("a",), "event": "like", "value": 3.0}, 'a "dwell" has a "value"'),
    ],
)
def test_what_cannot_be_right_cannot_be_made(kind: type[Judgment], fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        kind(prompt="Q", judge="anna", **fields)
