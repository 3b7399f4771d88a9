"""What goes over the wire, as pydantic models: they check what comes in, and describe both ways in the API's description."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rather.records import EventName

MOST_EVENTS = 1000

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Text = Annotated[str, StringConstraints(min_length=1)]


class Shape(BaseModel):
    """Base of all: closed and strict."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Turn(Shape):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class HappenedOnce(Shape):
    """What a user did with one answer. An answer counts from the event "shown" on: send it for every answer that a user sees."""

    user: Name = Field(description="Who did it, as your service names its users; kept as a pseudonym.")
    prompt: Text | Annotated[list[Turn], Field(min_length=1)] = Field(
        description="The question, or the turns before the answer."
    )
    response: Text = Field(description="The answer, word for word.")
    event: EventName
    position: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description='Of "shown": place on the page, 1 the first; needed to correct for it.'
    )
    value: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description='Of "dwell": seconds.'
    )
    text: Text | None = Field(default=None, description='Of "edit": what the user made of the answer.')
    time: Annotated[float, Field(allow_inf_nan=False)] | Text | None = Field(
        default=None, description="When: seconds since 1970, or ISO 8601. Not given: now."
    )
    model: Name | None = Field(default=None, description="Which model wrote the answer.")


class Events(Shape):
    """Events of one or many users: all are kept, or none. Sending some again does no harm: one user is one voice for an answer."""

    events: Annotated[list[HappenedOnce], Field(min_length=1, max_length=MOST_EVENTS)]


class Kept(Shape):
    """How many events are on disk now."""

    kept: int


class Alive(Shape):
    """The collector listens."""

    alive: bool


class Problem(Shape):
    """What went wrong: a code for programs, a sentence for people."""

    code: str
    message: str


class Refused(Shape):
    """An error."""

    error: Problem
