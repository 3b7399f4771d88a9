"""What is counted over all votes: by another process, once for all who look, and kept for a while."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from rather.annotation.desk import Desk
from rather.annotation.overseeing import adjudication
from rather.annotation.overseeing.adjudication import Dispute
from rather.annotation.overseeing.beside import beside

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

_FRESH_SECONDS = 5.0

# What takes long to count is counted so much less often that it takes a fifth of one core at most.
_PATIENCE = 4.0

# A page waits so long for its figures, and then comes without them or with those that there are.
_PAGE_SECONDS = 3.0

# Up to so many votes, disputes are counted at once.
_FEW_VOTES = 5_000


class Kept:
    """The result of one of the jobs of `overseeing/beside.py`, as of a while ago."""

    def __init__(self, job: str, *, fresh: float = _FRESH_SECONDS, patience: float = _PATIENCE) -> None:
        self._job, self._fresh, self._patience = job, fresh, patience
        self._found: dict[str, Any] | None = None
        self._until = 0.0
        self._of: tuple[int, dict[str, Any]] | None = None
        self._making: asyncio.Task[dict[str, Any]] | None = None

    async def get(self, desk: Desk, **values: Any) -> dict[str, Any]:
        """It, as of a few seconds ago; `values` are the job's."""
        rows = await desk.read("SELECT coalesce(max(id), 0) FROM events")
        of = (rows[0][0], values)
        same = self._of is not None and self._of[1] == values
        if self._found is not None and same and (self._of == of or time.monotonic() < self._until):
            return self._found
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make(desk, of))
        return await asyncio.shield(self._making)

    async def soon(self, desk: Desk, seconds: float = _PAGE_SECONDS, **values: Any) -> dict[str, Any] | None:
        """The same if it is there in time; else what there was before, or nothing."""
        try:
            return await asyncio.wait_for(self.get(desk, **values), seconds)
        except TimeoutError:
            return self._found

    async def _make(self, desk: Desk, of: tuple[int, dict[str, Any]]) -> dict[str, Any]:
        start = time.monotonic()
        found = await asyncio.to_thread(beside, desk.store, self._job, **of[1])
        took = time.monotonic() - start
        self._found, self._of = found, of
        self._until = time.monotonic() + max(self._fresh, self._patience * took)
        return found


async def figures(site: Site) -> dict[str, Any]:
    """What the board shows: the queue's progress as of now, the rest as of a few seconds ago."""
    return {**await site.surveys.get(site.desk), **_progress(site)}


async def figures_soon(site: Site) -> dict[str, Any]:
    """The same for a page that does not wait: where the rest is still counted, the queue's progress alone."""
    found = await site.surveys.soon(site.desk)
    return {**(found or {"at": time.time(), "votes": site.desk.queue.votes_in_all}), **_progress(site)}


def _progress(site: Site) -> dict[str, int]:
    queue = site.desk.queue
    held = sum(len(viewer.held) for viewer in queue.viewers.values())
    return {"items": len(queue), "finished": queue.finished, "held": held}


async def disputes(site: Site, *, wait: bool) -> tuple[int, list[Dispute]] | None:
    """How many items are in dispute, and the first of them; None where they are still counted and nobody is to `wait`."""
    desk = site.desk
    if desk.queue.votes_in_all <= _FEW_VOTES:
        found = await asyncio.to_thread(adjudication.disputes, desk.store, desk.project.agreement)
        return len(found), found[: adjudication.LISTED]
    values = {"agreement": desk.project.agreement}
    told = await site.disputes.get(desk, **values) if wait else await site.disputes.soon(desk, **values)
    if told is None:
        return None
    listed = [Dispute(*one) for one in told["first"]]
    left = [one for one in listed if not desk.queue.is_settled(one.item)]  # decided since they were counted
    return told["total"] - len(listed) + len(left), left
