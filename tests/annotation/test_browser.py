"""The task page in a real browser: every kind of task by keyboard, mouse and phone; offline; axe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest

from rather.annotation.store import Store
from rather.annotation.tasks import Item
from tests.annotation.asking import comparisons
from tests.annotation.browsing import PHONE, WIDE, Seen, seen
from tests.annotation.test_annotating import EDIT, RANK, RATE

LONG = [
    Item(0, "compare", "task", "Long?", ["\n\n".join(f"line {n} of {who}" for n in range(200)) for who in ("x", "y")])
]


def said(at: Seen, count: int = 1) -> list[Any]:
    bodies = [json.loads(body) for _, body in at.wait_for_votes(count)]
    for body in bodies:
        body.pop("seconds", None)
    return bodies


def press(at: Seen, *keys: str) -> None:
    for key in keys:
        at.page.keyboard.press(key)


def test_compare_by_one_key(browser: Any, sqlite: Store) -> None:
    verdicts = {"ArrowLeft": "a", "a": "a", "ArrowRight": "b", "b": "b", "t": "tie", "x": "both_bad"}
    with seen(browser, sqlite, comparisons(len(verdicts) + 1)) as at:
        for n, key in enumerate(verdicts, start=1):
            press(at, key)
            at.wait_for_task(f"Question {n}?")
        assert said(at, len(verdicts)) == [{"verdict": verdict} for verdict in verdicts.values()]
        assert at.errors == []


def test_compare_with_a_strength_by_one_key(browser: Any, sqlite: Store) -> None:
    keys = {"1": ("a", 3), "2": ("a", 2), "3": ("a", 1), "5": ("b", 1), "6": ("b", 2), "7": ("b", 3)}
    with seen(browser, sqlite, comparisons(len(keys) + 2), strength=True) as at:
        for n, key in enumerate([*keys, "t"], start=1):
            press(at, key)
            at.wait_for_task(f"Question {n}?")
        expected = [{"verdict": verdict, "strength": strength} for verdict, strength in keys.values()]
        assert said(at, len(keys) + 1) == [*expected, {"verdict": "tie"}]


def test_rank_by_keys(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [RANK]) as at:
        press(at, "Enter")
        at.page.get_by_text("Rank at least two answers.").wait_for()
        press(at, "3", "1", "Backspace", "1", "Shift+Digit2", "Enter")
        assert said(at) == [{"ranks": [2, 2, 1]}]
        assert at.errors == []


def test_rate_by_keys(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [RATE], aspects={"overall": [1, 5], "tone": [0, 3], "depth": [1, 10]}) as at:
        press(at, "4", "0", "0", "Enter")
        assert said(at)[0]["scores"] == {"overall": 4, "tone": 0, "depth": 10}


def test_edit_by_keys(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [EDIT]) as at:
        at.page.locator("textarea[name=text]").fill("Use it\nor lose it.")
        press(at, "Control+Enter")
        assert said(at) == [{"text": "Use it\nor lose it."}]


def test_comment_and_skip_by_keys(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(2)) as at:
        press(at, "c")
        at.page.keyboard.type("ta, both")  # letters that are keys elsewhere
        press(at, "Escape", "t")
        at.wait_for_task("Question 1?")
        press(at, "s", "2")
        at.page.get_by_role("button", name="Skip this task").press("Enter")
        assert said(at, 2) == [{"verdict": "tie", "comment": "ta, both"}, {"reason": "unclear"}]


def test_undo_puts_another_vote_in_its_place(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        press(at, "z")
        at.page.get_by_text("Nothing to undo").wait_for()
        press(at, "a")
        at.wait_for_task("Question 1?")
        press(at, "b")
        at.wait_for_task("Question 2?")
        press(at, "z")
        at.wait_for_task("Question 1?")
        assert at.page.locator("[aria-current=true]").get_attribute("value") == "b"
        press(at, "t")
        at.wait_for_task("Question 2?")
        kinds = at.wait_for_votes(3)
        assert [(kind, json.loads(body)["verdict"]) for kind, body in kinds] == [
            ("voted", "a"), ("voted", "b"), ("revised", "tie")
        ]  # fmt: skip


def test_undo_of_a_skip(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        press(at, "s", "2")
        at.page.get_by_role("button", name="Skip this task").press("Enter")
        at.wait_for_task("Question 1?")
        press(at, "z")
        at.wait_for_task("Question 0?")
        at.page.get_by_text("Vote, or skip it again").wait_for()
        press(at, "b")
        at.wait_for_task("Question 1?")
        press(at, "z")
        at.wait_for_task("Question 0?")
        press(at, "t")
        at.wait_for_task("Question 1?")
        found = [(kind, json.loads(body).get("verdict")) for kind, body in at.wait_for_votes(3)]
        assert found == [("skipped", None), ("voted", "b"), ("revised", "tie")]
        assert at.page.locator("#yours").text_content() == "1"


def test_keys_are_changed_and_switched_off(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(4)) as at:
        press(at, "?")
        at.page.locator("[data-remap=tie]").click()
        press(at, "s")
        at.page.get_by_text("That key is taken by: Can't judge").wait_for()
        at.page.locator("[data-remap=tie]").click()
        press(at, "q")
        at.page.get_by_role("button", name="Close").click()
        assert at.page.locator("button[value=tie] kbd").text_content() == "Q"
        press(at, "t", "q")
        at.wait_for_task("Question 1?")
        at.page.reload()
        press(at, "?")
        at.page.get_by_label("Use keys").uncheck()
        at.page.get_by_role("button", name="Close").click()
        press(at, "q", "a")
        at.page.wait_for_timeout(100)
        assert said(at) == [{"verdict": "tie"}]
        assert at.page.locator("button[value=tie] kbd").is_hidden()


def test_mouse(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [*comparisons(1), RANK, RATE, EDIT]) as at:
        at.page.get_by_role("button", name="B is better").click()
        at.wait_for_task("Which name?")
        drag(at, "C", at.page.locator(".gap").first)
        drag(at, "A", at.page.locator(".gap").last)
        drag(at, "B", at.page.locator(".row-of-chips").first)
        at.page.get_by_role("button", name="Send").click()
        at.wait_for_task("A haiku?")
        at.page.locator(".scale label", has_text="2").click()
        at.page.get_by_role("button", name="Send").click()
        at.wait_for_task("Better?")
        at.page.locator("textarea[name=text]").fill("Use it.")
        at.page.get_by_text("Add a comment").click()
        at.page.locator("textarea[name=comment]").fill("idiom")
        at.page.get_by_role("button", name="Send").click()
        bodies = said(at, 4)
        assert [bodies[0], bodies[1], bodies[2]["scores"], bodies[3]] == [
            {"verdict": "b"}, {"ranks": [2, 1, 1]}, {"overall": 2}, {"text": "Use it.", "comment": "idiom"},
        ]  # fmt: skip
        assert at.errors == []


def drag(at: Seen, letter: str, to: Any) -> None:
    start, end = at.page.locator(".chip", has_text=letter).bounding_box(), to.bounding_box()
    at.page.mouse.move(start["x"] + 10, start["y"] + 10)
    at.page.mouse.down()
    at.page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=5)
    at.page.mouse.up()


def test_phone(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [*LONG, RANK, RATE, EDIT], PHONE) as at:
        wide = at.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"]
        button = at.page.get_by_role("button", name="A is better")
        assert at.page.evaluate("document.documentElement.scrollHeight") > 3000
        assert button.bounding_box()["y"] < PHONE["height"]  # under the thumb, however long the answers
        button.tap()
        at.wait_for_task("Which name?")
        for letter in "BAC":
            at.page.locator(".chip", has_text=letter).tap()
        at.page.locator(".chip", has_text="C").tap()
        at.page.get_by_role("button", name="Send").tap()
        at.wait_for_task("A haiku?")
        at.page.locator(".scale label", has_text="5").tap()
        at.page.get_by_role("button", name="Send").tap()
        at.wait_for_task("Better?")
        at.page.locator("details.cannot summary").tap()
        at.page.get_by_text("I don't want to read this").tap()
        at.page.get_by_role("button", name="Skip this task").tap()
        bodies = said(at, 4)
        assert [bodies[0], bodies[1], bodies[2]["scores"], bodies[3]] == [
            {"verdict": "a"}, {"ranks": [2, 1, None]}, {"overall": 5}, {"reason": "harmful"},
        ]  # fmt: skip
        assert at.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_the_next_task_is_there_before_the_server_has_answered(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(12)) as at:
        at.wait_for_tasks_ahead()
        at.served.proxy.bad = lambda method, path: "slow"
        press(at, "a")
        at.wait_for_task("Question 1?")
        press(at, "b")
        at.wait_for_task("Question 2?")
        assert at.votes() == []
        at.served.proxy.go_on.set()
        assert [body["verdict"] for body in said(at, 2)] == ["a", "b"]


def test_without_a_script_a_form_votes(browser: Any, sqlite: Store) -> None:
    items = [*comparisons(1), RANK, RATE, EDIT]
    with seen(browser, sqlite, items, java_script_enabled=False) as at:
        at.page.click("button[value=tie]")
        at.page.select_option("[name=rank0]", "1")
        at.page.select_option("[name=rank2]", "2")
        at.page.click(".send")
        at.page.locator(".scale label", has_text="3").click()
        at.page.click(".send")
        at.page.fill("[name=text]", "Use it.")
        at.page.click(".send")
        assert "Every task has the votes it needs" in at.page.text_content("main")
        bodies = said(at, 4)
        assert [bodies[0], bodies[1], bodies[2]["scores"], bodies[3]] == [
            {"verdict": "tie"}, {"ranks": [1, None, 2]}, {"overall": 3}, {"text": "Use it."},
        ]  # fmt: skip


def test_votes_wait_for_the_network_and_are_sent_once(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(5)) as at:
        at.wait_for_tasks_ahead()
        at.page.context.set_offline(True)
        press(at, "a")
        at.wait_for_task("Question 1?")
        press(at, "b")
        at.wait_for_task("Question 2?")
        press(at, "t")
        at.page.get_by_text("3 of your votes wait in this browser").wait_for()
        assert at.votes() == []
        at.page.context.set_offline(False)
        at.wait_for_task("Question 3?")
        assert [body["verdict"] for body in said(at, 3)] == ["a", "b", "tie"]
        at.page.get_by_text("Connected again").wait_for()
        at.wait_for_empty_outbox()


def test_votes_that_waited_outlive_the_page(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        at.served.proxy.bad = lambda method, path: "away" if method == "POST" else None
        press(at, "a")
        at.page.get_by_text("1 of your votes wait").wait_for()
        at.page.goto("about:blank")
        at.served.proxy.bad = lambda method, path: None
        at.page.goto(f"{at.at}/task")
        at.wait_for_task("Question 1?")  # not again what was voted on
        assert [body["verdict"] for body in said(at)] == ["a"]


def test_a_reload_without_a_network_loses_nothing(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(5)) as at:
        at.wait_for_tasks_ahead()
        at.page.context.set_offline(True)
        press(at, "a")
        at.wait_for_task("Question 1?")
        at.page.get_by_text("1 of your votes wait").wait_for()
        press(at, "c")
        at.page.keyboard.type("half a thought")
        with pytest.raises(Exception, match="ERR_INTERNET_DISCONNECTED"):
            at.page.reload()
        assert at.votes() == []
        at.page.context.set_offline(False)
        at.page.goto(f"{at.at}/task")
        at.wait_for_task("Question 1?")  # not again what was voted on
        assert at.page.locator("textarea[name=comment]").input_value() == "half a thought"
        press(at, "Escape", "b")
        assert [body["verdict"] for body in said(at, 2)] == ["a", "b"]
        at.wait_for_empty_outbox()


def test_a_server_that_is_away_and_comes_back(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(4)) as at:
        at.wait_for_tasks_ahead()
        at.served.proxy.bad = lambda method, path: "away"
        press(at, "a")
        at.wait_for_task("Question 1?")
        press(at, "b")
        at.page.get_by_text("2 of your votes wait").wait_for()
        at.served.proxy.bad = lambda method, path: None
        at.page.get_by_text("Connected again").wait_for()
        assert [body["verdict"] for body in said(at, 2)] == ["a", "b"]
        assert at.page.locator("#yours").text_content() == "2"


def test_a_browser_that_keeps_nothing_asks_before_the_page_is_left(browser: Any, sqlite: Store) -> None:
    leaves = "!window.dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    with seen(browser, sqlite, comparisons(3)) as at:
        at.page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
        at.page.context.set_offline(True)
        press(at, "a")
        at.page.get_by_text("1 of your votes wait").wait_for()
        assert at.page.evaluate(leaves)
        at.page.context.set_offline(False)
        at.page.get_by_text("Connected again").wait_for()
        assert not at.page.evaluate(leaves)
        assert [body["verdict"] for body in said(at)] == ["a"]


def test_an_answer_that_was_lost_on_its_way_is_no_second_vote(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        proxy = at.served.proxy
        proxy.bad = lambda method, path: "losing" if method == "POST" and not proxy.met else None
        press(at, "b")
        at.page.locator("#yours", has_text="1").wait_for(timeout=30_000)
        assert proxy.met == 1
        assert [body["verdict"] for body in said(at)] == ["b"]


def test_a_vote_of_somebody_signed_out_waits_for_them(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        at.wait_for_tasks_ahead()
        sqlite.write(("DELETE FROM sessions", {}))
        at.served.site.sessions._known.clear()
        press(at, "a")
        at.page.get_by_text("You are signed out; 1 of your votes wait").wait_for()
        assert at.votes() == []


def test_differences_are_marked_on_a_key(browser: Any, sqlite: Store) -> None:
    pair = ["The sky is **blue** today.", "The sky is *green* today, 我喜欢蓝天。"]
    marked = "[...CSS.highlights.get('difference') ?? []].map((range) => range.toString()).sort()"
    with seen(browser, sqlite, [Item(0, "compare", "task", "Sky?", pair), *comparisons(1)]) as at:
        press(at, "d")
        found = at.page.evaluate(marked)
        assert {"blue", "green"} <= set(found)
        assert "我喜欢蓝天" in "".join(found)
        assert not any("sky" in text or "today" in text for text in found)
        press(at, "d")
        assert at.page.evaluate(marked) == []


def test_long_answers_scroll_together(browser: Any, sqlite: Store) -> None:
    tops = "[...document.querySelectorAll('.answer .body')].map((body) => Math.round(body.scrollTop))"
    with seen(browser, sqlite, LONG) as at:
        assert at.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        at.page.locator(".answer .body").first.evaluate("(body) => { body.scrollTop = 900; }")
        at.page.wait_for_function(f"{tops}[1] > 800")
        at.page.wait_for_timeout(150)
        press(at, "PageUp")
        at.page.wait_for_function(f"{tops}[0] < 600 && {tops}[1] < 600")
        at.page.wait_for_timeout(150)
        press(at, "j")
        before = at.page.evaluate(tops)
        at.page.locator(".answer .body").last.evaluate("(body) => { body.scrollTop = 2000; }")
        at.page.wait_for_timeout(150)
        after = at.page.evaluate(tops)
        assert (after[0], after[1]) == (before[0], 2000)


def test_views(browser: Any, sqlite: Store) -> None:
    item = Item(0, "compare", "task", "?", ["**bold** \u202e", "plain"])
    with seen(browser, sqlite, [item]) as at:
        boxes = [box.bounding_box() for box in at.page.locator(".answer").all()]
        assert boxes[0]["y"] == boxes[1]["y"]
        press(at, "l")
        boxes = [box.bounding_box() for box in at.page.locator(".answer").all()]
        assert boxes[0]["y"] < boxes[1]["y"]
        press(at, "m")
        assert at.page.locator(".answer", has_text="**bold** ⟨U+202E⟩").count() == 1
        at.page.reload()
        assert at.page.locator("html").get_attribute("data-layout") == "stacked"
        press(at, "p")
        at.page.get_by_text("The clock stands still").wait_for()
        press(at, "a")
        at.page.get_by_role("button", name="Go on").press("Enter")
        assert at.votes() == []


def test_a_pause_is_no_time_on_the_task(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(2)) as at:
        press(at, "p")
        at.page.wait_for_timeout(1500)
        at.page.get_by_role("button", name="Go on").press("Enter")
        press(at, "a")
        ((_, body),) = at.wait_for_votes(1)
        assert json.loads(body)["seconds"] < 1.4


def test_a_break_is_proposed_after_a_while(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, comparisons(3)) as at:
        at.page.clock.install()
        at.page.reload()
        at.page.clock.fast_forward("46:00")
        press(at, "a")
        at.page.get_by_role("button", name="Take a break").click()
        at.page.get_by_text("Paused").wait_for()


def test_what_is_written_survives_a_reload(browser: Any, sqlite: Store) -> None:
    with seen(browser, sqlite, [EDIT]) as at:
        at.page.locator("textarea[name=text]").fill("half an id")
        at.page.reload()
        assert at.page.locator("textarea[name=text]").input_value() == "half an id"


def test_right_to_left_and_chinese(browser: Any, sqlite: Store) -> None:
    pair = ["مرحبا بالعالم\n\nHello again", "你好，世界。"]
    directions = (
        "[...document.querySelectorAll('.answer p')].map((p) => p.textContent[0] + getComputedStyle(p).direction)"
    )
    with seen(browser, sqlite, [Item(0, "compare", "task", "?", pair)], locale="zh-TW") as at:
        assert set(at.page.evaluate(directions)) == {"مrtl", "Hltr", "你ltr"}
        assert at.page.locator("html").get_attribute("lang") == "zh-Hant"
        assert at.page.get_by_role("button", name="A 較好").count() == 1


AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


def violations(at: Seen) -> list[str]:
    at.page.wait_for_timeout(250)  # colours fade
    found = at.page.evaluate("(options) => axe.run(document, options)", AXE)["violations"]
    return [f"{one['id']}: {node['html'][:200]} {node['failureSummary']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        (WIDE, "light"),
        (PHONE, "dark"),
        pytest.param(WIDE, "dark", marks=pytest.mark.slow),
        pytest.param(PHONE, "light", marks=pytest.mark.slow),
    ],
    ids=["wide-light", "phone-dark", "wide-dark", "phone-light"],
)
def test_axe_finds_nothing(browser: Any, sqlite: Store, scheme: str, size: dict[str, int]) -> None:
    axe = files(pytest.importorskip("axe_playwright_python", reason="pip install 'rather[test]'")) / "axe.min.js"
    text = "**x** `y` $z^2$ [l](https://a.b)\n\n|a|b|\n|-|-|\n|1|2|\n\n```\nc\n```\n> q\u202e\n\n$$\\frac{1}{2}$$"
    items = [Item(0, "compare", "task", [{"role": "user", "content": text}], [text, "b"]), RANK, RATE, EDIT]
    with seen(browser, sqlite, items, size, color_scheme=scheme, strength=True) as at:
        load: Callable[[], None] = lambda: at.page.evaluate(axe.read_text("utf-8"))  # noqa: E731
        load()
        found = violations(at)
        press(at, "d", "s", "c")
        found += violations(at)
        press(at, "Escape", "?")
        found += violations(at)
        press(at, "Escape", "3")
        at.wait_for_task("Which name?")
        press(at, "1", "2")
        found += violations(at)
        press(at, "Enter")
        at.wait_for_task("A haiku?")
        press(at, "3")
        found += violations(at)
        press(at, "Enter")
        at.wait_for_task("Better?")
        found += violations(at)
        for path in ("votes", "votes/1", "guidelines", "settings", "sign-in", "join", "nowhere"):
            at.page.goto(f"{at.at}/{path}")
            load()
            found += violations(at)
        assert found == []
        assert not any(re.match(r"(?!http://127\.0\.0\.1:)", url) for url in at.asked)
