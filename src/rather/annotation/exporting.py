"""Votes → judgments: every vote as it stands now, once, with the answers in the order in which its viewer saw them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from rather.annotation.replay import is_right
from rather.annotation.store import Store
from rather.annotation.tasks import Item, ItemRole, judgments
from rather.formats import judged
from rather.formats.writing import open_rows
from rather.records import Judgment

# A later revision takes a vote's place; the vote stays on record.
_AS_THEY_STAND = """
SELECT e.at, e.kind, e.shown, e.body, a.name, i.id, i.kind, i.role, i.body
FROM events e JOIN items i ON i.id = e.item JOIN accounts a ON a.id = e.account
WHERE e.id >= :since AND i.role {roles} AND e.kind IN ('voted', 'revised', 'adjudicated') AND NOT EXISTS (
  SELECT 1 FROM events later WHERE later.item = e.item AND later.account = e.account AND later.id > e.id
  AND later.kind IN ('revised', 'skipped', 'adjudicated')
  AND later.kind = CASE e.kind WHEN 'adjudicated' THEN 'adjudicated' ELSE 'revised' END)
ORDER BY e.id
"""


@dataclass
class Exported:
    """How many votes were written, as how many judgments: a rating of several aspects is one vote and several of these."""

    out: Path
    votes: int = 0
    judgments: int = 0


def iter_votes(store: Store) -> Iterator[list[Judgment]]:
    """The judgments of each vote, in the order in which the votes were cast; all from one moment of the store."""
    for _, _, _, records in iter_votes_with_items(store):
        yield records


def iter_votes_with_items(
    store: Store, *, since: int = 0, of: ItemRole | None = None
) -> Iterator[tuple[ItemRole, str, bool, list[Judgment]]]:
    """The role of each vote's item, what kind of event it is, whether it is right (of gold), and its judgments.

    since  the number of an event: only what was said from there on
    of     only votes on items of this role
    """
    roles = "IS NOT NULL" if of is None else f"= '{of}'"
    for at, event, shown, said, name, id, kind, role, body in store.stream(
        _AS_THEY_STAND.format(roles=roles), since=since
    ):
        item, told, order = Item.load(id, kind, role, body), json.loads(said), json.loads(shown)
        right = item.gold is not None and is_right(item, told, order)
        yield item.role, event, right, _judgments(item, told, order, name, at, event)


def export_votes(store: Store, out: Path) -> Exported:
    """Write every vote to a file of judgments (.jsonl, .json, .parquet), whole or not at all."""
    done = Exported(out)
    with open_rows(out) as write:
        for records in iter_votes(store):
            done.votes += 1
            for record in records:
                write(judged.write(record))
                done.judgments += 1
    return done


def export_parts(store: Store, size: int = 500) -> Iterator[bytes]:
    """The same as JSON lines, so many votes at a time."""
    votes = iter_votes(store)
    while part := list(islice(votes, size)):
        rows = (judged.write(record) for records in part for record in records)
        yield b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _judgments(
    item: Item, said: dict[str, object], shown: list[int], name: str, at: float, event: str
) -> list[Judgment]:
    tags: dict[str, str] = {}
    if event == "adjudicated":
        tags["role"] = "adjudicator"
    if item.gold is not None:
        tags[f"on_{item.role}"] = "right" if is_right(item, said, shown) else "wrong"
    return judgments(item, said, shown, judge=name, at=at, tags=tags)
