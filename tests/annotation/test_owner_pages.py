"""The owner's pages over HTTP, by plain forms: who may see them, and what they change."""

from __future__ import annotations

import html
import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from rather.annotation.accounts import ROLES, accounts
from rather.annotation.settings import load_project
from rather.annotation.store import Store
from rather.annotation.tasks import Item
from rather.annotation.web.owner.pages import OWNER_PAGES
from rather.annotation.web.owner.showing import TABS, Shown
from rather.annotation.web.texts import texts
from rather.formats import iter_judgments
from tests.annotation.asking import Answer, Asker, Served, comparisons, fill, serving

GOLD = Item(0, "compare", "gold", "2 + 2?", ["4", "5"], gold={"verdict": "a"}, why="It is four.")
RANK = {role: place for place, role in enumerate(ROLES[::-1])}  # annotator, adjudicator, owner


@pytest.fixture
def served(sqlite: Store) -> Iterator[Served]:
    fill(sqlite, [*comparisons(12), GOLD], overlap=2, gold_every=2)
    with serving(sqlite) as running:
        yield running


def votes(asker: Asker, count: int, better: str = "first") -> None:
    for _ in range(count):
        task = asker.post("/api/next", {}).json["task"]
        if task is None:
            return
        verdict = "a" if task["answers"][0].startswith(better) else "b"
        voted = asker.post("/api/votes", {"item": task["item"], "key": uuid.uuid4().hex, "verdict": verdict})
        assert voted.status == 200, voted.text


def words(answer: Answer) -> str:
    """What a page says, without its markup."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def multipart(fields: dict[str, str], name: str, content: bytes) -> tuple[bytes, str]:
    parts = [
        f'--b0\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in fields.items()
    ]
    head = f'--b0\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/plain\r\n\r\n'
    return b"".join(parts) + head.encode() + content + b"\r\n--b0--\r\n", "multipart/form-data; boundary=b0"


def test_each_page_lets_in_its_role_and_those_above(served: Served) -> None:
    askers = {role: served.someone(role, role) for role in ROLES}
    for path, (_, role) in TABS.items():
        for who, asker in askers.items():
            if path == "/board" and who == "owner":
                continue  # another test waits for its figures
            assert asker.get(path).status == (200 if RANK[who] >= RANK[role] else 403), (path, who)
        assert served.stranger().get(path).headers["location"] == "/sign-in"
    assert {route.role for route in OWNER_PAGES} == {"owner", "adjudicator"}
    for path in ("/export/judgments.jsonl", "/export/judgments.parquet"):
        assert askers["adjudicator"].get(path).status == 403


def test_the_board_shows_what_the_votes_say(served: Served) -> None:
    owner = served.someone("olga", "owner")
    for name, better in (("anna", "first"), ("bo", "first"), ("chen", "second")):
        votes(served.someone(name), 9, better)
    found = owner.get("/api/board").json
    assert found["items"] == 12
    people = {row["name"]: row for row in found["people"]}
    tasks = sum(row["votes"] for row in people.values()) - 3  # each met the one gold item
    assert found["votes"] == tasks
    assert people["anna"]["gold"]["asked"] == 1
    (agreement,) = found["agreement"]
    assert agreement["of"] == "comparisons"
    assert agreement["alpha"]["low"] <= agreement["alpha"]["value"] <= agreement["alpha"]["high"]
    assert {finding["check"] for finding in found["findings"]} >= {"agreement", "speed"}
    page = owner.get("/board")
    assert page.status == 200
    said = words(page)
    assert "Krippendorff's α" in said
    assert f"{tasks} votes, 2 wanted on each item" in said
    assert " style=" not in page.text
    assert "script-src 'self'" in page.headers["content-security-policy"]


def test_a_dispute_is_decided_by_a_form(served: Served) -> None:
    votes(served.someone("anna"), 13, "first")
    votes(served.someone("bo"), 13, "second")
    judge = served.someone("judge", "adjudicator")
    page = judge.get("/disputes")
    item = int(re.search(r'href="/disputes/(\d+)"', page.text)[1])
    one = judge.get(f"/disputes/{item}")
    assert "1 A is better" in words(one)
    assert "anna" not in one.text
    fields = dict(re.findall(r'name="(key)" value="([^"]*)"', one.text))
    decided = judge.form(f"/disputes/{item}", {**fields, "verdict": "a", "comment": "it is right"})
    assert decided.status == 303
    assert decided.headers["location"] != f"/disputes/{item}"
    said = words(judge.get("/disputes"))
    assert "it is right" in said
    assert "judge" in said
    log = served.someone("olga", "owner").get("/api/log").json["lines"]
    assert [(line["who"], line["detail"]) for line in log if line["action"] == "adjudicated"] == [
        ("judge", {"item": item})
    ]


def test_disputes_over_the_api(served: Served) -> None:
    votes(served.someone("anna"), 13, "first")
    votes(served.someone("bo"), 13, "second")
    judge = served.someone("judge", "adjudicator")
    found = judge.get("/api/disputes").json
    item = found["disputes"][0]["item"]
    whole = judge.get(f"/api/items/{item}").json
    assert sorted(vote["verdict"] for vote in whole["votes"]) == ["a", "b"]
    body = {"item": item, "key": uuid.uuid4().hex, "verdict": "tie"}
    assert judge.post("/api/adjudications", body).status == 200
    assert judge.get("/api/disputes").json["total"] == found["total"] - 1
    assert (
        served.someone("other", "adjudicator").post("/api/adjudications", {**body, "key": "another-key"}).code
        == "decided"
    )
    assert served.someone("ann").post("/api/adjudications", body).code == "role"


def test_invitations_and_roles(served: Served) -> None:
    owner = served.someone("olga", "owner")
    page = owner.form("/people/invitations", {"role": "adjudicator", "uses": "1", "days": "2", "name": ""})
    token = re.search(r"/join#([\w-]+)", page.text)[1]
    joined = served.stranger()
    assert joined.post("/api/join", {"token": token, "name": "Bo"}).json["role"] == "adjudicator"
    assert token not in owner.get("/people").text
    bo = next(one.id for one in accounts(served.store) if one.name == "Bo")
    assert owner.form(f"/people/{bo}", {"role": "annotator"}).status == 303
    assert owner.form(f"/people/{bo}", {"say": "close"}).status == 303
    assert next(one for one in accounts(served.store) if one.id == bo).active is False
    own = next(one.id for one in accounts(served.store) if one.name == "olga")
    assert owner.form(f"/people/{own}", {"say": "close"}).status == 409
    owner.form("/people/invitations", {"role": "annotator", "uses": "3", "days": "2", "name": ""})
    id = re.search(r'name="id" value="(\w{16})"', owner.get("/people").text)[1]
    assert owner.form("/people/withdrawn", {"id": id}).status == 303
    assert owner.form("/people/withdrawn", {"id": id}).status == 404
    assert owner.form("/people/invitations", {"role": "king"}).status == 422
    log = words(owner.get("/log"))
    assert all(said in log for said in ("invited", "changed account", "withdrew an invitation"))


def test_settings_and_guidelines(served: Served) -> None:
    owner = served.someone("olga", "owner")
    form = {
        "title": "Which is kinder?", "overlap": "3", "overlap_max": "5", "agreement": "0.8", "ask": "uncertain",
        "random_share": "0.25", "reserve_minutes": "30.0", "gold_every": "20", "qualify": "0.8", "seed": "0",
        "ties": "yes", "gold_feedback": "yes", "aspects": "tone=0..3",
        "guidelines": "# How\r\n\r\n- *kind* first <script>alert(1)</script>",
    }  # fmt: skip
    assert owner.form("/project", form).status == 303
    project = load_project(served.store)
    assert (project.title, project.overlap, project.overlap_max, project.ask) == ("Which is kinder?", 3, 5, "uncertain")
    assert (project.shuffle, project.ties, project.aspects) == (False, True, {"tone": (0, 3)})
    assert project.guidelines.startswith("# How\n\n- *kind*")
    page = owner.get("/project").text
    assert "<em>kind</em>" in page
    assert "<script>alert" not in page
    assert served.someone("anna").get("/api/asking").json["title"] == "Which is kinder?"
    wrong = owner.form("/project", {**form, "overlap": "9"})
    assert wrong.status == 422
    assert "“Where people disagree, up to” 5: must not be below “Votes on each item”, 9. Nothing was changed." in words(
        wrong
    )
    assert load_project(served.store).overlap == 3
    settings = owner.get("/api/settings").json
    assert owner.post("/api/settings", settings).status == 200
    assert owner.post("/api/settings", {"settings": {"overlaps": 2}}).status == 422


def test_an_upload(served: Served) -> None:
    owner = served.someone("olga", "owner")
    rows = [{"prompt": f"new {n}", "chosen": "good", "rejected": "bad"} for n in range(3)]
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    body, kind = multipart({"csrf": owner.csrf, "role": "gold", "task": ""}, "a pairs.jsonl", content)
    done = owner.ask("POST", "/items", body, Content_Type=kind)
    assert done.status == 200
    assert "3 new items, 0 known before" in words(done)
    assert "12 items to be judged, 4 gold" in words(done)
    assert "a pairs.jsonl" in words(done)
    broken, kind = multipart(
        {"csrf": owner.csrf, "role": "task", "task": ""}, "x.jsonl", b'{"prompt": "q", "chosen": ""}\n'
    )
    refused = owner.ask("POST", "/items", broken, Content_Type=kind)
    assert refused.status == 422
    assert "x.jsonl:1" in words(refused)
    assert "/tmp" not in refused.text
    without, kind = multipart({"csrf": "guess", "role": "task"}, "x.jsonl", content)
    assert owner.ask("POST", "/items", without, Content_Type=kind).status == 403
    executable, kind = multipart({"csrf": owner.csrf, "role": "task"}, "x.exe", content)
    assert owner.ask("POST", "/items", executable, Content_Type=kind).status == 422
    assert owner.ask("POST", "/items", b"nothing", Content_Type="multipart/form-data; boundary=b0").status in (400, 403)


def test_the_export_is_every_vote_once(served: Served, tmp_path: Path) -> None:
    owner = served.someone("olga", "owner")
    votes(served.someone("anna"), 13)
    reply = owner.get("/export/judgments.jsonl")
    assert reply.headers["content-disposition"] == 'attachment; filename="judgments.jsonl"'
    (tmp_path / "judgments.jsonl").write_bytes(reply.body)
    (tmp_path / "judgments.parquet").write_bytes(owner.get("/export/judgments.parquet").body)
    lines, columns = (list(iter_judgments(tmp_path / f"judgments.{kind}")) for kind in ("jsonl", "parquet"))
    assert len(lines) == 13
    assert [one.id for one in lines] == [one.id for one in columns]  # pyright: ignore[reportAttributeAccessIssue]


def test_numbers_in_words() -> None:
    shown = Shown(texts("en"))
    assert shown.share({"value": 0.931, "low": 0.88, "high": 0.96}) == "93 % (88 to 96)"
    assert shown.number({"value": 0.456, "low": None, "high": None}) == "0.46"
    assert (shown.number(None), shown.seconds(8.24), shown.seconds(90)) == ("–", "8.2 s", "1.5 min")
    assert shown.when(0) == "1970-01-01 00:00 UTC"
    assert Shown(texts("zh-Hant")).number({"value": 0.5, "low": 0.25, "high": 0.75}) == "0.50（0.25 至 0.75）"


@pytest.mark.parametrize("language", ["zh-Hans", "zh-Hant"])
def test_the_pages_speak_the_readers_language(sqlite: Store, language: str) -> None:
    fill(sqlite, [*comparisons(4), GOLD], overlap=2, overlap_max=3, gold_every=2, ask="uncertain", title="标题")
    with serving(sqlite) as served:
        votes(served.someone("a1"), 5, "first")
        votes(served.someone("a2"), 5, "second")
        owner = served.someone("o1", "owner")
        owner.form("/people/invitations", {"role": "annotator", "uses": "3", "days": "2", "name": ""})
        owner.headers["Accept-Language"] = "zh-TW" if language == "zh-Hant" else "zh-CN"
        item = re.search(r'href="(/disputes/\d+)"', owner.get("/disputes").text)[1]
        refused = owner.form("/project", {"overlap": "5", "overlap_max": "2"})
        pages = {path: owner.get(path) for path in (*TABS, item)} | {"refused": refused}
    for path, page in pages.items():
        assert f'<html lang="{language}"' in page.text
        said = re.sub(r"<(code|pre|script|svg)\b.*?</\1>", " ", page.text, flags=re.DOTALL)
        while re.search(_ENGLISH, said):
            said = re.sub(_ENGLISH, " ", said)
        labels = " ".join(re.findall(r'aria-label="([^"]*)"', said))
        left = set(re.findall(r"[A-Za-z][a-z]{2,}", html.unescape(re.sub(r"<[^>]+>", " ", said) + labels)))
        assert left <= OF_THE_DATA, (path, left)


OF_THE_DATA = {
    "rather", "Krippendorff", "UTC", "Parquet", "Markdown", "Question", "first", "second", "test", "four", "overall",
}  # fmt: skip
_ENGLISH = re.compile(r'<(span|td) [^>]*lang="en"[^>]*>[^<]*</\1>')
