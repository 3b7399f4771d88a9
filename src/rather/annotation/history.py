"""What one person said, as it stands: a revision takes a vote's place, a vote that of a skip; all of it stays on record."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from rather.annotation.receipts import Past, Shown
from rather.annotation.store import Rows
from rather.annotation.tasks import Item
from rather.errors import RequestError

# Both halves name the condition of an index (one_vote, other_words), without which it is not used.
_OWN = """
SELECT id, at, kind, key, shown, body FROM events WHERE item = :item AND account = :account AND kind = 'voted'
UNION ALL
SELECT id, at, kind, key, shown, body FROM events
WHERE item = :item AND account = :account AND kind IN ('revised', 'skipped', 'adjudicated')
ORDER BY id
"""

_ALL = """
SELECT id, at, kind, item, shown, body FROM events e
WHERE account = :account AND id < :before AND kind <> 'viewed' AND kind <> 'adjudicated'
  AND NOT EXISTS (SELECT 1 FROM events later WHERE later.item = e.item AND later.account = e.account
    AND later.kind IN ('revised', 'skipped', 'adjudicated') AND later.kind <> 'adjudicated' AND later.id > e.id)
  AND (kind <> 'skipped' OR NOT EXISTS (SELECT 1 FROM events vote
    WHERE vote.item = e.item AND vote.account = e.account AND vote.kind = 'voted'))
ORDER BY id DESC LIMIT :limit
"""

Read = Callable[..., Awaitable[Rows]]
Find = Callable[[int], Awaitable[Item]]


async def own_words(read: Read, account: int, item: int) -> Rows:
    """All that somebody said of an item: number, time, kind, key, order of answers, and what was said."""
    return await read(_OWN, account=account, item=item)


async def history(read: Read, find: Find, account: int, before: int | None, limit: int) -> list[Past]:
    """Votes and skips as they stand, the latest first; `before` an event's number."""
    rows = await read(_ALL, account=account, before=before or 2**62, limit=limit)
    return [
        Past(Shown(await find(item), json.loads(shown)), kind, json.loads(body), at, id)
        for id, at, kind, item, shown, body in rows
    ]


async def past(read: Read, find: Find, account: int, item: int) -> Past:
    """What somebody said last of an item. Raises RequestError where that is nothing."""
    said = [row for row in await own_words(read, account, item) if row[2] != "adjudicated"]
    if not said:
        raise RequestError("there is no vote of yours on this item to revise", status=404, code="no_vote")
    event, at, kind, _key, shown, body = said[-1]
    return Past(Shown(await find(item), json.loads(shown)), kind, json.loads(body), at, event)
