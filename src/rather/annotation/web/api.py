"""The API in JSON: each handler parses nothing (its route did), calls one function, and gives its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from rather.annotation import accounts
from rather.annotation.exporting import export_parts
from rather.annotation.store import Store
from rather.annotation.tasks import Vote
from rather.annotation.web import shapes
from rather.annotation.web.http import Reply, Request, json_reply, number_in_path
from rather.annotation.web.owner.api import OWNER_API
from rather.annotation.web.owner.people import change_account, invitation
from rather.annotation.web.routes import VOTE, Route
from rather.annotation.web.signing import enter, leave
from rather.errors import RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site


async def sign_in(site: Site, request: Request) -> Reply:
    """Sign in."""
    account = await enter(site, request, name=request.data.name, password=request.data.password)
    return await _me(site, account)


async def join(site: Site, request: Request) -> Reply:
    """Come by an invitation."""
    data: shapes.Join = request.data
    account = await enter(site, request, token=data.token, name=data.name, password=data.password)
    return await _me(site, account)


async def sign_out(site: Site, request: Request) -> Reply:
    """Sign out."""
    reply = json_reply({"done": True})
    reply.headers.append(await leave(site, request))
    return reply


async def me(site: Site, request: Request) -> Reply:
    """Who is signed in, and the CSRF token."""
    one = request.person
    return json_reply({"id": one.id, "name": one.name, "role": one.role, "csrf": request.csrf})


async def next_task(site: Site, request: Request) -> Reply:
    """What to judge next."""
    shown = await site.desk.next(request.person, request.data.holding)
    return json_reply({"task": shapes.task_of(shown)})


async def vote(site: Site, request: Request) -> Reply:
    """Vote; the same key again gives the same receipt."""
    data: shapes.VoteAndNext = request.data
    receipt, following = await site.desk.vote(request.person, data, ahead=data.next, but=data.holding)
    return json_reply({"receipt": shapes.receipt_of(receipt), "task": shapes.task_of(following)})


async def skip(site: Site, request: Request) -> Reply:
    """Say that you cannot judge an item."""
    data: shapes.Skip = request.data
    return json_reply(shapes.receipt_of(await site.desk.skip(request.person, data.item, data.reason, data.key)))


async def revise(site: Site, request: Request) -> Reply:
    """Vote anew on an item that you voted on or skipped; what you said before stays on record."""
    return json_reply(shapes.receipt_of(await site.desk.revise(request.person, request.data)))


async def history(site: Site, request: Request) -> Reply:
    """Your own votes."""
    page = _query(shapes.Page, request)
    past = await site.desk.history(request.person, before=page.before, limit=page.limit)
    return json_reply({"votes": [shapes.past_of(one) for one in past]})


async def progress(site: Site, request: Request) -> Reply:
    """How far you are, and all."""
    return json_reply(vars(site.desk.progress(request.person)))


async def asking(site: Site, request: Request) -> Reply:
    """How you are asked."""
    return json_reply(site.desk.project.model_dump(include=set(shapes.Asking.model_fields)))


async def look(site: Site, request: Request) -> Reply:
    """An item to decide on, whoever voted on it."""
    return json_reply({"task": shapes.task_of(await site.desk.look(request.person, number_in_path(request, "item")))})


async def adjudicate(site: Site, request: Request) -> Reply:
    """Decide on an item, beside its votes."""
    receipt = await site.desk.adjudicate(request.person, request.data)
    await asyncio.to_thread(accounts.log, site.desk.store, request.person.id, "adjudicated", item=receipt.item)
    return json_reply(shapes.receipt_of(receipt))


async def export(site: Site, request: Request) -> Reply:
    """Every vote as it stands, as judgments: one JSON object a line."""
    await asyncio.to_thread(accounts.log, site.desk.store, request.person.id, "exported")
    named = (b"content-disposition", b'attachment; filename="judgments.jsonl"')
    return Reply(kind=b"application/x-ndjson", headers=[named], stream=_lines(site.desk.store))


async def _lines(store: Store) -> AsyncIterator[bytes]:
    """The export in parts, made beside the event loop."""
    parts = export_parts(store)
    while part := await asyncio.to_thread(next, parts, b""):
        yield part


async def people(site: Site, request: Request) -> Reply:
    """All accounts."""
    found = await asyncio.to_thread(accounts.accounts, site.desk.store)
    return json_reply({"accounts": [vars(one) for one in found]})


async def change_person(site: Site, request: Request) -> Reply:
    """Change an account."""
    data: shapes.Change = request.data
    await change_account(site, request, number_in_path(request, "account"), role=data.role, active=data.active)
    return json_reply({"done": True})


async def invite(site: Site, request: Request) -> Reply:
    """Invite."""
    data: shapes.NewInvitation = request.data
    token = await invitation(site, request, data.role, name=data.name, uses=data.uses, days=data.days)
    return json_reply({"token": token, "path": f"/join#{token}"})


def _query(shape: type[Any], request: Request) -> Any:
    try:
        return shape.model_validate(request.query)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise RequestError(f"{first['loc'][0]}: {first['msg'].lower()}", status=422, code="unfit") from error


async def _me(site: Site, entered: Any) -> Reply:
    account, cookie, csrf = entered
    reply = json_reply({"id": account.id, "name": account.name, "role": account.role, "csrf": csrf})
    reply.headers.append(cookie)
    return reply


API = [
    Route("POST", "/api/sign-in", sign_in, takes=shapes.SignIn, gives=shapes.Me, refuses=(401, 429)),
    Route("POST", "/api/join", join, takes=shapes.Join, gives=shapes.Me, refuses=(401, 403, 429)),
    Route("POST", "/api/sign-out", sign_out, role="annotator", gives=shapes.Done),
    Route("GET", "/api/me", me, role="annotator", gives=shapes.Me),
    Route("POST", "/api/next", next_task, role="annotator", takes=shapes.Next, gives=shapes.Given),
    Route(
        "POST", "/api/votes", vote, role="annotator",
        takes=shapes.VoteAndNext, gives=shapes.AcceptedAndNext, refuses=(404, 409), limit=VOTE,
    ),
    Route("POST", "/api/skips", skip, role="annotator",
          takes=shapes.Skip, gives=shapes.Accepted, refuses=(404, 409)),
    Route("POST", "/api/revisions", revise, role="annotator",
          takes=Vote, gives=shapes.Accepted, refuses=(404, 409), limit=VOTE),
    Route("GET", "/api/history", history, role="annotator", gives=shapes.History, query=shapes.Page),
    Route("GET", "/api/progress", progress, role="annotator", gives=shapes.HowFar),
    Route("GET", "/api/asking", asking, role="annotator", gives=shapes.Asking),
    Route("POST", "/api/items/{item}/views", look, role="adjudicator", gives=shapes.Given, refuses=(404,)),
    Route("POST", "/api/adjudications", adjudicate, role="adjudicator",
          takes=Vote, gives=shapes.Accepted, refuses=(404, 409), limit=VOTE),
    Route("GET", "/api/export", export, role="owner"),
    Route("GET", "/api/accounts", people, role="owner", gives=shapes.People),
    Route("POST", "/api/accounts/{account}", change_person, role="owner", takes=shapes.Change,
          gives=shapes.Done, refuses=(404, 409)),
    Route("POST", "/api/invitations", invite, role="owner", takes=shapes.NewInvitation, gives=shapes.Token),
    *OWNER_API,
]  # fmt: skip
"""Every door of the API but the one that describes them (openapi.py)."""
