"""What annotators do, one function each: every page and every door of the API comes here.

A function returns once what it did is on disk, and raises RequestError where it refuses. The queue is in memory and changes at
once; a vote that cannot be written is taken back. All of it runs in one event loop, which is what makes two requests at the same
moment safe: between two `await`s nobody else changes anything.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from rather.annotation.accounts import Account
from rather.annotation.history import history, own_words, past
from rather.annotation.priorities import WORTH
from rather.annotation.queue import Queue
from rather.annotation.receipts import Past, Progress, Receipt, Shown
from rather.annotation.replay import (
    LOOKED,
    agreed_share,
    build_queue,
    is_right,
    items_of,
    ordered_by_worth,
    ready_batches,
    worth_of,
)
from rather.annotation.settings import Project, load_project
from rather.annotation.shelf import Shelf
from rather.annotation.store import Rows, Store
from rather.annotation.tasks import Item, Vote, checked, order_for, turned
from rather.annotation.viewers import Held, Viewer
from rather.annotation.writer import EventRow, Writer
from rather.errors import RequestError

_DECIDED = """
SELECT id, at, account, key FROM events
WHERE item = :item AND kind IN ('revised', 'skipped', 'adjudicated') AND kind = 'adjudicated'
"""


class Desk:
    """The project's items, handed out and taken back."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.project: Project = load_project(store)
        self.queue: Queue = build_queue(store, self.project)
        self._batches = ready_batches(store)
        self._writer = Writer(store)
        self._shelf = Shelf(store, self.queue)
        self._deciding: set[int] = set()
        self._refreshing, self._taking_back = asyncio.Lock(), asyncio.Lock()
        self._pending: dict[tuple[int, int], tuple[str, asyncio.Future[Receipt]]] = {}

    def close(self) -> None:
        """Write what waits, and end."""
        self._writer.stop()

    async def read(self, sql: str, **values: Any) -> Rows:
        """A query of the store: at once where that takes microseconds, else beside the event loop."""
        if self.store.quick:
            return self.store.read(sql, **values)
        return await asyncio.to_thread(self.store.read, sql, **values)

    async def item(self, id: int) -> Item:
        """An item by its number. Raises RequestError."""
        return await self._shelf.item(id)

    async def next(self, account: Account, but: Iterable[int] = ()) -> Shown | None:
        """What to ask next, reserved for this annotator; None where there is nothing (see `progress`).

        but  items that the client holds already, and does not want again
        """
        viewer = self.queue.viewer(account.id)
        id = self.queue.next(viewer, time.monotonic(), but)
        if id is None:
            return None
        shown, rows = await self._reserved(viewer, id)
        try:
            if rows:
                await self._writer.append(rows)
        except BaseException:
            self.queue.release(viewer, id, again=True)
            raise
        return shown

    async def vote(
        self, account: Account, vote: Vote, *, ahead: bool = False, but: Sequence[int] = ()
    ) -> tuple[Receipt, Shown | None]:
        """Put a vote on record, once: the same key gives the same receipt. `ahead`: and what to ask next, in the same commit."""
        viewer = self.queue.viewer(account.id)
        if vote.item in viewer.passed:  # how it was shown is in the store, and who reads there is overtaken
            async with self._taking_back:
                return await self._vote(account, viewer, vote, ahead, but)
        return await self._vote(account, viewer, vote, ahead, but)

    async def _vote(
        self, account: Account, viewer: Viewer, vote: Vote, ahead: bool, but: Sequence[int]
    ) -> tuple[Receipt, Shown | None]:
        before = await self._said_before(viewer, vote.item, vote.key)
        if before is not None:
            return before, await self.next(account, but) if ahead else None
        item = await self.item(vote.item)
        said = checked(vote, item, self.project)
        held = viewer.held.get(vote.item) or viewer.lapsed.get(vote.item) or await self._skipped(viewer, vote.item)
        if held is None:
            raise RequestError("this item was not shown to you", status=409, code="not_shown")
        if (account.id, vote.item) in self._pending or not self.queue.take(viewer, vote.item):
            raise _taken(vote.item)
        receipt = self._receipt(item, self._writer.number(), time.time(), said, held.shown)
        said.setdefault("seconds", round(max(0.0, receipt.at - held.at), 3))
        rows: list[EventRow] = [_row(receipt, "voted", account.id, held.shown, vote.key, said)]
        future = self._begin(account.id, vote.item, vote.key)
        following = None
        try:
            if ahead:
                following, more = await self._following(viewer, but)
                rows += more
            await self._writer.append(rows)
        except BaseException as error:
            self.queue.give_back(viewer, vote.item, held, time.monotonic())
            if following is not None:
                self.queue.release(viewer, following.item.id, again=True)
            self._end(account.id, vote.item, future, error)
            raise
        self._end(account.id, vote.item, future, receipt)
        await self._count(viewer, item, said, held.shown)
        return receipt, following

    async def skip(self, account: Account, item: int, reason: str, key: str) -> Receipt:
        """Put on record that this annotator cannot judge an item; they are not asked it again, but may vote on it after all."""
        viewer = self.queue.viewer(account.id)
        before = await self._said_before(viewer, item, key)
        if before is not None:
            return before
        found = viewer.held.get(item) or await self._skipped(viewer, item)
        if found is None or (account.id, item) in self._pending:
            raise _taken(item)
        receipt = await self._written(account.id, "skipped", item, key, found.shown, {"reason": reason})
        self.queue.pass_by(viewer, item)
        return receipt

    async def revise(self, account: Account, vote: Vote) -> Receipt:
        """Another vote in the place of one's own vote or skip; the old one stays on record."""
        pending = self._pending.get((account.id, vote.item))
        if pending is not None and pending[0] == vote.key:
            return await asyncio.shield(pending[1])
        item, rows = await self.item(vote.item), await self._own(account.id, vote.item)
        for event, at, _kind, key, _shown, _body in rows:
            if key == vote.key:
                return Receipt(event, vote.item, at)
        voted = next((row for row in rows if row[2] == "voted"), None)
        if voted is None and rows and rows[-1][2] == "skipped":
            return (await self.vote(account, vote))[0]
        if voted is None or (account.id, vote.item) in self._pending:
            raise RequestError("there is no vote of yours on this item to revise", status=409, code="no_vote")
        said, shown = checked(vote, item, self.project), json.loads(voted[4])
        return await self._written(account.id, "revised", item.id, vote.key, shown, said)

    async def look(self, account: Account, item: int) -> Shown:
        """An item as an adjudicator sees it, whoever holds it; that it was shown is on record, and nothing is reserved."""
        found = await self.item(item)
        order = order_for(item, account.id, len(found.answers), self.project.seed)
        viewed = (self._writer.number(), time.time(), "viewed", item, account.id, json.dumps(order), None, LOOKED)
        await self._writer.append([viewed])
        return Shown(found, order)

    async def adjudicate(self, account: Account, vote: Vote) -> Receipt:
        """An adjudicator's decision on an item, beside its votes; nobody else is asked about it.

        Who decided may decide anew, and the later decision takes the place of the first; somebody else may not.
        """
        pending = self._pending.get((account.id, vote.item))
        if pending is not None and pending[0] == vote.key:
            return await asyncio.shield(pending[1])
        item = await self.item(vote.item)
        rows = await self.read(_DECIDED, item=item.id)
        for event, at, who, key in rows:
            if who == account.id and key == vote.key:
                return Receipt(event, item.id, at)
        if pending is not None:
            raise _taken(vote.item)
        if item.role != "task" or not self.queue.votes_on(item.id):
            raise RequestError("nobody has voted on this item yet", status=409, code="no_votes")
        if any(who != account.id for _, _, who, _ in rows) or item.id in self._deciding:
            raise RequestError("somebody else has decided this item", status=409, code="decided")
        shown = order_for(item.id, account.id, len(item.answers), self.project.seed)
        said = checked(vote, item, self.project)
        self._deciding.add(item.id)
        try:
            receipt = await self._written(account.id, "adjudicated", item.id, vote.key, shown, said)
        finally:
            self._deciding.discard(item.id)
        self.queue.settle(item.id)
        return receipt

    async def history(self, account: Account, *, before: int | None = None, limit: int = 50) -> list[Past]:
        """One's own votes and skips, the latest first, each as it stands now; `before` an event's number."""
        return await history(self.read, self.item, account.id, before, limit)

    async def past(self, account: Account, item: int) -> Past:
        """What one said last of an item. Raises RequestError where that is nothing."""
        return await past(self.read, self.item, account.id, item)

    def progress(self, account: Account) -> Progress:
        """How far this annotator is, and everybody."""
        viewer, queue = self.queue.viewer(account.id), self.queue
        return Progress(
            voted=viewer.voted,
            skipped=viewer.skipped,
            items=len(queue),
            finished=queue.finished,
            votes=queue.votes_in_all,
            failed=queue.failed(viewer),
        )

    async def refresh(self) -> None:
        """Take up what other processes changed: items that were imported, settings.

        What is long is read and put in order beside the event loop, and taken up a slice at a time.
        """
        async with self._refreshing:
            new = await asyncio.to_thread(ready_batches, self.store) - self._batches
            for batch in sorted(new):
                for role, items in (await asyncio.to_thread(items_of, self.store, batch)).items():
                    ordered = await asyncio.to_thread(self.queue.in_order, items) if role == "task" else items
                    await _in_slices(self.queue.adding(ordered, role=role))
                self._batches.add(batch)
            project = await asyncio.to_thread(load_project, self.store)
            if project != self.project:
                self.project = project
                await _in_slices(self.queue.reconfiguring(project))
            elif not (new and project.ask == "doubtful"):
                return
            changes = self.queue.first.watch()
            first = await asyncio.to_thread(ordered_by_worth, self.store, self.queue)
            first.follow(changes)
            self.queue.first = first

    async def _said_before(self, viewer: Viewer, item: int, key: str) -> Receipt | None:
        """The receipt of the same request, if it came before. Raises RequestError if another did."""
        pending = self._pending.get((viewer.id, item))
        if pending is not None:
            if pending[0] != key:
                raise _taken(item)
            return await asyncio.shield(pending[1])
        if not viewer.has_seen(item) or item in viewer.held:
            return None
        said = await self._own(viewer.id, item)
        for event, at, kind, known, shown, body in said:
            if known == key and kind == "voted":
                return self._receipt(await self.item(item), event, at, json.loads(body), json.loads(shown))
            if known == key:
                return Receipt(event, item, at)
        if item not in viewer.passed:
            raise _taken(item)
        return None

    async def _own(self, account: int, item: int) -> Rows:
        return await own_words(self.read, account, item)

    async def _skipped(self, viewer: Viewer, item: int) -> Held | None:
        """How an item was shown that this viewer skipped; None where they did not."""
        if item not in viewer.passed:
            return None
        _, at, _, _, shown, _ = (await self._own(viewer.id, item))[-1]
        return Held(0.0, json.loads(shown), at)

    async def _reserved(self, viewer: Viewer, id: int) -> tuple[Shown, list[EventRow]]:
        """An item for a viewer, and the event to be written if it was not theirs before."""
        new, at = id not in viewer.held, time.time()
        held = self.queue.reserve(viewer, id, time.monotonic(), at)  # before any `await`: nobody else may take it
        item = await self.item(id)
        held.shown = held.shown or order_for(id, viewer.id, len(item.answers), self.project.seed)
        body = None if viewer.arm is None else json.dumps({"arm": viewer.arm})
        row = (self._writer.number(), at, "viewed", id, viewer.id, json.dumps(held.shown), None, body)
        return Shown(item, held.shown), [row] if new else []

    async def _following(self, viewer: Viewer, but: Iterable[int]) -> tuple[Shown | None, list[EventRow]]:
        id = self.queue.next(viewer, time.monotonic(), but)
        return (None, []) if id is None else await self._reserved(viewer, id)

    async def _written(
        self, account: int, kind: str, item: int, key: str, shown: list[int], said: dict[str, Any]
    ) -> Receipt:
        """One event on disk; who sends the same at the same moment gets the same receipt."""
        receipt = Receipt(self._writer.number(), item, time.time())
        future = self._begin(account, item, key)
        try:
            await self._writer.append([_row(receipt, kind, account, shown, key, said)])
        except BaseException as error:
            self._end(account, item, future, error)
            raise
        self._end(account, item, future, receipt)
        return receipt

    def _begin(self, account: int, item: int, key: str) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._pending[account, item] = key, future
        return future

    def _end(self, account: int, item: int, future: asyncio.Future[Receipt], result: Receipt | BaseException) -> None:
        del self._pending[account, item]
        if isinstance(result, Receipt):
            future.set_result(result)
        elif isinstance(result, Exception):
            future.set_exception(result)
            future.exception()  # whoever waits hears of it; if nobody does, that is no mistake
        else:
            future.cancel()

    def _receipt(self, item: Item, event: int, at: float, said: dict[str, Any], shown: list[int]) -> Receipt:
        if item.gold is None:
            return Receipt(event, item.id, at)
        right = is_right(item, said, shown)
        tell = self.project.gold_feedback
        return Receipt(event, item.id, at, right if tell else None, item.why if tell and not right else None)

    async def _count(self, viewer: Viewer, item: Item, said: dict[str, Any], shown: list[int]) -> None:
        """What a vote that is on disk changes beside the queue: gold, and whether more people are to be asked."""
        if item.role != "task":
            viewer.asked[item.role] = viewer.asked.get(item.role, 0) + 1
            viewer.right[item.role] = viewer.right.get(item.role, 0) + is_right(item, said, shown)
            return
        adaptive = self.project.overlap_max is not None and self.queue.is_full(item.id)
        if item.kind == "edit" or not (adaptive or self.project.ask in WORTH):
            return
        rows = await self.read("SELECT shown, body FROM events WHERE item = :item AND kind = 'voted'", item=item.id)
        votes = [turned(json.loads(body), json.loads(shown)) for shown, body in rows]
        if adaptive and agreed_share([json.dumps(vote, sort_keys=True) for vote in votes]) < self.project.agreement:
            self.queue.want_more(item.id, than=len(votes))
        worth_of(self.queue, item.id, votes)


async def _in_slices(slices: Iterator[None]) -> None:
    """Do something long a slice at a time; others are served in between."""
    for _ in slices:
        await asyncio.sleep(0)


def _row(
    receipt: Receipt, kind: str, account: int, shown: list[int], key: str | None, said: dict[str, Any]
) -> EventRow:
    body = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
    return receipt.event, receipt.at, kind, receipt.item, account, json.dumps(shown), key, body


def _taken(item: int) -> RequestError:
    return RequestError(
        f"item {item} is not yours to vote on: you voted or skipped before, or others finished it meanwhile",
        status=409,
        code="taken",
    )
