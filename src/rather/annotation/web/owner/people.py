"""Who may come in: accounts with their roles, and invitations."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, get_args

from rather.annotation import accounts
from rather.annotation.accounts import ROLES, Role
from rather.annotation.overseeing import records
from rather.annotation.web.http import Reply, Request, number_in_path, redirect
from rather.annotation.web.owner.showing import page
from rather.annotation.web.routes import Route
from rather.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site


async def people(site: Site, request: Request) -> Reply:
    """All accounts, and the invitations that are still good."""
    return await _people(site, request)


async def invite(site: Site, request: Request) -> Reply:
    """A new invitation; its link is shown once."""
    form = request.data
    role, name = _role(form.get("role", "")), form.get("name", "").strip() or None
    try:
        uses, days = int(form.get("uses") or 1), float(form.get("days") or accounts.INVITATION_DAYS)
    except ValueError as error:
        raise RequestError("uses and days are numbers", status=422, code="unfit") from error
    told = None if name is not None and uses == 1 else uses  # the form says 1 unless somebody says otherwise
    token = await invitation(site, request, role, name=name, uses=told, days=days)
    return await _people(site, request, token=token)


async def invitation(
    site: Site, request: Request, role: Role, *, name: str | None, uses: int | None, days: float
) -> str:
    """A new invitation's token, and a line on the log. Raises RequestError."""
    store = site.desk.store
    try:
        token = await asyncio.to_thread(accounts.invite_or_key, store, role, name=name, uses=uses, days=days)
    except ConfigError as error:
        raise RequestError(str(error).replace("--", ""), status=422, code="unfit") from error
    await asyncio.to_thread(accounts.log, store, request.person.id, "invited", role=role, uses=uses, name=name)
    return token


async def change(site: Site, request: Request) -> Reply:
    """Another role, or in or out."""
    id, form = number_in_path(request, "account"), request.data
    role = _role(form["role"]) if form.get("role") else None
    active = {"open": True, "close": False}.get(form.get("say", ""))
    await change_account(site, request, id, role=role, active=active)
    return redirect("/people")


async def change_account(site: Site, request: Request, id: int, *, role: Role | None, active: bool | None) -> None:
    """Change somebody else's account, and put it on the log. Raises RequestError."""
    store = site.desk.store
    if id == request.person.id:
        raise RequestError("this is your own account; another owner may change it", status=409, code="own_account")
    if id not in {one.id for one in await asyncio.to_thread(accounts.accounts, store)}:
        raise RequestError("there is no such account", status=404, code="no_account")
    await asyncio.to_thread(accounts.change_account, store, id, role=role, active=active)
    said = {name: value for name, value in (("role", role), ("active", active)) if value is not None}
    await asyncio.to_thread(accounts.log, store, request.person.id, "changed account", of=id, **said)


async def withdraw(site: Site, request: Request) -> Reply:
    """Make an invitation good for nothing."""
    id, store = request.data.get("id", ""), site.desk.store
    if len(id) != 16 or not await asyncio.to_thread(records.withdraw, store, id):
        raise RequestError("there is no such invitation", status=404, code="no_invitation")
    await asyncio.to_thread(accounts.log, store, request.person.id, "withdrew an invitation")
    return redirect("/people")


async def _people(site: Site, request: Request, token: str | None = None) -> Reply:
    store = site.desk.store
    return page(
        site, request, "people.html",
        accounts=await asyncio.to_thread(accounts.accounts, store),
        invitations=await asyncio.to_thread(records.invitations, store),
        roles=ROLES[::-1], token=token, address=_address(site, request),
    )  # fmt: skip


def _address(site: Site, request: Request) -> str:
    host = request.headers.get(b"host", b"").decode("latin-1")
    return f"http{'s' if site.secure else ''}://{host}"


def _role(text: str) -> Role:
    if text not in get_args(Role):
        raise RequestError(f"{text:.40} is no role; known are {', '.join(ROLES)}", status=422, code="unfit")
    return text  # pyright: ignore[reportReturnType]


PAGES = [
    Route("GET", "/people", people, page=True, role="owner"),
    Route("POST", "/people/invitations", invite, page=True, role="owner"),
    Route("POST", "/people/withdrawn", withdraw, page=True, role="owner"),
    Route("POST", "/people/{account}", change, page=True, role="owner"),
]
