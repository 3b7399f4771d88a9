"""From the events back to the queue: what a server does when it starts, and when items were added meanwhile."""

from __future__ import annotations

import json
import time
from array import array
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

from rather.annotation.priorities import WORTH, Priorities, tally
from rather.annotation.queue import Queue
from rather.annotation.settings import Project, setting
from rather.annotation.store import Store
from rather.annotation.tasks import Item, ItemRole, turned
from rather.annotation.viewers import Held

REMEMBERED_SECONDS = 86_400.0
"""A vote that waited on a phone without a network is taken so long after it was asked for, if there is room."""

LOOKED = '{"looked":true}'
"""The body of a view that reserves nothing: an adjudicator's."""

DOUBTS = "doubts"
"""The setting that holds what an audit doubts."""

# Who votes on an item after all has not skipped it.
_SKIPPED = (
    "SELECT DISTINCT item, account FROM events e WHERE kind = 'skipped' AND NOT EXISTS (SELECT 1 FROM events vote "
    "WHERE vote.item = e.item AND vote.account = e.account AND vote.kind = 'voted')"
)

_VOTES = (
    "SELECT e.item, e.shown, e.body FROM events e JOIN items i ON i.id = e.item "
    "WHERE e.kind = 'voted' AND i.role = 'task' AND i.kind <> 'edit' ORDER BY e.item, e.id"
)


def build_queue(store: Store, project: Project) -> Queue:
    """Items, votes and reservations as the events have them."""
    queue = Queue(project)
    for batch in sorted(ready_batches(store)):
        for role, items in items_of(store, batch).items():
            queue.add(items, role=role)
    votes = store.stream("SELECT item, account FROM events WHERE kind = 'voted'")
    for item, account in votes:
        viewer = queue.viewer(account)
        viewer.mark(item)
        queue.count_vote(viewer, item)
    for item, account in store.stream(_SKIPPED):
        queue.pass_by(queue.viewer(account), item)
    _count_gold(store, queue)
    if project.overlap_max is not None:
        _ask_disputed_again(store, queue)
    for (item,) in store.stream("SELECT DISTINCT item FROM events WHERE kind = 'adjudicated'"):
        queue.settle(item)
    order_by_worth(store, queue)
    _restore_reservations(store, queue)
    return queue


def order_by_worth(store: Store, queue: Queue) -> None:
    """Put the items into the order in which the project wants them asked."""
    queue.first = ordered_by_worth(store, queue)


def ordered_by_worth(store: Store, queue: Queue) -> Priorities:
    """That order, by the votes so far or by an audit's doubts; changes nothing."""
    worth = WORTH.get(queue.project.ask)
    if queue.project.ask == "doubtful":
        found = {item: 1 - probability for item, probability in load_doubts(store).items()}
    elif worth is not None:
        found = {item: worth(*tally(votes)) for item, votes in votes_by_item(store)}
    else:
        found = {}
    return Priorities.of({item: value for item, value in found.items() if not queue.is_full(item)})


def worth_of(queue: Queue, item: int, votes: Sequence[dict[str, Any]]) -> None:
    """Set what one more vote on an item is worth; nothing where it has all that it wants."""
    worth = WORTH.get(queue.project.ask)
    if queue.is_full(item):
        queue.first.drop(item)
    elif worth is not None:
        queue.first.put(item, worth(*tally(votes)))


def votes_by_item(store: Store) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """The first votes on each ordinary item, in its own order."""
    for item, votes in groupby(store.stream(_VOTES), itemgetter(0)):
        yield item, [turned(json.loads(body), json.loads(shown)) for _, shown, body in votes]


def load_doubts(store: Store) -> dict[int, float]:
    """Items whose label an audit doubts, and the probability that it gave the label."""
    text = setting(store, DOUBTS)
    return {} if text is None else {int(item): float(share) for item, share in json.loads(text).items()}


def ready_batches(store: Store) -> set[int]:
    """The imports that are whole."""
    return {id for (id,) in store.read("SELECT id FROM batches WHERE ready = 1")}


def items_of(store: Store, batch: int) -> dict[ItemRole, array[int]]:
    """The items of an import, by role."""
    found: dict[ItemRole, array[int]] = {"task": array("q"), "gold": array("q"), "qualification": array("q")}
    for id, role in store.stream("SELECT id, role FROM items WHERE batch = :batch ORDER BY id", batch=batch):
        found[role].append(id)
    return found


def is_right(item: Item, said: dict[str, object], shown: list[int]) -> bool:
    """True if a vote on a gold item says what its gold says; comment and strength are not looked at."""
    return turned(said, shown) == item.gold


def agreed_share(votes: list[str]) -> float:
    """The share of the most frequent vote."""
    return max(votes.count(vote) for vote in set(votes)) / len(votes)


def _count_gold(store: Store, queue: Queue) -> None:
    rows = store.stream(
        "SELECT i.id, i.kind, i.role, i.body, e.account, e.shown, e.body FROM items i JOIN events e ON e.item = i.id "
        "WHERE i.role <> 'task' AND e.kind = 'voted'"
    )
    for id, kind, role, body, account, shown, said in rows:
        viewer = queue.viewer(account)
        right = is_right(Item.load(id, kind, role, body), json.loads(said), json.loads(shown))
        viewer.asked[role] = viewer.asked.get(role, 0) + 1
        viewer.right[role] = viewer.right.get(role, 0) + right


def _ask_disputed_again(store: Store, queue: Queue) -> None:
    """Let disputed items want what they wanted before the restart."""
    for item, votes in votes_by_item(store):
        said = [json.dumps(vote, sort_keys=True) for vote in votes]
        for count in range(queue.project.overlap, len(said) + 1):
            if agreed_share(said[:count]) < queue.project.agreement:
                queue.want_more(item, than=count)


def _restore_reservations(store: Store, queue: Queue) -> None:
    """What was shown within a day and has no vote yet, the latest first."""
    now, wall = time.monotonic(), time.time()
    keep = queue.project.reserve_minutes * 60
    rows = store.stream("SELECT at, item, account, shown, body FROM events WHERE kind = 'viewed' ORDER BY id DESC")
    for at, item, account, shown, body in rows:
        if at < wall - REMEMBERED_SECONDS:
            return
        if body == LOOKED:
            continue
        queue.restore(queue.viewer(account), item, Held(now + (at + keep - wall), json.loads(shown), at), now)
