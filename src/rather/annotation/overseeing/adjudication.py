"""Items on which people differ, those first on which they differ most: what adjudicators decide."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

from rather.annotation.replay import agreed_share
from rather.annotation.store import Store
from rather.annotation.tasks import Item, turned

LISTED = 1000
"""So many disputes are listed."""

# Votes as they stand on ordinary items that several people voted on.
_SAID = """
SELECT e.item, e.account, e.shown, e.body FROM events e
WHERE e.kind IN ('voted', 'revised') AND e.item IN (
  SELECT v.item FROM events v JOIN items i ON i.id = v.item
  WHERE v.kind = 'voted' AND i.role = 'task' AND i.kind <> 'edit' GROUP BY v.item HAVING count(*) > 1)
ORDER BY e.item, e.id
"""

_DECIDED = """
SELECT e.item, e.id, e.at, a.name, e.shown, e.body, i.kind, i.body FROM events e
JOIN accounts a ON a.id = e.account JOIN items i ON i.id = e.item WHERE e.kind = 'adjudicated' ORDER BY e.id
"""


@dataclass(frozen=True)
class Dispute:
    """An item whose most frequent vote has too small a share."""

    item: int
    votes: int
    agreed: float


@dataclass(frozen=True)
class Opinion:
    """A vote on a disputed item, of the answers in the item's own order; who gave it is not told."""

    said: dict[str, Any]
    comment: str


@dataclass(frozen=True)
class Decision:
    """What an adjudicator decided, and when; `said` of the answers in the item's own order."""

    item: Item
    by: str
    at: float
    said: dict[str, Any]
    comment: str


def disputes(store: Store, agreement: float) -> list[Dispute]:
    """Items that nobody has decided, on which the most frequent vote has less than a share `agreement`."""
    done = {item for (item,) in store.read("SELECT DISTINCT item FROM events WHERE kind = 'adjudicated'")}
    found: list[Dispute] = []
    for item, rows in groupby(store.stream(_SAID), itemgetter(0)):
        if item in done:
            continue
        standing = {account: (shown, body) for _, account, shown, body in rows}  # a revision takes a vote's place
        said = [_plainly(shown, body) for shown, body in standing.values()]
        share = agreed_share(said)
        if share < agreement:
            found.append(Dispute(item, len(said), share))
    return sorted(found, key=lambda one: (one.agreed, -one.votes, one.item))


_VERDICTS = {
    f'{{"verdict":"{verdict}"': {"[0, 1]": verdict, "[1, 0]": {"a": "b", "b": "a"}.get(verdict, verdict)}
    for verdict in ("a", "b", "tie", "both_bad")
}


def _plainly(shown: str, body: str) -> str:
    """A vote in its item's own order, as a text by which votes are compared. Of a million, most are two answers compared."""
    begun = _VERDICTS.get(body[: body.find('"', 12) + 1])
    if begun is not None and shown in begun:
        return begun[shown]
    told = turned(json.loads(body), json.loads(shown))
    return told["verdict"] if told.keys() == {"verdict"} else json.dumps(told, sort_keys=True)


def opinions(store: Store, item: int) -> list[Opinion]:
    """The votes on an item as they stand."""
    rows = store.read(
        "SELECT account, shown, body FROM events WHERE item = :item AND kind IN ('voted', 'revised') ORDER BY id",
        item=item,
    )
    standing = {account: (json.loads(shown), json.loads(body)) for account, shown, body in rows}
    return [Opinion(turned(said, shown), str(said.get("comment", ""))) for shown, said in standing.values()]


def decisions(store: Store, limit: int = 50) -> list[Decision]:
    """What adjudicators decided, as it stands, the latest first."""
    found: dict[int, Decision] = {}
    for item, _, at, name, shown, body, kind, asked in store.stream(_DECIDED):
        said = json.loads(body)
        found.pop(item, None)
        told = turned(said, json.loads(shown))
        found[item] = Decision(Item.load(item, kind, "task", asked), name, at, told, str(said.get("comment", "")))
    return list(found.values())[::-1][:limit]


def seen_as(said: dict[str, Any], order: list[int]) -> dict[str, Any]:
    """A vote in its item's own order as a vote on the answers in another."""
    return turned(said, [order.index(place) for place in range(len(order))])
