"""A vote in words of the reader's language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rather.annotation.tasks import OVERALL
from rather.annotation.web.texts import Texts

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def told(t: Texts, said: Mapping[str, Any]) -> str:
    """What a vote said, as `B slightly better`, `B > A = C`, `tone 3`, or the text that was written."""
    if "verdict" in said:
        return _verdict(t, said)
    if "ranks" in said:
        return _ranking(said["ranks"])
    if "scores" in said:
        return ", ".join(
            f"{t('task.overall') if name == OVERALL else name} {score}"
            for name, score in sorted(said["scores"].items())
        )
    if "text" in said:
        return said["text"]
    return t("history.skipped")


def _verdict(t: Texts, said: Mapping[str, Any]) -> str:
    verdict = said["verdict"]
    if verdict not in ("a", "b"):
        return t(f"task.{verdict}")
    letter = verdict.upper()
    return (
        t(f"task.strength_{said['strength']}", letter=letter) if "strength" in said else t("task.better", letter=letter)
    )


def _ranking(ranks: list[int | None]) -> str:
    places = sorted({rank for rank in ranks if rank is not None})
    return " > ".join(
        " = ".join(_LETTERS[answer] for answer, rank in enumerate(ranks) if rank == place) for place in places
    )
