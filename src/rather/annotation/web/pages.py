"""Pages for people: plain forms that work without JavaScript. The ways in and out; the annotator's pages are in annotating.py."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from rather.annotation.web.annotating import ANNOTATING, wants_json
from rather.annotation.web.http import Reply, Request, html_reply, json_reply, redirect
from rather.annotation.web.look import look_of
from rather.annotation.web.pagewriting import render
from rather.annotation.web.routes import Route
from rather.annotation.web.signing import enter, leave
from rather.errors import RequestError

if TYPE_CHECKING:
    from rather.annotation.web.site import Site

_WAYS_IN = {"/sign-in": "sign_in.html", "/join": "join.html"}
_KINDS = {".css": b"text/css; charset=utf-8", ".js": b"text/javascript; charset=utf-8", ".svg": b"image/svg+xml"}


async def home(site: Site, request: Request) -> Reply:
    """The way in."""
    return redirect("/task" if request.account else "/sign-in")


async def sign_in_form(site: Site, request: Request) -> Reply:
    """Sign in."""
    return _way_in(request)


async def sign_in(site: Site, request: Request) -> Reply:
    """Sign in."""
    _, cookie, _ = await enter(
        site, request, name=request.data.get("name", ""), password=request.data.get("password", "")
    )
    reply = redirect("/task")
    reply.headers.append(cookie)
    return reply


async def join_form(site: Site, request: Request) -> Reply:
    """Come by an invitation."""
    return _way_in(request)


def _way_in(request: Request) -> Reply:
    values = {"error": None, "given": {}, "account": request.account, "csrf": request.csrf}
    return html_reply(render(_WAYS_IN[request.path], look_of(request), **values))


async def join(site: Site, request: Request) -> Reply:
    """Come by an invitation."""
    data = request.data
    _, cookie, _ = await enter(
        site, request, token=data.get("token", ""), name=data.get("name"), password=data.get("password")
    )
    reply = redirect("/task")
    reply.headers.append(cookie)
    return reply


async def sign_out(site: Site, request: Request) -> Reply:
    """Sign out."""
    reply = redirect("/sign-in")
    reply.headers.append(await leave(site, request))
    return reply


async def static(site: Site, request: Request) -> Reply:
    """Style and script."""
    found = _static().get(request.path_values["file"])
    if found is None:
        raise RequestError("there is nothing here", status=404, code="no_page")
    body, kind, mark = found
    headers = [(b"cache-control", b"no-cache"), (b"etag", mark)]
    if request.headers.get(b"if-none-match") == mark:
        return Reply(status=304, kind=kind, headers=headers)
    return Reply(body, kind=kind, headers=headers)


def error_page(site: Site, request: Request, error: RequestError) -> Reply:
    """An error for people: a page, or above the form by which they wanted to come in, with what they wrote into it."""
    look = look_of(request)
    if wants_json(request):
        return json_reply({"error": {"code": error.code, "message": look.texts.error(error)}}, error.status)
    form = _WAYS_IN.get(request.path) if isinstance(request.data, dict) else None
    values = {"error": error, "given": request.data, "account": request.account, "csrf": request.csrf}
    return html_reply(render(form or "error.html", look, **values), error.status)


@cache
def _static() -> dict[str, tuple[bytes, bytes, bytes]]:
    """Files by name, read once: the bytes, their type, their mark."""
    folder = files("rather.annotation.web") / "static"
    found = [file for file in folder.iterdir() if file.is_file()]
    known: dict[str, tuple[bytes, bytes, bytes]] = {}
    for file in found:
        kind = _KINDS.get("." + file.name.rpartition(".")[2])
        if kind is not None:
            body = file.read_bytes()
            known[file.name] = body, kind, b'"' + hashlib.sha256(body).hexdigest()[:20].encode() + b'"'
    return known


PAGES = [
    Route("GET", "/", home, page=True),
    Route("GET", "/sign-in", sign_in_form, page=True),
    Route("POST", "/sign-in", sign_in, page=True),
    Route("GET", "/join", join_form, page=True),
    Route("POST", "/join", join, page=True),
    Route("POST", "/sign-out", sign_out, page=True, role="annotator"),
    *ANNOTATING,
    Route("GET", "/static/{file}", static, page=True),
]
