"""Votes whose answers' texts are not at hand, for what can be said of votes alone: who agrees, who favours a side.

    id,worker,winner,left,right
    7,58,right,Airoboros L2 70B,Weaver 12k

The answers are called by what wrote them (`left` and `right`, else `model_x` and `model_y`), the question by the column `prompt` or
by the pair's `id`. Nothing but the audit reads them so, and it says nothing of such answers' lengths. The tag `texts` is `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rather.formats.refusals import Refusal
from rather.formats.values import Row, made, time_of, word_of
from rather.formats.votes import each_vote, kind_of_judge, verdict_of, voter_column
from rather.records import By, Comparison

_MODELS = (("left", "right"), ("model_x", "model_y"), ("model_a", "model_b"))


def is_votes(row: Row) -> bool:
    """True of a vote on a pair that stands in another file."""
    return "id" in row and "winner" in row


def read_bare_votes(
    votes: str | Path, *, judge: str | None = None, by: By | None = None
) -> Iterator[Comparison | Refusal]:
    """Every vote as a comparison of named answers, and a Refusal for each that cannot be used: `read_votes` without its pairs."""
    return each_vote(votes, lambda row: _vote(row, judge, by), judge, by)


def _vote(row: Row, judge: str | None, by: By | None) -> Comparison:
    pair = word_of(row.get("id"), "id")
    models = next((names for names in _MODELS if names[0] in row and names[1] in row), None)
    prompt = f"question {word_of(row['prompt'], 'prompt')}" if "prompt" in row and models else f"pair {pair}"
    names = (
        ("left", "right")
        if models is None
        else (word_of(row[models[0]], models[0]), word_of(row[models[1]], models[1]))
    )
    return made(
        Comparison,
        prompt=prompt,
        answers=(f"answer of {names[0]}", f"answer of {names[1]}"),
        models=None if models is None else names,
        judge=judge or word_of(row.get(voter_column(row) or ""), "worker"),
        by=kind_of_judge(row, by),
        verdict=verdict_of(row.get("winner"), "winner"),
        at=time_of(row.get("time"), "time"),
        tags={"pair": pair, "texts": "unknown"},
    )
