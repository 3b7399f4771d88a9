"""What there is to judge, prompt by prompt: the answers of a file of responses, or the events of a log."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rather.errors import ConfigError
from rather.formats import Refusal, iter_judgments
from rather.formats.responses import iter_with_columns
from rather.formats.rows import Row
from rather.judging.base import Candidates
from rather.judging.behaviour import Happened
from rather.records import Event, Question, Response


@dataclass
class Given:
    """What a file holds, prompt by prompt, and what of it cannot be judged.

    groups   Candidates, or for a log of events Happened
    merged   answers that repeat another one to their prompt
    """

    groups: list[Any]
    refused: list[Refusal]
    rows: int
    merged: int


def read_candidates(source: str | Path, *, limit: int | None = None) -> Given:
    """The answers of a file or folder, grouped by prompt in the order in which prompts first appear.

    Equal answers to one prompt are one. An answer that says nothing is refused: no judgment could tell what it is of.
    """
    _require_positive(limit)
    groups: dict[str, _Group] = {}
    given = Given([], [], 0, 0)
    for found in iter_with_columns(source):
        given.rows += 1
        if isinstance(found, Refusal):
            given.refused.append(found)
            continue
        response, columns = found
        if not response.text.strip():
            given.refused.append(Refusal(response.source or response.id, "the response is empty"))
            continue
        if response.question.id not in groups and limit is not None and len(groups) >= limit:
            continue
        group = groups.setdefault(response.question.id, _Group(response.question))
        if response.text in group.answers:
            given.merged += 1
        else:
            group.answers[response.text] = (response, columns)
    given.groups = [group.candidates() for group in groups.values()]
    return given


@dataclass
class _Group:
    question: Question
    answers: dict[str, tuple[Response, Row]] = field(default_factory=dict)

    def candidates(self) -> Candidates:
        responses, columns = zip(*self.answers.values(), strict=True)
        return Candidates(self.question, responses, columns)


def read_events(source: str | Path, *, limit: int | None = None) -> Given:
    """The events of a log, grouped by prompt in the order in which prompts first appear."""
    _require_positive(limit)
    groups: dict[str, list[Event]] = {}
    given = Given([], [], 0, 0)
    for found in iter_judgments(source):
        given.rows += 1
        if isinstance(found, Refusal):
            given.refused.append(found)
        elif not isinstance(found, Event):
            given.refused.append(Refusal(found.source or found.id, f"is a {found.kind}; behaviour reads events"))
        elif found.prompt_id in groups or limit is None or len(groups) < limit:
            groups.setdefault(found.prompt_id, []).append(found)
    given.groups = [Happened(events[0].prompt, tuple(events)) for events in groups.values()]
    return given


def _require_positive(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
