"""The same as the owner's pages, in JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pydantic import ValidationError

from rather.annotation.overseeing import adjudication, records
from rather.annotation.web import shapes
from rather.annotation.web.http import Reply, Request, json_reply, number_in_path
from rather.annotation.web.owner import project, surveying
from rather.annotation.web.owner.shapes import Board, Disputes, Log, Settings, Whole
from rather.annotation.web.routes import Route
from rather.errors import RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site


async def board(site: Site, request: Request) -> Reply:
    """The live board."""
    return json_reply(await surveying.figures(site))


async def disputes(site: Site, request: Request) -> Reply:
    """Items on which people differ."""
    found = await surveying.disputes(site, wait=True)
    assert found is not None  # it waited
    return json_reply({"total": found[0], "disputes": [vars(one) for one in found[1]]})


async def item(site: Site, request: Request) -> Reply:
    """An item, and what people say of it."""
    found = await site.desk.item(number_in_path(request, "item"))
    said = await asyncio.to_thread(adjudication.opinions, site.desk.store, found.id)
    return json_reply({
        "item": found.id, "kind": found.kind, "role": found.role, "prompt": found.prompt, "answers": found.answers,
        "votes": [{**one.said, "comment": one.comment} for one in said],
    })  # fmt: skip


async def settings(site: Site, request: Request) -> Reply:
    """How the project asks."""
    return json_reply({"settings": site.desk.project.model_dump(mode="json", exclude_unset=True)})


async def change_settings(site: Site, request: Request) -> Reply:
    """Ask by other settings from now on."""
    await project.save(site, request, project.require(request.data.settings))
    return json_reply({"done": True})


async def log(site: Site, request: Request) -> Reply:
    """The audit log."""
    try:
        which = shapes.Page.model_validate(request.query)
    except ValidationError as error:
        raise RequestError("before and limit are numbers", status=422, code="unfit") from error
    lines = await asyncio.to_thread(records.audit_log, site.desk.store, before=which.before, limit=which.limit)
    return json_reply({"lines": [vars(line) for line in lines]})


OWNER_API = [
    Route("GET", "/api/board", board, role="owner", gives=Board),
    Route("GET", "/api/disputes", disputes, role="adjudicator", gives=Disputes),
    Route("GET", "/api/items/{item}", item, role="adjudicator", gives=Whole, refuses=(404,)),
    Route("GET", "/api/settings", settings, role="owner", gives=Settings),
    Route("POST", "/api/settings", change_settings, role="owner", takes=Settings, gives=shapes.Done,
          limit=project.GUIDELINES),
    Route("GET", "/api/log", log, role="owner", gives=Log, query=shapes.Page),
]  # fmt: skip
