"""A project with items in it, a server in a thread, and somebody who asks it over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import uvicorn

from rather.annotation import accounts
from rather.annotation.options import ServeOptions
from rather.annotation.serving import make_site, server_config
from rather.annotation.settings import Project, save_project
from rather.annotation.store import Store
from rather.annotation.tasks import Item
from rather.annotation.web.site import Site
from tests.annotation.between import Proxy

PASSWORD = "a long enough password"


def comparisons(count: int, start: int = 0) -> list[Item]:
    return [
        Item(0, "compare", "task", f"Question {n}?", [f"first to {n}", f"second to {n}"], ["m1", "m2"])
        for n in range(start, start + count)
    ]


def fill(store: Store, items: list[Item], **settings: Any) -> None:
    """Items in a batch of their own, and the project's settings; in the order of the list unless they say otherwise."""
    save_project(store, Project.build({"shuffle": False, **settings}))
    batch = store.write(("INSERT INTO batches (at, source, ready) VALUES (0, 'test', 0) RETURNING id", {}))[0][0]
    rows = [(item.digest, batch, item.kind, item.role, item.dump()) for item in items]
    store.insert("items", ("digest", "batch", "kind", "role", "body"), rows)
    store.write(("UPDATE batches SET ready = 1 WHERE id = :id", {"id": batch}))


@dataclass
class Answer:
    """A reply."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


@dataclass
class Asker:
    """A browser or a program, with one cookie."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)
    csrf: str = ""

    def ask(self, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {**self.headers, **named})
        reply = connection.getresponse()
        answer = Answer(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        connection.close()
        cookie = answer.headers.get("set-cookie")
        if cookie:
            self.headers["Cookie"] = cookie.partition(";")[0]
        return answer

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        """JSON, with the CSRF token of whoever is signed in."""
        given = {"Content-Type": "application/json", "X-CSRF-Token": self.csrf, **headers}
        answer = self.ask("POST", path, None if body is None else json.dumps(body), **given)
        if path in ("/api/sign-in", "/api/join") and answer.status == 200:
            self.csrf = answer.json["csrf"]
        return answer

    def form(self, path: str, values: dict[str, str]) -> Answer:
        """A form, as a page sends it."""
        data = urlencode({"csrf": self.csrf, **values})
        return self.ask("POST", path, data, Content_Type="application/x-www-form-urlencoded")


@dataclass
class Served:
    """A running server."""

    port: int
    site: Site
    store: Store
    proxy: Proxy

    def stranger(self) -> Asker:
        return Asker(self.port)

    def someone(self, name: str, role: accounts.Role = "annotator") -> Asker:
        """Signed in by an invitation; an owner has a password."""
        asker = Asker(self.port)
        token = accounts.invite(self.store, role, days=1.0)
        joined = asker.post(
            "/api/join", {"token": token, "name": name, "password": PASSWORD if role == "owner" else None}
        )
        assert joined.status == 200, joined.text
        return asker


@contextmanager
def serving(store: Store, **options: Any) -> Iterator[Served]:
    """A server on a free port, in a thread."""
    chosen = ServeOptions(port=0, **options)
    site = make_site(store, chosen)
    proxy = Proxy(site)
    server = uvicorn.Server(server_config(proxy, chosen))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        thread.join(0.005)
    try:
        yield Served(server.servers[0].sockets[0].getsockname()[1], site, store, proxy)
    finally:
        server.should_exit = True
        thread.join()
