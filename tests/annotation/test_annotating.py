"""The annotator's pages without a script: forms, as a browser sends them."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest

from rather.annotation import accounts
from rather.annotation.store import Store
from rather.annotation.tasks import Item
from tests.annotation.asking import PASSWORD, Answer, Asker, Served, comparisons, fill, serving

RANK = Item(0, "rank", "task", "Which name?", ["one", "two", "three"])
RATE = Item(0, "rate", "task", "A haiku?", ["leaves fall"])
EDIT = Item(0, "edit", "task", "Better?", ["Who rests, the rusts."])


def form_of(page: Answer) -> dict[str, str]:
    """The hidden fields of a task's form."""
    return dict(re.findall(r'<input type="hidden" name="(item|key)" value="([^"]*)">', page.text))


def said(served: Served) -> list[tuple[str, Any]]:
    rows = served.store.read("SELECT kind, body FROM events WHERE kind <> 'viewed' ORDER BY id")
    return [(kind, json.loads(body)) for kind, body in rows]


def voted(store: Store, item: Item, form: dict[str, str], **settings: Any) -> Any:
    """What is on record after a form was sent for an item."""
    fill(store, [item], **settings)
    with serving(store) as served:
        asker = served.someone("anna")
        answer = asker.form("/task", {**form_of(asker.get("/task")), **form})
        assert (answer.status, answer.headers.get("location")) == (303, "/task"), answer.text
        ((_, body),) = said(served)
    body.pop("seconds")
    return body


def test_a_comparison_with_a_strength(sqlite: Store) -> None:
    body = voted(sqlite, comparisons(1)[0], {"verdict": "b3", "comment": "line\r\nline"}, strength=True)
    assert body == {"verdict": "b", "strength": 3, "comment": "line\nline"}


def test_a_ranking_with_a_tie_and_one_left_out(sqlite: Store) -> None:
    assert voted(sqlite, RANK, {"rank0": "2", "rank1": "", "rank2": "2"}) == {"ranks": [2, None, 2]}


def test_ratings(sqlite: Store) -> None:
    body = voted(sqlite, RATE, {"score-overall": "4", "score-tone": "0"}, aspects={"overall": [1, 5], "tone": [0, 20]})
    assert body == {"scores": {"overall": 4, "tone": 0}, "scales": {"overall": [1, 5], "tone": [0, 20]}}


def test_an_edit(sqlite: Store) -> None:
    assert voted(sqlite, EDIT, {"text": "Use it\r\nor lose it."}) == {"text": "Use it\nor lose it."}


def test_the_text_to_edit_is_the_answer_to_the_letter(sqlite: Store) -> None:
    text = "\n  <b>&amp;</b>\n\n</textarea><script>"
    fill(sqlite, [Item(0, "edit", "task", "Better?", [text])])
    with serving(sqlite) as served:
        page = served.someone("anna").get("/task").text
    area = re.search(r'<textarea name="text"[^>]*>\n(.*?)</textarea>', page, re.DOTALL)
    assert area is not None
    assert area[1] == "\n  &lt;b&gt;&amp;amp;&lt;/b&gt;\n\n&lt;/textarea&gt;&lt;script&gt;"


def test_a_task_that_cannot_be_judged(sqlite: Store) -> None:
    form = {"say": "skip", "reason": "language", "comment": "Finnish, I think"}
    assert voted_skip(sqlite, form) == {"reason": "language: Finnish, I think"}


def voted_skip(store: Store, form: dict[str, str]) -> Any:
    fill(store, comparisons(2))
    with serving(store) as served:
        asker = served.someone("anna")
        assert asker.form("/task", {**form_of(asker.get("/task")), **form}).status == 303
        assert "Question 1?" in asker.get("/task").text
        past = asker.get("/votes").text
        assert "Finnish" in past
        ((kind, body),) = said(served)
        again = asker.get("/votes/1")
        assert "You skipped this before" in again.text
        asker.form("/votes/1", {**form_of(again), "say": "skip", "reason": "other"})
        revised = asker.form("/votes/1", {**form_of(asker.get("/votes/1")), "verdict": "b"})
        assert (revised.status, revised.headers["location"]) == (303, "/votes")
        assert [kind for kind, _ in said(served)] == ["skipped", "skipped", "voted"]
        assert "Finnish" not in asker.get("/votes").text
        assert kind == "skipped"
        return body


@pytest.mark.parametrize(
    "form", [{}, {"verdict": "c"}, {"verdict": "a9"}, {"say": "skip", "reason": "bored"}, {"verdict": "a", "key": "x"}]
)
def test_a_form_that_fits_nothing_is_refused(sqlite: Store, form: dict[str, str]) -> None:
    fill(sqlite, comparisons(1))
    with serving(sqlite) as served:
        asker = served.someone("anna")
        answer = asker.form("/task", {**form_of(asker.get("/task")), **form})
        assert answer.status == 422
        assert "This did not work" in answer.text
        assert said(served) == []


def test_own_votes_are_seen_and_revised(sqlite: Store) -> None:
    fill(sqlite, [*comparisons(1), RANK, RATE])
    with serving(sqlite) as served:
        asker = served.someone("anna")
        for form in ({"verdict": "a"}, {"rank0": "1", "rank1": "2", "rank2": "2"}, {"score-overall": "5"}):
            asker.form("/task", {**form_of(asker.get("/task")), **form})
        page = asker.get("/votes").text
        assert all(words in page for words in ("A is better", "A &gt; B = C", "Overall 5"))
        again = asker.get("/votes/1")
        assert 'value="a" data-act="a" aria-current="true"' in again.text
        assert 'action="/votes/1"' in again.text
        assert '<option value="2" selected>' in asker.get("/votes/2").text
        assert re.search(r'value="5" required checked', asker.get("/votes/3").text)
        revised = asker.form("/votes/1", {**form_of(again), "verdict": "tie"})
        assert (revised.status, revised.headers["location"]) == (303, "/votes")
        assert [kind for kind, _ in said(served)] == ["voted", "voted", "voted", "revised"]
        assert "changed" in asker.get("/votes").text or "revised" in asker.get("/votes").text
        assert 'value="tie" data-act="tie" aria-current="true"' in asker.get("/votes/1").text
        stranger = served.someone("bo")
        assert stranger.get("/votes/1").status == 404
        assert stranger.form("/votes/1", {**form_of(again), "verdict": "tie"}).status == 409


def test_a_long_list_of_votes_has_pages(sqlite: Store) -> None:
    fill(sqlite, comparisons(32))
    with serving(sqlite) as served:
        asker = served.someone("anna")
        for _ in range(32):
            asker.form("/task", {**form_of(asker.get("/task")), "verdict": "a"})
        first = asker.get("/votes").text
        older = re.search(r'href="(/votes\?before=\d+)"', first)
        assert older is not None
        second = asker.get(older[1]).text
        assert (first.count("Look again"), second.count("Look again")) == (30, 2)
        assert asker.get("/votes?before=x").status == 422


def test_a_gold_item_says_what_was_right(sqlite: Store) -> None:
    gold = Item(0, "compare", "qualification", "Sky?", ["blue", "green"], gold={"verdict": "a"}, why="it is *blue*")
    fill(sqlite, [gold])
    with serving(sqlite) as served:
        asker = served.someone("anna")
        page = asker.get("/task")
        first = re.search(r'class="body".*?(blue|green)', page.text, re.DOTALL)
        assert first is not None
        wrong = "a" if first[1] == "green" else "b"
        answer = asker.form("/task", {**form_of(page), "verdict": wrong})
        assert answer.status == 200
        assert "it was another one" in answer.text
        assert "it is <em>blue</em>" in answer.text
        assert "Thank you for your time" in asker.get("/task").text


def test_a_script_is_answered_in_json(sqlite: Store) -> None:
    fill(sqlite, comparisons(2))
    with serving(sqlite) as served:
        asker = served.someone("anna")
        form = form_of(asker.get("/task"))
        asker.headers["Accept"] = "application/json"
        answers = [asker.form("/task", {**form, "verdict": "a"}).json for _ in range(2)]
        assert answers[0]["receipt"] == answers[1]["receipt"]  # one key, one vote
        assert answers[0]["progress"]["voted"] == 1
        refused = asker.form("/task", {**form, "key": uuid.uuid4().hex, "verdict": "b"})
        assert (refused.status, refused.code) == (409, "taken")
        stale = Asker(served.port, dict(asker.headers), csrf="old").form("/task", {**form, "verdict": "a"})
        assert (stale.status, stale.code) == (403, "csrf")


def test_tasks_ahead_come_as_parts_of_a_page(sqlite: Store) -> None:
    fill(sqlite, comparisons(3))
    with serving(sqlite) as served:
        asker = served.someone("anna")
        held = [form_of(asker.get("/task"))["item"]]
        for _ in range(2):
            part = asker.get(f"/task/next?holding={','.join(held)}")
            assert part.status == 200
            assert "<html" not in part.text
            held.append(form_of(part)["item"])
        assert len(set(held)) == 3
        assert asker.get(f"/task/next?holding={','.join(held)},x,,9999999999999999999").status == 204


@pytest.mark.parametrize(
    ("form", "status", "said"),
    [
        ({"name": "Ada", "password": ""}, 422, "负责人需要密码。"),
        ({"name": "Ada", "password": "short"}, 422, "密码太短或太长。"),
        ({"name": "_", "password": PASSWORD}, 422, "这不能用作名字"),
        ({"name": "bo", "password": PASSWORD}, 422, "这个名字已有人用，请换一个。"),
        ({"name": " ", "password": PASSWORD}, 422, "请填写名字。"),
        ({"name": "Ada", "password": PASSWORD, "token": "x"}, 401, "此邀请已失效。"),
    ],
)
def test_what_is_wrong_with_joining_is_said_above_the_form(
    sqlite: Store, form: dict[str, str], status: int, said: str
) -> None:
    accounts.add_account(sqlite, "Bo", "annotator")
    token = accounts.invite(sqlite, "owner", days=1.0)
    with serving(sqlite) as served:
        stranger = served.stranger()
        stranger.headers["Accept-Language"] = "zh"
        refused = stranger.form("/join", {"token": token, **form})
        assert refused.status == status
        assert f'role="alert">{said}' in refused.text
        assert f'value="{form.get("token", token)}"' in refused.text
        assert f'value="{form["name"]}"' in refused.text
        assert form["password"] not in refused.text or not form["password"]
        again = {"token": f" http://127.0.0.1/join#{token} ", "name": "Ada", "password": PASSWORD}
        assert stranger.form("/join", again).headers["location"] == "/task"  # nothing was used up; a whole link will do


def test_a_wrong_password_leaves_the_name_where_it_is(sqlite: Store) -> None:
    with serving(sqlite) as served:
        refused = served.stranger().form("/sign-in", {"name": "<Ada>", "password": "not this one"})
    assert refused.status == 401
    assert 'role="alert">name or password is wrong' in refused.text
    assert 'value="&lt;Ada&gt;"' in refused.text
    assert "not this one" not in refused.text


def test_where_there_is_nothing_to_judge_yet_it_says_so(sqlite: Store) -> None:
    with serving(sqlite) as served:
        annotator = served.someone("anna").get("/task").text
        owner = served.someone("olga", "owner").get("/task").text
    assert "There are no tasks yet" in annotator
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in annotator
    assert ("/items" in annotator, "/items" in owner) == (False, True)


def test_how_it_looks_is_kept_in_a_cookie(sqlite: Store) -> None:
    fill(sqlite, comparisons(1))
    with serving(sqlite) as served:
        stranger = served.stranger()
        assert "登录" in stranger.ask("GET", "/sign-in", Accept_Language="zh-CN,zh;q=0.9").text
        chosen = stranger.form("/settings", {"language": "zh-Hant", "theme": "dark", "layout": "stacked"})
        assert (chosen.status, chosen.headers["location"]) == (303, "/")
        page = stranger.get("/sign-in").text
        assert '<html lang="zh-Hant" data-theme="dark" data-layout="stacked">' in page
        stranger.headers["Cookie"] = "rather-look=<script>.x.y"
        assert '<html lang="en" data-theme="auto" data-layout="side">' in stranger.get("/sign-in").text


def test_guidelines_are_markdown(sqlite: Store) -> None:
    fill(sqlite, comparisons(1), guidelines="# Be fair\n\n<script>alert(1)</script>")
    with serving(sqlite) as served:
        page = served.someone("anna").get("/guidelines").text
    assert '<h1 dir="auto">Be fair</h1>' in page
    assert "<script>alert" not in page


def test_files_are_sent_once(sqlite: Store) -> None:
    fill(sqlite, [])
    with serving(sqlite) as served:
        first = served.stranger().get("/static/annotate.js")
        again = served.stranger().ask("GET", "/static/annotate.js", If_None_Match=first.headers["etag"])
    assert (first.status, again.status, again.body) == (200, 304, b"")
