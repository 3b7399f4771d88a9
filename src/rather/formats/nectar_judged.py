"""Nectar's ranked lists as judgments: one ranking by GPT-4, equal ranks as ties.

The published lists stand best first, whatever the order was in which GPT-4 saw them: the judgments have the tag `order: unknown`.
"""

from __future__ import annotations

from rather.formats import nectar
from rather.formats.values import Row, made
from rather.records import Judgment, Ranking

FIELDS, REQUIRED, matches = nectar.FIELDS, nectar.REQUIRED, nectar.matches


def parse(row: Row) -> list[Judgment]:
    """One row is one ranking."""
    texts, models, ranks = zip(*nectar.answers_of(row), strict=True) if row["answers"] else ((), (), ())
    return [
        made(
            Ranking,
            prompt=nectar.prompt_of(row["prompt"]),
            answers=texts,
            models=models,
            ranks=ranks,
            judge="gpt-4",
            by="model",
            tags={"order": "unknown"},
        )
    ]
