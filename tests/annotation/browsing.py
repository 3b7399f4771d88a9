"""A real browser on a served project: Debian's Chromium, through playwright."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rather.annotation import accounts
from rather.annotation.store import Store
from rather.annotation.tasks import Item
from tests.annotation.asking import Served, fill, serving

CHROMIUM = Path("/usr/bin/chromium")
WIDE, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def chromium() -> Iterator[Any]:
    """The browser; skips where it is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'rather[test]'")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Seen:
    """A page, and what went wrong on it."""

    page: Any
    served: Served
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    fetched: int = 0

    @property
    def at(self) -> str:
        return f"http://127.0.0.1:{self.served.port}"

    def votes(self) -> list[tuple[str, str]]:
        """Kinds and bodies of the events that are no views."""
        return self.served.store.read("SELECT kind, body FROM events WHERE kind <> 'viewed' ORDER BY id")

    def wait_for_votes(self, count: int) -> list[tuple[str, str]]:
        for _ in range(200):
            if len(self.votes()) >= count:
                return self.votes()
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{len(self.votes())} votes of {count} came")

    def wait_for_tasks_ahead(self, count: int = 2) -> None:
        """Until so many of the next tasks have been fetched, and the page has them."""
        for _ in range(500):
            if self.fetched >= count:
                self.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{self.fetched} tasks of {count} were fetched ahead")

    def wait_for_empty_outbox(self) -> None:
        """Until no vote waits in the browser: the server's answer comes behind the vote that a test sees in the store."""
        self.page.wait_for_function("Object.keys(localStorage).every((name) => !name.includes('vote'))")

    def _finished(self, request: Any) -> None:
        self.fetched += "/task/next" in request.url

    def wait_for_task(self, text: str) -> None:
        self.page.locator(".prompt", has_text=text).wait_for()


@contextmanager
def seen(
    browser: Any, store: Store, items: list[Item], size: dict[str, int] | None = None, **more: Any
) -> Iterator[Seen]:
    """Somebody who is signed in, on their first task. `more`: settings of the project, or of the browser."""
    of_browser = {
        name: more.pop(name) for name in list(more) if name in ("java_script_enabled", "color_scheme", "locale")
    }
    fill(store, items, **more)
    phone = size == PHONE
    with serving(store) as served:
        context = browser.new_context(viewport=size or WIDE, is_mobile=phone, has_touch=phone, **of_browser)
        context.set_default_timeout(15_000)
        page = context.new_page()
        found = Seen(page, served)
        page.on("pageerror", lambda error: found.errors.append(str(error)))
        page.on("dialog", lambda dialog: (found.errors.append(f"alert {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda said: found.errors.append(said.text) if said.type == "error" else None)
        page.on("requestfinished", found._finished)
        page.on("request", lambda request: found.asked.append(request.url))
        try:
            account = accounts.add_account(store, "Ada", "annotator")
            cookie = served.site.sessions.cookie(accounts.open_session(store, account))
            context.add_cookies([{"name": "rather", "value": cookie, "url": found.at}])
            page.goto(f"{found.at}/task")
            yield found
        finally:
            context.close()
