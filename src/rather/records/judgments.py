"""What somebody or something said of answers: comparisons, rankings, ratings and events, all of them Judgments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from rather.records.base import Finite, NonBlank, Probability, Record, Text, content_id
from rather.records.conversation import Prompt, plain

JudgmentKind = Literal["comparison", "ranking", "rating", "event"]
By = Literal["person", "model", "metric", "behaviour"]
Preference = Literal["a", "b", "tie", "both_bad"]
EventName = Literal["shown", "like", "dislike", "bookmark", "copy", "edit", "regenerate", "dwell"]

ORDER = "order"
NO_ORDER = frozenset({"unknown", "both"})
"""Values of the tag `order` by which nobody saw the answers in the order in which they stand: the file does not tell in which they
were shown, or the judgment sums up what was said in both orders."""

Place = Annotated[int, Field(ge=1)]
Seconds = Annotated[Finite, Field(ge=0)]


class Judgment(Record):
    """What `judge` said of `answers` to one prompt.

    answers     in the order in which they were shown: a judge's side bias cannot be seen otherwise. One may be empty: that a
                model said nothing is a fact about it, though no pair is made of it
    models      who wrote each answer, where it is known
    judge       who said it: a person's id, a model's name, a metric's
    by          what kind of judge that is
    aspect      what was judged, where it was not the answer as a whole
    confidence  the probability that the judge itself gives to what it says
    at          when: seconds since 1970-01-01 UTC
    seconds     how long it took
    source      where it came from (file:line); no part of the id
    """

    kind: ClassVar[JudgmentKind]

    prompt: Prompt
    answers: tuple[Text, ...]
    models: tuple[Text | None, ...] | None = None
    judge: NonBlank
    by: By = "person"
    aspect: NonBlank | None = None
    confidence: Probability | None = None
    at: Finite | None = None
    seconds: Seconds | None = None
    tags: dict[Text, Text] = Field(default_factory=dict)
    source: str | None = None

    @property
    def id(self) -> str:
        """Of everything that was said: the same vote given twice at two times is two votes."""
        said = self.model_dump(exclude={"source", "prompt"}, exclude_none=True)
        return content_id([self.kind, plain(self.prompt), said])

    @property
    def prompt_id(self) -> str:
        """The prompt's, as of a Question."""
        return content_id(plain(self.prompt))

    @property
    def sided(self) -> bool:
        """True if the judge saw the answers in the order in which they stand here."""
        return saw_an_order(self.by, self.tags)

    @model_validator(mode="after")
    def _fits(self) -> Judgment:
        if self.models is not None and len(self.models) != len(self.answers):
            raise ValueError(f"{len(self.models)} models for {len(self.answers)} answers; there must be one for each")
        if len(set(self.answers)) < len(self.answers):
            raise ValueError("two of the answers are the same text, which no judgment can tell apart")
        self._check()
        return self

    def _check(self) -> None:
        """Raise ValueError where the kind's own fields do not fit its answers."""
        raise NotImplementedError


class Comparison(Judgment):
    """Which of two answers is better. A tie is a label, and so is that both are bad."""

    kind: ClassVar[JudgmentKind] = "comparison"

    verdict: Preference

    def _check(self) -> None:
        if len(self.answers) != 2:
            raise ValueError(f"{len(self.answers)} answers; a comparison has two")

    def swapped(self) -> Comparison:
        """The same judgment as if the answers had been shown in the other order."""
        verdict: dict[Preference, Preference] = {"a": "b", "b": "a", "tie": "tie", "both_bad": "both_bad"}
        models = None if self.models is None else self.models[::-1]
        changed: dict[str, Any] = {"answers": self.answers[::-1], "models": models, "verdict": verdict[self.verdict]}
        return self.model_copy(update=changed)


class Ranking(Judgment):
    """Places of several answers, 1 the best; equal places are ties, None is an answer that was left out."""

    kind: ClassVar[JudgmentKind] = "ranking"

    ranks: tuple[Place | None, ...]

    def _check(self) -> None:
        if len(self.ranks) != len(self.answers):
            raise ValueError(f"{len(self.ranks)} places for {len(self.answers)} answers; there must be one for each")
        if sum(rank is not None for rank in self.ranks) < 2:
            raise ValueError("fewer than two answers have a place, so nothing is ranked")


class Rating(Judgment):
    """One answer's score. With a `scale`, the lowest and the highest that the judge could give, others are refused."""

    kind: ClassVar[JudgmentKind] = "rating"

    score: Finite
    scale: tuple[Finite, Finite] | None = None

    @property
    def answer(self) -> str:
        return self.answers[0]

    def _check(self) -> None:
        _one(self.answers)
        if self.scale is not None:
            low, high = self.scale
            if not low < high:
                raise ValueError(f"a scale from {low:g} to {high:g} has no room")
            if not low <= self.score <= high:
                raise ValueError(f"{self.score:g} is outside the scale, {low:g} to {high:g}")


class Event(Judgment):
    """What a user (`judge`) did with one answer.

    position  place on the page, 1 the first; needed to correct for it
    value     of `dwell`, seconds
    text      of `edit`, what the user made of the answer
    """

    kind: ClassVar[JudgmentKind] = "event"

    event: EventName
    by: By = "behaviour"
    position: Place | None = None
    value: Seconds | None = None
    text: NonBlank | None = None

    @property
    def answer(self) -> str:
        return self.answers[0]

    def _check(self) -> None:
        _one(self.answers)
        if (self.text is not None) != (self.event == "edit"):
            raise ValueError('an "edit" has a "text", and nothing else has')
        if (self.value is not None) != (self.event == "dwell"):
            raise ValueError('a "dwell" has a "value" in seconds, and nothing else has')


def saw_an_order(by: By, tags: Mapping[str, str]) -> bool:
    """True if a judgment of such a judge with these tags says in which order its answers were shown; metrics and logs see none."""
    return by in ("person", "model") and tags.get(ORDER) not in NO_ORDER


def _one(answers: tuple[str, ...]) -> None:
    if len(answers) != 1:
        raise ValueError(f"{len(answers)} answers; this kind of judgment is of one")
