"""Items by their numbers; those that are not large stay in memory for the next who is shown them."""

from __future__ import annotations

import asyncio

from rather.annotation.queue import Queue
from rather.annotation.store import Rows, Store
from rather.annotation.tasks import Item
from rather.errors import RequestError

_ITEM = "SELECT id, kind, role, body FROM items WHERE id = :id"
_AHEAD = 64
_CACHED = 512
_CACHED_SIZE = 50_000


class Shelf:
    """The items of a store that a queue knows of."""

    def __init__(self, store: Store, queue: Queue) -> None:
        self._store, self._queue = store, queue
        self._cache: dict[int, Item] = {}
        self._reading = asyncio.Lock()

    async def item(self, id: int) -> Item:
        """An item by its number. Raises RequestError."""
        found = self._cache.get(id)
        if found is not None:
            return found
        if self._queue.role_of(id) is None:
            raise RequestError(f"there is no item {id}", status=404, code="no_item")
        if self._store.quick:
            return self._kept(self._store.read(_ITEM, id=id))[id]
        async with self._reading:
            if id in self._cache:  # somebody else who waited has brought it
                return self._cache[id]
            # Those behind it will be asked next, and one look at a database far away costs as much as fifty.
            wanted = ", ".join(map(str, [id, *self._queue.behind(id, _AHEAD)]))
            rows = await asyncio.to_thread(
                self._store.read, f"SELECT id, kind, role, body FROM items WHERE id IN ({wanted})"
            )
            return self._kept(rows)[id]

    def _kept(self, rows: Rows) -> dict[int, Item]:
        """Items of rows; those that are not large stay in memory for the next who is shown them."""
        found = {row[0]: Item.load(*row) for row in rows}
        for row in rows:
            if len(row[3]) < _CACHED_SIZE:
                if len(self._cache) >= _CACHED:
                    del self._cache[next(iter(self._cache))]
                self._cache[row[0]] = found[row[0]]
        return found
