"""What records can be written as. A target that cannot hold what a record says refuses it: nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rather.errors import RowError
from rather.formats import (
    alpaca,
    alpacaeval,
    arena,
    events,
    hh,
    judged,
    nectar,
    openai,
    preference,
    ratings,
    sharegpt,
    unpaired,
)
from rather.formats.values import Row
from rather.formats.writing import WRITERS
from rather.records import JUDGED, ORDER, By, Example, Judgment

PLURALS = {"pair": "pairs", "list": "ranked lists", "sample": "single answers"}
JUDGMENTS = {"comparison": "comparisons", "ranking": "rankings", "rating": "ratings", "event": "events"}


@dataclass(frozen=True)
class Target:
    """A form to write.

    about  one line for the docs
    takes  the kinds of records that it can hold
    write  record → row; raises RowError for one that it cannot hold
    keeps  which of `probability`, `margin` and `weight` it has a place for; of a judgment, of what it may say besides
    tags   True if it has a place for tags
    by     what kind of judge its reader takes those of judgments for
    """

    about: str
    takes: tuple[str, ...]
    write: Callable[[Any], Row]
    keeps: tuple[str, ...] = ()
    tags: bool = False
    by: By | None = None

    def unkept(self, record: Example | Judgment) -> list[str]:
        """What a record says by the way, and the form has no place for."""
        if isinstance(record, Example) or self.by is None:
            return ["tags"] if record.tags and not self.tags else []
        found = ["tags"] if record.tags.keys() - {*self.keeps, ORDER} else []
        found += [name for name in _BESIDE if name not in self.keeps and getattr(record, name) is not None]
        if record.by != self.by:
            found.append("by")
        if len(record.answers) > 1 and record.sided != (ORDER in self.keeps):
            found.append("the order shown" if record.sided else "that the order shown is not known")
        return found

    def row(self, name: str, record: Example | Judgment) -> Row:
        """The record's row. Raises RowError for what it says and the form `name` has no place for."""
        if isinstance(record, Example):
            for said in JUDGED:
                value = getattr(record, said, None)
                if value not in (None, _UNSAID[said]) and said not in self.keeps:
                    raise RowError(f"has a {said} of {value:g}, which {name} cannot hold; {_CURES[said]}")
        return self.write(record)


# What a pair without the field means as well.
_UNSAID = {"probability": 1.0, "margin": 0.0, "weight": 1.0}
_BESIDE = ("models", "aspect", "confidence", "at", "seconds")
_CURES = {
    "probability": "write it as native, or decide by `rather pair` (½ is a tie)",
    "margin": "write it as native or trl",
    "weight": "write it as native",
}


def _native(record: Example | Judgment) -> Row:
    return WRITERS[record.kind].write(record) if isinstance(record, Example) else judged.write(record)


TARGETS: dict[str, Target] = {
    "native": Target(
        "the project's own form of pairs, ranked lists, single answers and judgments",
        (*PLURALS, *JUDGMENTS), _native, JUDGED, tags=True,
    ),
    "judgments": Target("the project's own form of judgments", tuple(JUDGMENTS), judged.write, tags=True),
    "trl": Target("TRL's preference form with an explicit prompt", ("pair",), preference.write, ("margin",)),
    "trl-unpaired": Target("TRL's unpaired form", ("sample",), unpaired.write_trl),
    "hh": Target("Anthropic HH transcripts", ("pair",), hh.write),
    "sharegpt": Target("ShareGPT's preference form", ("pair",), sharegpt.write),
    "openai": Target("OpenAI's preference fine-tuning form", ("pair",), openai.write),
    "alpaca": Target("Alpaca-style pairs", ("pair",), alpaca.write),
    "nectar": Target("Nectar's ranked lists", ("list", "ranking"), nectar.write, ("models",), by="model"),
    "ratings": Target("a table of ratings", ("rating",), ratings.write, ("models", "aspect", "at"), by="person"),
    "events": Target("an event log", ("event",), events.write, ("models", "at"), by="behaviour"),
    "alpacaeval": Target(
        "AlpacaEval annotations", ("comparison",), alpacaeval.write, ("models", "confidence"), by="model"
    ),
    "arena": Target(
        "arena votes, with whole conversations", ("comparison",), arena.write, ("models", "at", "language", ORDER), by="person"
    ),
}  # fmt: skip
"""name of a form → how records are written as it."""
