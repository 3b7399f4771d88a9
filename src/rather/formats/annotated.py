"""What exports of annotation tools share: a task's fields as a question and named answers, and what was said of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rather.errors import RowError
from rather.formats.preference import prompt_of
from rather.formats.values import made, number_of
from rather.formats.votes import WINNERS
from rather.records import Comparison, Judgment, Prompt, Ranking, Rating

_QUESTIONS = ("prompt", "instruction", "question", "input", "context", "conversation")


class Task:
    """A question and its answers under the names of their fields, in the file's order."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        name = next((name for name in _QUESTIONS if fields.get(name)), None)
        if name is None:
            raise RowError(f"has no question under any of {', '.join(_QUESTIONS)} (it has {', '.join(sorted(fields))})")
        self.prompt: Prompt = prompt_of(fields[name])
        self.answers = {
            key: value for key, value in fields.items() if key != name and isinstance(value, str) and value.strip()
        }

    def rated(self, of: str, score: Any, said: dict[str, Any], **more: Any) -> Judgment:
        """A rating; `of` is the name of the question that was rated, which tells the answer where there are several."""
        answer = self.answers[self._meant(of)]
        return made(Rating, prompt=self.prompt, answers=(answer,), score=number_of(score, of), **{**said, **more})

    def chosen(self, word: str, said: dict[str, Any], of: str) -> Judgment:
        """A comparison of two answers by the better one's name, or by left, right, tie and the like."""
        names = list(self.answers)
        if len(names) != 2:
            raise RowError(f'"{of}" says {word!r} of {len(names)} answers ({", ".join(names)}); a comparison has two')
        verdict = WINNERS.get(word.strip().lower())
        if word in names:
            verdict = "a" if names.index(word) == 0 else "b"
        if verdict is None:
            raise RowError(f'"{of}" says {word[:40]!r}, which is none of {", ".join((*names, *WINNERS))}')
        return made(Comparison, prompt=self.prompt, answers=tuple(self.answers.values()), verdict=verdict, **said)

    def ranked(self, places: Mapping[str, int], said: dict[str, Any], of: str) -> Judgment:
        """A ranking; answers without a place were left out."""
        unknown = next((name for name in places if name not in self.answers), None)
        if unknown is not None:
            raise RowError(f'"{of}" ranks "{unknown}", which is none of {", ".join(self.answers)}')
        ranks = tuple(places.get(name) for name in self.answers)
        return made(Ranking, prompt=self.prompt, answers=tuple(self.answers.values()), ranks=ranks, **said)

    def _meant(self, of: str) -> str:
        if len(self.answers) == 1:
            return next(iter(self.answers))
        fits = [name for name in self.answers if name in of] or [
            name for name in self.answers if _number(name) is not None and _number(name) == _number(of)
        ]
        if len(fits) != 1:
            raise RowError(f'"{of}" does not tell which of {", ".join(self.answers) or "no answers"} it is of')
        return fits[0]


def _number(name: str) -> str | None:
    found = re.search(r"\d+", name)
    return found.group() if found else None
