"""A request and a reply, as little of each as the server needs."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from rather.annotation.accounts import Account
from rather.errors import RequestError

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_URLENCODED, _MULTIPART = b"application/x-www-form-urlencoded", b"multipart/form-data"
_MOST_FIELDS = 200  # of a form
_MOST_ASKED = 50  # behind a question mark
_DISPOSITION = re.compile(
    r'(?im)^content-disposition:\s*form-data;\s*name="(?P<name>[^"\r\n]*)"(?:;\s*filename="(?P<file>[^"\r\n]*)")?'
)

JSON = b"application/json"
HTML = b"text/html; charset=utf-8"


class Request:
    """One request; `account`, `csrf`, `data` and `path_values` are set once they are checked.

    data   the validated body: a pydantic model on the API, a dict of strings for a form
    files  what was uploaded with a form: field → name and content
    """

    def __init__(self, scope: dict[str, Any], receive: Receive) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self._scope, self._receive = scope, receive
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.account: Account | None = None
        self.token = ""
        self.csrf = ""
        self.data: Any = None
        self.files: dict[str, tuple[str, bytes]] = {}
        self.path_values: dict[str, str] = {}

    @property
    def person(self) -> Account:
        """Who is signed in, on a route that lets nobody else in."""
        assert self.account is not None
        return self.account

    @property
    def client(self) -> str:
        """The address that the connection comes from."""
        client = self._scope.get("client")
        return client[0] if client else "unknown"

    @property
    def query(self) -> dict[str, str]:
        """The last value of each name behind the question mark. Raises RequestError for more than `_MOST_ASKED` of them."""
        text = self._scope["query_string"].decode("latin-1")
        try:
            values = parse_qs(text, keep_blank_values=True, max_num_fields=_MOST_ASKED)
        except ValueError as error:
            say = f"more than {_MOST_ASKED} values in the address; ask for less at once"
            raise RequestError(say, status=422, code="unfit") from error
        return {name: each[-1] for name, each in values.items()}

    @property
    def is_form(self) -> bool:
        return self.headers.get(b"content-type", b"").split(b";")[0].strip().lower() in (_URLENCODED, _MULTIPART)

    def cookie(self, name: str) -> str:
        """A cookie's value, or nothing."""
        text = self.headers.get(b"cookie", b"").decode("latin-1")
        head = f"{name}="
        if text.startswith(head) and ";" not in text:  # the usual: this cookie alone
            return text[len(head) :]
        try:
            morsel = SimpleCookie(text).get(name)
        except Exception:  # whatever a foreign cookie is broken by, it is not ours
            return ""
        return morsel.value if morsel else ""

    async def body(self, limit: int) -> bytes:
        """All of the body. Raises RequestError for one above `limit` bytes."""
        too_large = RequestError(f"more than {limit:,} bytes; send less at once", status=413, code="too_large")
        if int(self.headers.get(b"content-length", b"0") or 0) > limit:
            raise too_large
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise RequestError("the connection was closed", status=400, code="closed")
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise too_large
            parts.append(part)
            if not message.get("more_body"):
                return parts[0] if len(parts) == 1 else b"".join(parts)


@dataclass
class Reply:
    """What is sent back. `stream`, where there is one, gives the body in parts."""

    body: bytes = b""
    status: int = 200
    kind: bytes = JSON
    headers: Headers = field(default_factory=list)
    stream: Any = None


def json_reply(value: Any, status: int = 200) -> Reply:
    """A value as JSON."""
    return Reply(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(), status)


def html_reply(text: str, status: int = 200) -> Reply:
    """A page."""
    return Reply(text.encode("utf-8", "replace"), status, HTML)


def redirect(to: str) -> Reply:
    """Go there with GET."""
    return Reply(status=303, kind=b"text/plain", headers=[(b"location", to.encode("ascii"))])


def number_in_path(request: Request, name: str) -> int:
    """A number that is part of the address. Raises RequestError (404)."""
    text = request.path_values[name]
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise RequestError("there is nothing here", status=404, code="no_page")
    return int(text)


def form_of(body: bytes, kind: bytes = _URLENCODED) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """A form's fields (the last value of each name) and its files. Raises RequestError."""
    try:
        if kind.split(b";")[0].strip().lower() == _MULTIPART:
            return _parts(body, kind)
        values = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except (UnicodeDecodeError, ValueError, LookupError) as error:
        raise RequestError("this is no form", status=400, code="no_form") from error
    return {name: given[-1] for name, given in values.items()}, {}


def _parts(body: bytes, kind: bytes) -> tuple[dict[str, str], dict[str, tuple[str, bytes]]]:
    """A form with files (RFC 7578). Raises ValueError."""
    found = re.search(rb'boundary="?([^";,\s]{1,70})"?', kind)
    if found is None:
        raise ValueError("no boundary")
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    parts = (b"\r\n" + body).split(b"\r\n--" + found[1], _MOST_FIELDS)[1:]
    for part in parts[:-1]:
        head, blank, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        said = _DISPOSITION.search(head.decode("utf-8"))
        if not blank or said is None:
            raise ValueError("no form data")
        if said["file"] is None:
            fields[said["name"]] = content.decode("utf-8")
        else:
            files[said["name"]] = said["file"].replace("\\", "/").rpartition("/")[2], content
    return fields, files
