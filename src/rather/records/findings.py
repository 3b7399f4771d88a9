"""What the audit has to say, in words, in numbers, and as something that can be drawn."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rather.records.base import Record

Verdict = Literal["pass", "warn", "stop"]


class Shown(Record):
    """One record that a finding points at: where it stands, and what it says (cut to what a reader takes in)."""

    place: str
    """`file:line`, or the record's id where it came from no file."""
    why: str = ""
    """What is wrong with this one, in a few words; may hold its number ("3.1 times as long")."""
    prompt: str = ""
    chosen: str = ""
    rejected: str = ""


class Histogram(Record):
    """Counts between edges; `groups` are drawn over each other, each with as many counts as there are bins."""

    kind: Literal["histogram"] = "histogram"
    title: str
    unit: str
    edges: tuple[float, ...]
    groups: dict[str, tuple[int, ...]]
    mark: float | None = None
    """Where nothing would be found (0 for a difference)."""


class Curves(Record):
    """Lines through points: a ROC, a learning curve. Points are (x, y); the band of a line its intervals, (x, low, high)."""

    kind: Literal["curves"] = "curves"
    title: str
    x: str
    y: str
    lines: dict[str, tuple[tuple[float, float], ...]]
    bands: dict[str, tuple[tuple[float, float, float], ...]] = Field(default_factory=dict)
    diagonal: bool = False


class Bars(Record):
    """Named values with intervals: the guilty words, annotators' reliability, shares of topics."""

    kind: Literal["bars"] = "bars"
    title: str
    unit: str
    names: tuple[str, ...]
    values: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    mark: float | None = None


class Map(Record):
    """Points on a plane, each of a named group; `labels` name the groups at their middles."""

    kind: Literal["map"] = "map"
    title: str
    points: tuple[tuple[float, float], ...]
    groups: tuple[str, ...]


Plot = Annotated[Histogram | Curves | Bars | Map, Field(discriminator="kind")]


class Finding(Record):
    """One thing that the audit has to say."""

    check: str
    verdict: Verdict
    message: str
    cure: str = ""
    count: int = 0
    total: int = 0
    examples: tuple[Shown, ...] = ()
    evidence: dict[str, Any] = Field(default_factory=dict)
    plots: tuple[Plot, ...] = ()
