"""What goes over the wire, as pydantic models: they check what comes in, and describe both ways on the API's page."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from rather.annotation.accounts import INVITATION_DAYS, LONGEST_PASSWORD, MOST_USES, Role
from rather.annotation.queue import MOST_HELD
from rather.annotation.receipts import Past, Receipt, Shown
from rather.annotation.tasks import Key, Number, Said, Vote

Held = Annotated[list[Number], Field(max_length=MOST_HELD)]
Name = Annotated[str, StringConstraints(max_length=200)]
Secret = Annotated[str, StringConstraints(max_length=LONGEST_PASSWORD)]


class Shape(BaseModel):
    """Base of all: closed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SignIn(Shape):
    """A name and its password."""

    name: Name
    password: Secret


class Join(Shape):
    """An invitation; a name and a password for a new account, neither for an account's own key."""

    token: Annotated[str, StringConstraints(max_length=200)]
    name: Name | None = None
    password: Secret | None = None


class Me(Shape):
    """Who is signed in; `csrf` goes into the header X-CSRF-Token of every request that changes something."""

    id: int
    name: str
    role: Role
    csrf: str


class Next(Shape):
    """Ask for what to judge next; `holding`: items that you have already and have not voted on."""

    holding: Held = Field(default_factory=list)


class VoteAndNext(Vote):
    """A vote; with `next`, the reply holds the next task, other than those of `holding`."""

    next: bool = False
    holding: Held = Field(default_factory=list)


class Skip(Shape):
    """Cannot judge this."""

    item: Number
    key: Key
    reason: Said = ""


class Page(Shape):
    """Which part of a list: events before this one, at most so many."""

    before: Number | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class NewInvitation(Shape):
    """An invitation for so many accounts of this role (one), for so many days. With `name` and no `uses`, one account's key."""

    role: Role = "annotator"
    uses: Annotated[int, Field(ge=1, le=MOST_USES)] | None = None
    days: Annotated[float, Field(gt=0, le=365)] = INVITATION_DAYS
    name: Name | None = None


class Token(Shape):
    """An invitation's token; it is shown once."""

    token: str
    path: str


class Turn(Shape):
    """A turn of a conversation."""

    role: str
    content: str


class Task(Shape):
    """An item as you see it: text or a conversation, and the answers in your order."""

    item: int
    kind: Literal["compare", "rank", "rate", "edit"]
    prompt: str | list[Turn]
    answers: list[str]


class Given(Shape):
    """A task, or null where there is none for you now."""

    task: Task | None


class Accepted(Shape):
    """The vote is on disk as this event. Of a gold item, whether it was right, and why."""

    event: int
    item: int
    at: float
    right: bool | None
    why: str | None


class AcceptedAndNext(Shape):
    """A receipt and, if it was asked for, the next task."""

    receipt: Accepted
    task: Task | None


class PastVote(Shape):
    """A vote or skip of yours as it stands now; what was said is of the answers in your order."""

    event: int
    at: float
    kind: Literal["voted", "revised", "skipped"]
    task: Task
    said: dict[str, Any]


class History(Shape):
    """The latest first."""

    votes: list[PastVote]


class HowFar(Shape):
    """Yours, and everybody's; `failed`: too few qualification items were right."""

    voted: int
    skipped: int
    items: int
    finished: int
    votes: int
    failed: bool


class Asking(Shape):
    """How you are asked: aspects with their lowest and highest scores, whether ties and strength are taken, and how to judge."""

    title: str
    guidelines: str
    ties: bool
    strength: bool
    aspects: dict[str, Annotated[list[int], Field(min_length=2, max_length=2)]]


class Person(Shape):
    """An account."""

    id: int
    name: str
    role: Role
    active: bool
    has_password: bool


class People(Shape):
    """All accounts."""

    accounts: list[Person]


class Change(Shape):
    """Another role, or in or out."""

    role: Role | None = None
    active: bool | None = None


class Done(Shape):
    """It is done."""

    done: bool = True


def task_of(shown: Shown | None) -> dict[str, Any] | None:
    """A task as JSON; nobody is named in it."""
    if shown is None:
        return None
    item = shown.item
    return {"item": item.id, "kind": item.kind, "prompt": item.prompt, "answers": shown.answers}


def receipt_of(receipt: Receipt) -> dict[str, Any]:
    """A receipt as JSON."""
    return {
        "event": receipt.event,
        "item": receipt.item,
        "at": receipt.at,
        "right": receipt.right,
        "why": receipt.why,
    }


def past_of(past: Past) -> dict[str, Any]:
    """A past vote as JSON."""
    return {
        "event": past.event,
        "at": past.at,
        "kind": past.kind,
        "task": task_of(past.shown),
        "said": past.said,
    }
