"""The collector: a plain ASGI application with few doors. One keeps events, for who has the token; the others say what it is.

Nothing of a service's users can be read here: the log is read on the machine on which it lies. Errors are rendered in one place.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import time
from typing import Any

from pydantic import ValidationError

from rather.annotation.web.http import JSON, Headers, Receive, Reply, Request, Send, json_reply
from rather.annotation.web.sessions import same
from rather.collecting.log import EventLog
from rather.collecting.shapes import Events, HappenedOnce
from rather.errors import RequestError, RowError, StoreError
from rather.formats.events import parse

_log = logging.getLogger("rather.collecting")

LARGEST = 4 * 1024 * 1024
_BODY_SECONDS = 30.0
_AHEAD_SECONDS = 24 * 3600.0

SECURITY: Headers = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
]


class Collector:
    """The application.

    log     where events are kept
    token   what who sends them must know
    key     by which users become pseudonyms
    pages   address → what stands there for everybody: (content type, content)
    """

    def __init__(self, log: EventLog, *, token: str, key: bytes, pages: dict[str, tuple[bytes, bytes]]) -> None:
        self.log, self._token, self._key, self.pages = log, token, key, pages

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            request = Request(scope, receive)
            await _send(await self.answer(request), request, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def answer(self, request: Request) -> Reply:
        """The reply to a request; never raises but for a cancelled connection."""
        try:
            return await self._handled(request)
        except RequestError as error:
            return _refusal(error)
        except StoreError as error:
            _log.error("%s", error)
            text = "this cannot be kept now; send it again"
            return _refusal(RequestError(text, status=503, code="store", wait=2.0))
        except Exception:
            _log.exception("%s %s", request.method, request.path)
            return _refusal(RequestError("something went wrong here", status=500, code="server"))

    async def _handled(self, request: Request) -> Reply:
        takes = "POST" if request.path == "/events" else "GET, HEAD" if request.path in self.pages else ""
        if not takes:
            raise RequestError("there is nothing here; / says what there is", status=404, code="no_page")
        if request.method not in takes.split(", "):
            raise RequestError(f"this takes {takes}", status=405, code="method")
        if request.path == "/events":
            return json_reply({"kept": await self._keep(request)})
        kind, content = self.pages[request.path]
        return Reply(content, kind=kind)

    async def _keep(self, request: Request) -> int:
        self._require_token(request)
        if request.headers.get(b"content-type", b"").split(b";")[0].strip().lower() != JSON:
            raise RequestError("send application/json", status=415, code="form")
        try:
            body = await asyncio.wait_for(request.body(LARGEST), _BODY_SECONDS)
        except TimeoutError as error:
            raise RequestError("the body did not come in time", status=408, code="slow") from error
        try:
            given = Events.model_validate_json(body)
        except ValidationError as error:
            raise _unfit(error) from error
        now = time.time()
        await self.log.append(b"".join(self._line(number, event, now) for number, event in enumerate(given.events)))
        return len(given.events)

    def _require_token(self, request: Request) -> None:
        kind, _, given = request.headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if kind.lower() == "bearer" and same(self._token, given.strip()):
            return
        raise RequestError("send the header Authorization: Bearer TOKEN", status=401, code="token")

    def _line(self, number: int, event: HappenedOnce, now: float) -> bytes:
        """An event as the log has it. What could not be read of the log again is refused here."""
        row = event.model_dump(exclude_none=True)
        row["user"] = self._pseudonym(row["user"])
        row.setdefault("time", round(now, 3))
        try:
            at = parse(row)[0].at
        except RowError as error:
            raise RequestError(f"events.{number}: {error.reason}", status=422, code="unfit") from error
        if at is not None and at > now + _AHEAD_SECONDS:
            raise RequestError(f"events.{number}: the time lies ahead by more than a day", status=422, code="unfit")
        return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

    def _pseudonym(self, user: str) -> str:
        data = user.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(data, key=self._key, digest_size=10).hexdigest()

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.log.close()
        await send({"type": "lifespan.shutdown.complete"})


def _unfit(error: ValidationError) -> RequestError:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return RequestError(f"{place or 'body'}: {first['msg'].lower()}", status=422, code="unfit")


def _refusal(error: RequestError) -> Reply:
    reply = json_reply({"error": {"code": error.code, "message": str(error)}}, error.status)
    if error.wait is not None:
        reply.headers.append((b"retry-after", str(math.ceil(error.wait)).encode()))
    if error.status == 401:
        reply.headers.append((b"www-authenticate", b'Bearer realm="rather signals"'))
    if error.status == 405:
        reply.headers.append((b"allow", str(error).removeprefix("this takes ").encode()))
    return reply


async def _send(reply: Reply, request: Request, send: Send) -> None:
    kept = (b"content-length", str(len(reply.body)).encode())
    headers = [(b"content-type", reply.kind), kept, *SECURITY, *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else reply.body})
