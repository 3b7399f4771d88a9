"""The same queue in the terminal: the app is driven by keys, against a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from rather.annotation import accounts
from rather.annotation.store import Store
from rather.annotation.tasks import Item
from rather.annotation.terminal.client import Client
from rather.errors import ConfigError, RequestError, ServerError
from tests.annotation.asking import PASSWORD, Served, comparisons, fill, serving

pytest.importorskip("textual", reason="pip install 'rather[annotate]'")
from textual.widgets import Input, Static, TextArea

from rather.annotation.terminal.judging import Judging, ranks_of, told_of


def client_of(served: Served) -> Client:
    """Signed in by a key, as an annotator on ssh is."""
    client = Client(f"127.0.0.1:{served.port}")
    account = accounts.add_account(served.store, "anna", "annotator")
    client.join("http://x/join#" + accounts.invite(served.store, "annotator", account=account.id, uses=None, days=1.0))
    return client


def driven(served: Served, act: Any) -> None:
    async def run() -> None:
        client = client_of(served)
        app = Judging(client)
        async with app.run_test() as pilot:
            await pilot.pause()
            await act(app, pilot)
        client.close()

    asyncio.run(run())


def said(served: Served) -> list[tuple[str, str]]:
    return [tuple(row) for row in served.store.read("SELECT kind, body FROM events WHERE kind <> 'viewed' ORDER BY id")]


@pytest.fixture
def served(sqlite: Store) -> Iterator[Served]:
    fill(sqlite, comparisons(3))
    with serving(sqlite) as running:
        yield running


def test_votes_by_keys_and_the_last_one_anew(served: Served) -> None:
    async def act(app: Any, pilot: Any) -> None:
        assert "Question 0?" in str(app.query_one("#prompt", Static).render())
        await pilot.press("a")
        assert "Question 1?" in str(app.query_one("#prompt", Static).render())
        await pilot.press("u")
        assert "Question 0?" in str(app.query_one("#prompt", Static).render())
        await pilot.press("t")
        await pilot.press("s", "n", "o", "enter")
        await pilot.press("u")
        assert "Question 1?" in str(app.query_one("#prompt", Static).render())
        await pilot.press("b")
        await pilot.press("x")
        assert "nothing to judge" in str(app.query_one("#prompt", Static).render())

    driven(served, act)
    assert said(served)[2] == ("skipped", '{"reason":"no"}')
    kinds = [kind for kind, _ in said(served)]
    assert kinds == ["voted", "revised", "skipped", "voted", "voted"]
    assert ['"verdict":"' + verdict in body for verdict, (_, body) in zip("at", said(served), strict=False)] == [
        True,
        True,
    ]


def test_ranks_scores_and_texts(sqlite: Store) -> None:
    items = [
        Item(0, "rank", "task", "rank these", ["one", "two", "three"]),
        Item(0, "rate", "task", "rate this", ["an answer"]),
        Item(0, "edit", "task", "mend this", ["an anwser"]),
    ]
    fill(sqlite, items, aspects={"tone": (0, 3), "truth": (1, 5)})

    async def act(app: Any, pilot: Any) -> None:
        app.query_one("#say", Input).value = "d"
        await pilot.press("enter")
        assert "name each of ABC once at most" in str(app.query_one("#told", Static).render())
        app.query_one("#say", Input).value = "c a=b"
        await pilot.press("enter")
        app.query_one("#say", Input).value = "9 1"
        await pilot.press("enter")
        assert "goes from 0 to 3" in str(app.query_one("#told", Static).render())
        app.query_one("#say", Input).value = "2 5"
        await pilot.press("enter")
        app.query_one("#edit", TextArea).text = "an answer"
        await pilot.press("ctrl+s")

    with serving(sqlite) as served:
        driven(served, act)
        bodies = [body for _, body in said(served)]
    assert '"ranks":[2,2,1]' in bodies[0]
    assert '"scores":{"tone":2,"truth":5}' in bodies[1]
    assert '"text":"an answer"' in bodies[2]


def test_a_comment_and_the_keys_where_something_is_written(sqlite: Store) -> None:
    fill(
        sqlite,
        [
            *comparisons(1),
            Item(0, "rank", "task", "rank these", ["one", "two"]),
            Item(0, "edit", "task", "mend", ["x"]),
        ],
    )

    async def act(app: Any, pilot: Any) -> None:
        await pilot.press("s", "escape", "c", "o", "k", "enter", "a")  # Esc: no skip after all
        await pilot.press("s", "escape", "c")
        assert app.query_one("#say", Input).placeholder.startswith("a comment")
        await pilot.press("t", "i", "e", "enter", "a", "=", "b", "enter")
        await pilot.press("escape", "s", "escape", "escape", "s", "enter")
        assert "nothing to judge" in str(app.query_one("#prompt", Static).render())

    with serving(sqlite) as served:
        driven(served, act)
        (one, two, three) = [(kind, json.loads(body)) for kind, body in said(served)]
    assert (one[1]["verdict"], one[1]["comment"]) == ("a", "ok")
    assert (two[1]["ranks"], two[1]["comment"]) == ([1, 1], "tie")
    assert three == ("skipped", {"reason": ""})


def test_hostile_answers_do_nothing_to_a_terminal(sqlite: Store) -> None:
    fill(sqlite, [Item(0, "compare", "task", "[bold]q[/]", ["\x1b]0;stolen\x07\x1b[2J", "\u202eback"])])

    async def act(app: Any, pilot: Any) -> None:
        shown = " ".join(str(one.render()) for one in app.query(Static))
        assert "\x1b" not in shown
        assert "<U+001B>]0;stolen<U+0007>" in shown
        assert "<U+202E>back" in shown
        assert "[bold]q[/]" in shown

    with serving(sqlite) as served:
        driven(served, act)


def test_what_a_gold_item_tells() -> None:
    assert told_of({"right": None, "why": None}) == ""
    assert told_of({"right": True, "why": None}) == "That was a known item, and right."
    assert told_of({"right": False, "why": "It is four."}).endswith("say otherwise. It is four.")


@pytest.mark.parametrize(("text", "ranks"), [("B A=C", [2, 1, 2]), ("a > b", [1, 2, None]), ("c=a", [1, None, 1])])
def test_a_ranking_as_it_is_typed(text: str, ranks: list[int | None]) -> None:
    assert ranks_of(text, 3) == {"ranks": ranks}


@pytest.mark.parametrize("text", ["", "a", "a a", "a d", "a b=", "ab c"])
def test_what_is_no_ranking(text: str) -> None:
    with pytest.raises(ValueError, match="name"):
        ranks_of(text, 3)


def test_the_client_says_what_is_wrong(served: Served) -> None:
    accounts.add_account(served.store, "bo", "annotator", PASSWORD)
    client = Client(f"http://127.0.0.1:{served.port}/")
    with pytest.raises(RequestError, match="name or password is wrong"):
        client.sign_in("bo", "no such password")
    client.close()
    client.sign_in("bo", PASSWORD)
    assert client.progress()["items"] == 3
    client.sign_out()
    with pytest.raises(ServerError, match="cannot be reached"):
        Client("http://127.0.0.1:9").sign_in("bo", PASSWORD)
    with pytest.raises(ConfigError, match="must be http"):
        Client("ftp://x")
