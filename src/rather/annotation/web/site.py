"""Every request comes through here: host, origin, session, CSRF token, role, size and form, and then its handler.

A plain ASGI application. Errors are rendered in one place: a RequestError as its status and sentence, anything else as a 500 that
says nothing of its cause to who asked.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from pydantic import ValidationError

from rather.annotation.desk import Desk
from rather.annotation.web.addresses import is_address, is_loopback
from rather.annotation.web.http import HTML, Headers, Receive, Reply, Request, Send, form_of, json_reply, redirect
from rather.annotation.web.limits import Failures
from rather.annotation.web.owner.surveying import Kept
from rather.annotation.web.routes import Route, Table
from rather.annotation.web.sessions import Sessions, same
from rather.errors import RequestError, StoreError

_log = logging.getLogger("rather.annotation")

_REFRESH_SECONDS = 2.0
_PORT = re.compile(r":\d+$")

SECURITY: Headers = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        b"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_FRESH = (b"cache-control", b"no-store")

_RANK = {"annotator": 0, "adjudicator": 1, "owner": 2}
_SAFE = ("GET", "HEAD")


class Site:
    """The application.

    desk      what annotators do
    sessions  whose cookie it is
    hosts     names and addresses under which the site may be asked for; others are somebody's trick (DNS rebinding)
    wide      True where it listens for other machines: then any address in digits is good, which no trick can make
    proxied   True where a proxy on this machine stands before it
    secure    True where people come by https (through that proxy)
    surveys   the figures of the board
    disputes  the items on which people differ
    """

    def __init__(
        self,
        open_desk: Callable[[], Desk],
        table: Table,
        *,
        hosts: frozenset[str],
        wide: bool = False,
        proxied: bool = False,
        secure: bool = False,
    ) -> None:
        self._open_desk, self.table, self.hosts = open_desk, table, hosts
        self.wide, self.proxied, self.secure = wide, proxied, secure
        self.cookie_name = "__Host-rather" if secure else "rather"
        self.failures_of_address = Failures(burst=20, seconds=6.0)
        self.failures_of_name = Failures(burst=5, seconds=30.0)
        self.hashing = asyncio.Semaphore(2)  # argon2 takes memory and time on purpose
        self.surveys, self.disputes = Kept("survey"), Kept("disputes")
        self.desk: Desk
        self.sessions: Sessions
        self._refreshing: asyncio.Task[None] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            reply = await self.answer(request)
            await _send(reply, request, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def answer(self, request: Request) -> Reply:
        """The reply to a request; never raises but for a cancelled connection."""
        try:
            return await self._handled(request)
        except RequestError as error:
            return self._refusal(request, error)
        except StoreError as error:
            _log.error("%s %s: %s", request.method, request.path, error)
            return self._refusal(
                request,
                RequestError(
                    "this cannot be stored now; nothing is lost, try again", status=503, code="store", wait=2.0
                ),
            )
        except Exception:
            _log.exception("%s %s", request.method, request.path)
            return self._refusal(request, RequestError("something went wrong here", status=500, code="server"))

    async def _handled(self, request: Request) -> Reply:
        host = request.headers.get(b"host", b"").decode("latin-1").lower()
        if not self._is_own(host):
            raise RequestError("this server is not known under that name", status=421, code="host")
        route = self.table.find(request)
        found = await self.sessions.find(request.cookie(self.cookie_name))
        if found is not None:
            request.account, request.token, request.csrf = found
        if request.method not in _SAFE:
            self._require_own_origin(request, host)
        if route.role is not None:
            if request.account is None:
                raise RequestError("sign in first", status=401, code="sign_in")
            if _RANK[request.account.role] < _RANK[route.role]:
                raise RequestError(f"this is for {route.role}s", status=403, code="role")
        if request.method not in _SAFE:
            await self._read(request, route)
        return await route.handler(self, request)

    def _is_own(self, host: str) -> bool:
        name = host.rpartition(":")[0] if _PORT.search(host) else host
        return host in self.hosts or name in self.hosts or (self.wide and is_address(name))

    def address_of(self, request: Request) -> str:
        """Where a request comes from; through a proxy on this machine, what the proxy says."""
        said = request.headers.get(b"x-forwarded-for", b"").decode("latin-1").rpartition(",")[2].strip()
        return said[:64] if self.proxied and said and is_loopback(request.client) else request.client

    def _require_own_origin(self, request: Request, host: str) -> None:
        origin = request.headers.get(b"origin")
        if origin is not None:
            parts = urlsplit(origin.decode("latin-1"))
            if parts.netloc.lower() != host or (self.secure and parts.scheme != "https"):
                raise RequestError("this came from another site", status=403, code="origin")
        elif request.headers.get(b"sec-fetch-site", b"same-origin") not in (b"same-origin", b"none"):
            raise RequestError("this came from another site", status=403, code="origin")

    async def _read(self, request: Request, route: Route) -> None:
        body = await request.body(route.limit)
        if request.is_form:
            request.data, request.files = form_of(body, request.headers[b"content-type"])
            given = request.data.pop("csrf", "")
        else:
            given = request.headers.get(b"x-csrf-token", b"").decode("latin-1")
        if request.account is not None and route.role is not None and not same(request.csrf, given):
            raise RequestError("this page is too old; load it again", status=403, code="csrf")
        if route.page != request.is_form and (route.page or route.takes is not None):
            wanted = "application/x-www-form-urlencoded" if route.page else "application/json"
            raise RequestError(f"send {wanted}", status=415, code="form")
        if not route.page:
            request.data = _validated(route, body)

    def _refusal(self, request: Request, error: RequestError) -> Reply:
        headers: Headers = []
        if error.wait is not None:
            headers.append((b"retry-after", str(math.ceil(error.wait)).encode()))
        if error.status == 405:
            headers.append((b"allow", self.table.allowed(request.path).encode()))
        if request.path.startswith("/api/"):
            reply = json_reply({"error": {"code": error.code, "message": str(error)}}, error.status)
        elif error.status == 401 and request.method == "GET" and request.path != "/sign-in":
            reply = redirect("/sign-in")
        else:
            reply = self.table.error_page(self, request, error)
        reply.headers += headers
        return reply

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self.desk = self._open_desk()
        self.sessions = Sessions(self.desk)
        self._refreshing = asyncio.create_task(self._refresh())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self._refreshing.cancel()
        self.desk.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _refresh(self) -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            try:
                await self.desk.refresh()
            except StoreError as error:  # the next round tries again
                _log.warning("%s", error)
            except Exception:
                _log.exception("what other processes changed could not be read")


def _validated(route: Route, body: bytes) -> Any:
    if route.takes is None:
        if body.strip() not in (b"", b"{}"):
            raise RequestError("this takes no body", status=422, code="unfit")
        return None
    try:
        return route.takes.model_validate_json(body, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{place or 'body'}: {first['msg'].lower()}", status=422, code="unfit") from error


async def _send(reply: Reply, request: Request, send: Send) -> None:
    headers = [(b"content-type", reply.kind), *SECURITY, *reply.headers]
    if not any(name == b"cache-control" for name, _ in reply.headers):
        headers.append(_FRESH)
    if reply.kind == HTML:
        headers.append((b"vary", b"cookie, accept-language"))
    if reply.stream is None:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if request.method == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    if reply.stream is not None:
        async for part in reply.stream:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": reply.body})
