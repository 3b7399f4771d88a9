"""Owner and adjudicator in a real Chromium, with and without a script; two people at once; and votes that go on to pairs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rather.annotation.accounts import add_account
from rather.annotation.store import Store
from rather.annotation.web.owner.surveying import Kept
from tests.annotation.asking import PASSWORD, Served, comparisons, fill, serving
from tests.annotation.browsing import PHONE, WIDE
from tests.annotation.test_annotating import RANK, RATE

PAGES = ("/board", "/disputes", "/items", "/people", "/project", "/export", "/log")


@pytest.fixture
def served(sqlite: Store) -> Iterator[Served]:
    fill(sqlite, comparisons(24), overlap=2, title="Which is better?")
    for name, role in (("olga", "owner"), ("judge", "adjudicator"), ("anna", "annotator"), ("bo", "annotator")):
        add_account(sqlite, name, role, PASSWORD)  # pyright: ignore[reportArgumentType]
    with serving(sqlite) as running:
        yield running


@pytest.fixture(autouse=True)
def closed(browser: Any) -> Iterator[None]:
    """Every window is closed when its test ends."""
    yield
    for context in browser.contexts:
        context.close()


class Person:
    """Somebody at a browser of their own, signed in."""

    def __init__(self, browser: Any, served: Served, name: str, **options: Any) -> None:
        self.at = f"http://127.0.0.1:{served.port}"
        self.context = browser.new_context(viewport=options.pop("viewport", WIDE), accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.errors: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self.page.goto(f"{self.at}/sign-in")
        self.page.fill("[name=name]", name)
        self.page.fill("[name=password]", PASSWORD)
        self.page.click("main button")
        self.page.wait_for_url("**/task")

    def go(self, path: str) -> Any:
        self.page.goto(self.at + path, timeout=120_000)
        return self.page

    def item(self) -> int | None:
        field = self.page.locator("[name=item]").first
        return int(field.get_attribute("value")) if field.count() else None

    def votes_for(self, better: str) -> bool:
        """One vote by a plain form; False where there is nothing left."""
        self.go("/task")
        if self.item() is None:
            return False
        first = self.page.locator("article").first.inner_text()
        self.page.click(f"[name=verdict][value={'a' if better in first else 'b'}]")
        return True


def test_two_people_at_once_then_an_adjudicator_then_pairs(browser: Any, served: Served, tmp_path: Path) -> None:
    import rather
    from rather.pairing.run import pair

    anna = Person(browser, served, "anna", java_script_enabled=False)
    bo = Person(browser, served, "bo", java_script_enabled=False)
    for turn in range(24):  # the same items at the same time; they differ on every sixth
        anna.votes_for("first")
        bo.votes_for("second" if turn % 6 == 5 else "first")
    assert not anna.votes_for("first")
    assert not bo.votes_for("first")
    counts = Counter(served.store.read("SELECT item, account FROM events WHERE kind = 'voted'"))
    assert len(counts) == 48
    assert set(counts.values()) == {1}

    judge = Person(browser, served, "judge", java_script_enabled=False)
    page = judge.go("/disputes")
    disputed = page.locator("tbody tr").count()
    assert disputed == 4
    page.click("text=Decide the first")
    for _ in range(disputed):
        first = page.locator("article").first.inner_text()
        page.fill("[name=comment]", "the first is right")
        page.click(f"[name=verdict][value={'a' if 'first' in first else 'b'}]")
        page.wait_for_load_state()
    assert page.url.endswith("/disputes")
    assert "There is nothing to decide" in page.content()
    assert page.locator("text=the first is right").count() == 4

    olga = Person(browser, served, "olga")
    olga.go("/export")
    with olga.page.expect_download() as download:
        olga.page.click("text=JSONL")
    file = tmp_path / "judgments.jsonl"
    download.value.save_as(file)
    assert len(file.read_text().splitlines()) == 48 + 4

    found = rather.audit(str(file), out=tmp_path / "audit", allow={"all": "a test"})
    assert {finding.check for finding in found.findings} >= {"agreement"}
    pair([file], out=tmp_path / "pairs", reliability="noisy-bradley-terry", gold=("judge",))
    texts = [(tmp_path / "pairs" / f"{name}.jsonl").read_text() for name in ("pairs", "heldout")]
    rows = [json.loads(line) for text in texts for line in text.splitlines()]
    assert len(rows) == 24
    assert all(row["chosen"].startswith("first") for row in rows)


def test_rankings_and_ratings_are_decided_as_well(browser: Any, sqlite: Store) -> None:
    fill(sqlite, [RANK, RATE], overlap=2)
    for name in ("anna", "bo", "judge"):
        add_account(sqlite, name, "adjudicator" if name == "judge" else "annotator", PASSWORD)
    with serving(sqlite) as served:
        for name, place, score in (("anna", 1, 2), ("bo", 2, 5)):
            page = Person(browser, served, name, java_script_enabled=False).page
            for number, text in enumerate(page.locator("article .rich").all_inner_texts()):
                page.select_option(f"[name=rank{number}]", str(place if text == "one" else 3 - place))
            page.click(".send")
            page.locator(".scale label", has_text=str(score)).click()
            page.click(".send")
        page = Person(browser, served, "judge", viewport=PHONE).go("/disputes/1")
        for number, article in enumerate(page.locator(".sides article").all()):
            page.fill(f"[name=rank{number}]", "1" if "three" in article.inner_text() else "2")
        page.click(".sheet form button.main")
        page.wait_for_url("**/disputes/2")
        page.fill("[name=score-overall]", "4")
        page.click(".sheet form button.main")
        page.wait_for_url("**/disputes")
    (ranks, shown), (scores, _) = [
        (json.loads(body), json.loads(order))
        for body, order in sqlite.read("SELECT body, shown FROM events WHERE kind = 'adjudicated' ORDER BY id")
    ]
    assert [ranks["ranks"][shown.index(answer)] for answer in range(3)] == [2, 2, 1]
    assert scores["scores"] == {"overall": 4}


def test_every_page_of_the_owner_is_whole_and_within_its_policy(browser: Any, served: Served) -> None:
    for size, scheme in ((WIDE, "light"), (PHONE, "dark")):
        olga = Person(browser, served, "olga", viewport=size, color_scheme=scheme)
        for path in PAGES:
            page = olga.go(path)
            assert page.locator("h1").count() == 1, path
            assert page.locator(".tabs [aria-current]").count() == 1, path
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{path} is {wider} pixels wider than {size['width']}"
        assert olga.errors == []
        olga.context.close()


def test_pages_reach_aa(browser: Any, served: Served) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install axe-playwright-python")
    anna, bo = Person(browser, served, "anna"), Person(browser, served, "bo")
    for person, better in ((anna, "first"), (bo, "second")):
        person.context.close()
        again = Person(browser, served, "anna" if person is anna else "bo", java_script_enabled=False)
        again.votes_for(better)
        again.context.close()
    for scheme in ("light", "dark"):
        olga = Person(browser, served, "olga", color_scheme=scheme)
        for path in (*PAGES, "/disputes/1"):
            found = axe.Axe().run(olga.go(path), options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
            assert found.violations_count == 0, f"{path} {scheme}: {found.generate_report()}"
        olga.context.close()


def test_an_invitation_is_made_and_used(browser: Any, served: Served) -> None:
    olga = Person(browser, served, "olga")
    page = olga.go("/people")
    page.click("text=Make a link")
    link = page.locator("code.link").inner_text()
    guest = browser.new_context().new_page()
    guest.goto(link)
    guest.fill("[name=name]", "olga")
    guest.click("main button")
    assert guest.locator("[role=alert]").inner_text() == "the name olga is taken; choose another"
    assert guest.locator("[name=token]").input_value() == link.partition("#")[2]
    guest.fill("[name=name]", "Chen")
    guest.click("main button")
    guest.wait_for_url("**/task")
    assert "Chen" in olga.go("/people").content()


def test_items_come_by_an_upload(browser: Any, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "gold.jsonl"
    file.write_text(
        json.dumps({"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "tags": {"why": "It is four."}}) + "\n"
    )
    olga = Person(browser, served, "olga")
    page = olga.go("/items")
    page.set_input_files("[name=file]", file)
    page.select_option("[name=role]", "gold")
    page.click("text=Bring them")
    page.wait_for_selector("text=1 new items", timeout=60_000)
    assert page.locator("text=It is four.").count() == 1
    assert olga.errors == []


def test_the_board_renews_itself(browser: Any, served: Served) -> None:
    served.site.surveys = Kept("survey", fresh=0.0, patience=0.0)
    olga = Person(browser, served, "olga")
    olga.page.clock.install()
    page = olga.go("/board")
    assert page.locator(".tiles b").nth(1).inner_text() == "0"
    anna = Person(browser, served, "anna", java_script_enabled=False)
    anna.votes_for("first")
    for _ in range(40):
        olga.page.clock.run_for(31_000)
        page.wait_for_timeout(500)
        if page.locator(".tiles b").nth(1).inner_text() == "1":
            break
    assert page.locator(".tiles b").nth(1).inner_text() == "1"
    assert olga.errors == []
