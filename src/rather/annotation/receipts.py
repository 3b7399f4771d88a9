"""What people get back: an item as they see it, a receipt, what they said before, how far they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rather.annotation.tasks import Item


@dataclass(frozen=True)
class Shown:
    """An item as one viewer sees it: answers in their order, nobody named."""

    item: Item
    order: list[int]

    @property
    def answers(self) -> list[str]:
        return [self.item.answers[place] for place in self.order]


@dataclass(frozen=True)
class Receipt:
    """What is on disk: the event's number and time; of a gold item, whether it was right and why."""

    event: int
    item: int
    at: float
    right: bool | None = None
    why: str | None = None


@dataclass(frozen=True)
class Past:
    """A vote or skip of one's own, as it stands now."""

    shown: Shown
    kind: str
    said: dict[str, Any]
    at: float
    event: int


@dataclass(frozen=True)
class Progress:
    """How far an annotator is, and the project. `waiting`: nothing to do now, but items that others hold may come back."""

    voted: int
    skipped: int
    items: int
    finished: int
    votes: int
    failed: bool
