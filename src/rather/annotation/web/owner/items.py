"""What is asked: imports, an upload of more, and how people do on gold and qualification items."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rather.annotation import accounts
from rather.annotation.overseeing import records
from rather.annotation.overseeing.beside import imported
from rather.annotation.web.http import Reply, Request
from rather.annotation.web.owner.showing import page
from rather.annotation.web.routes import UPLOAD, Route
from rather.errors import RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

_FORMS = (".jsonl", ".json", ".csv", ".parquet", ".txt", ".jsonl.gz", ".jsonl.zst")
_ROLES = ("task", "gold", "qualification")
_KINDS = ("compare", "rank", "rate", "edit")


async def items(site: Site, request: Request) -> Reply:
    """All imports, and the gold."""
    return await _items(site, request)


async def upload(site: Site, request: Request) -> Reply:
    """Bring a file of responses, pairs or ranked lists."""
    form, (name, content) = request.data, request.files.get("file", ("", b""))
    if not content:
        raise RequestError("choose a file first", status=422, code="unfit")
    if not name.lower().endswith(_FORMS):
        raise RequestError(f"{name:.80}: must be one of {', '.join(_FORMS)}", status=422, code="unfit")
    role, task = form.get("role", "task"), form.get("task") or None
    if role not in _ROLES or task not in (*_KINDS, None):
        raise RequestError("choose what the items are for, and what is asked", status=422, code="unfit")
    store = site.desk.store
    done: dict[str, Any] = await asyncio.to_thread(
        imported, store, name, content, role=role, task=task, skip_bad=form.get("skip_bad") == "yes"
    )
    await asyncio.to_thread(accounts.log, store, request.person.id, "uploaded", file=name[:200], bytes=len(content))
    await site.desk.refresh()
    return await _items(site, request, done, status=422 if "error" in done else 200)


async def _items(site: Site, request: Request, done: dict[str, Any] | None = None, *, status: int = 200) -> Reply:
    store = site.desk.store
    return page(
        site, request, "items.html", status=status, done=done, roles=_ROLES, kinds=_KINDS,
        items=len(site.desk.queue), batches=await asyncio.to_thread(records.batches, store),
        gold=await asyncio.to_thread(records.known_items, store, "gold"),
        qualification=await asyncio.to_thread(records.known_items, store, "qualification"),
    )  # fmt: skip


PAGES = [
    Route("GET", "/items", items, page=True, role="owner"),
    Route("POST", "/items", upload, page=True, role="owner", limit=UPLOAD),
]
