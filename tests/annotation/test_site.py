"""The doors: who is let in, and what is said to who is not. Over HTTP, from a real server."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from rather.annotation import accounts
from rather.annotation.store import Store
from rather.annotation.web.api import API
from rather.annotation.web.pages import PAGES
from tests.annotation.asking import PASSWORD, Asker, Served, comparisons, fill, serving


@pytest.fixture
def served(sqlite: Store) -> Iterator[Served]:
    fill(sqlite, comparisons(4))
    with serving(sqlite) as running:
        yield running


def key() -> str:
    return uuid.uuid4().hex


def test_a_vote_over_http(served: Served) -> None:
    asker = served.someone("anna")
    task = asker.post("/api/next", {}).json["task"]
    assert (task["kind"], task["prompt"]) == ("compare", "Question 0?")
    assert "models" not in task
    said = asker.post("/api/votes", {"item": task["item"], "key": key(), "verdict": "tie", "next": True}).json
    assert said["receipt"]["item"] == task["item"]
    assert said["task"]["prompt"] == "Question 1?"
    assert asker.get("/api/progress").json["voted"] == 1
    (past,) = asker.get("/api/history").json["votes"]
    assert past["said"]["verdict"] == "tie"
    revised = asker.post("/api/revisions", {"item": task["item"], "key": key(), "verdict": "both_bad"})
    assert revised.json["event"] > past["event"]
    skipped = asker.post("/api/skips", {"item": said["task"]["item"], "key": key(), "reason": "no idea"})
    assert skipped.status == 200
    assert [vote["kind"] for vote in asker.get("/api/history").json["votes"]] == ["skipped", "revised"]


def test_an_adjudicator_decides_beside_the_votes_and_the_owner_takes_all_out(served: Served) -> None:
    anna, judge, owner = served.someone("anna"), served.someone("cy", "adjudicator"), served.someone("dee", "owner")
    item = anna.post("/api/next", {}).json["task"]["item"]
    anna.post("/api/votes", {"item": item, "key": key(), "verdict": "tie"})
    seen = judge.post(f"/api/items/{item}/views").json["task"]
    better = "a" if seen["answers"][0].startswith("first") else "b"
    decision = {"item": item, "key": key(), "verdict": better}
    receipts = [judge.post("/api/adjudications", decision).json for _ in range(2)]
    assert receipts[0] == receipts[1]
    assert judge.post("/api/items/999/views").status == 404
    assert served.site.desk.queue.votes_in_all == 1
    exported = owner.get("/api/export")
    assert exported.headers["content-type"] == "application/x-ndjson"
    votes = [json.loads(line) for line in exported.text.splitlines()]
    assert [(vote["judge"], vote["tags"]) for vote in votes] == [("anna", {}), ("cy", {"role": "adjudicator"})]
    assert votes[1]["answers"] == seen["answers"]


def test_holding_tasks_ahead(served: Served) -> None:
    asker = served.someone("anna")
    first = asker.post("/api/next", {}).json["task"]["item"]
    second = asker.post("/api/next", {"holding": [first]}).json["task"]["item"]
    assert second != first
    said = asker.post(
        "/api/votes", {"item": first, "key": key(), "verdict": "a", "next": True, "holding": [second]}
    ).json
    assert said["task"]["item"] not in (first, second)


def test_a_page_votes_without_a_script(served: Served) -> None:
    asker = served.stranger()
    token = accounts.invite(served.store, "annotator", days=1.0)
    entered = asker.form("/join", {"token": token, "name": "Bo", "password": ""})
    assert (entered.status, entered.headers["location"]) == (303, "/task")
    asker.csrf = asker.get("/api/me").json["csrf"]
    page = asker.get("/task").text
    assert "Question 0?" in page
    item = page.partition('name="item" value="')[2].partition('"')[0]
    voted = asker.form("/task", {"item": item, "key": key(), "verdict": "a", "comment": "clear"})
    assert (voted.status, voted.headers["location"]) == (303, "/task")
    assert "Question 1?" in asker.get("/task").text
    assert asker.form("/sign-out", {}).headers["location"] == "/sign-in"
    assert asker.get("/task").headers["location"] == "/sign-in"


def test_nothing_is_named_that_a_viewer_should_not_know(served: Served) -> None:
    asker = served.someone("anna")
    served.someone("zoltan").post("/api/next", {})
    told = asker.get("/task").text + asker.post("/api/next", {}).body.decode()
    assert "m1" not in told
    assert "zoltan" not in told


PROTECTED = [route for route in (*API, *PAGES) if route.role is not None]


@pytest.mark.parametrize("route", PROTECTED, ids=lambda route: f"{route.method} {route.path}")
def test_strangers_and_lower_roles_are_kept_out(served: Served, route: object) -> None:
    path = route.path.replace("{account}", "1").replace("{item}", "1")
    stranger = served.stranger()
    answer = stranger.ask(route.method, path, b"{}", Content_Type="application/json")
    if route.page and route.method == "GET":
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    else:
        assert answer.status == 401
    if route.role == "owner":
        for role in ("annotator", "adjudicator"):
            asker = served.someone(f"{role}", role)
            assert asker.ask(route.method, path, b"{}", X_CSRF_Token=asker.csrf).status == 403


@pytest.mark.parametrize(
    "route", [route for route in PROTECTED if route.method == "POST"], ids=lambda route: route.path
)
def test_whatever_changes_something_needs_the_token_of_this_session(served: Served, route: object) -> None:
    asker, other = served.someone("anna", "owner"), served.someone("bo", "owner")
    path = route.path.replace("{account}", "1").replace("{item}", "1")
    kind = "application/x-www-form-urlencoded" if route.page else "application/json"
    for token in ("", other.csrf, asker.csrf[:-1], "é" * 40):
        body = f"csrf={token}".encode() if route.page else b"{}"
        answer = asker.ask(
            "POST", path, body, Content_Type=kind, X_CSRF_Token=token.encode("latin-1").decode("latin-1")
        )
        assert answer.status == 403
        assert "load it again" in answer.text
    assert served.store.read("SELECT kind FROM events") == []
    assert asker.get("/api/me").status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"])
def test_another_origin_is_refused(served: Served, origin: str) -> None:
    asker = served.someone("anna")
    answer = asker.post("/api/next", {}, Origin=origin)
    assert (answer.status, answer.code) == (403, "origin")
    assert asker.post("/api/sign-in", {"name": "a", "password": "b"}, Origin=origin).code == "origin"
    assert asker.post("/api/next", {}, Origin=f"http://127.0.0.1:{served.port}").status == 200


def test_a_browser_that_says_cross_site_is_refused(served: Served) -> None:
    asker = served.someone("anna")
    assert asker.post("/api/next", {}, Sec_Fetch_Site="cross-site").code == "origin"
    assert asker.post("/api/next", {}, Sec_Fetch_Site="same-origin").status == 200


def test_another_hosts_name_is_refused(served: Served) -> None:
    """A page elsewhere whose name is made to point here (DNS rebinding) reads nothing."""
    for host in ("evil.example", f"evil.example:{served.port}", ""):
        assert served.stranger().ask("GET", "/sign-in", Host=host).status == 421
    assert served.stranger().ask("GET", "/sign-in", Host=f"localhost:{served.port}").status == 200


def test_where_others_reach_it_any_address_in_digits_is_good_and_no_other_name(sqlite: Store) -> None:
    accounts.add_account(sqlite, "anna", "owner", PASSWORD)
    with serving(sqlite, host="0.0.0.0") as running:
        for host in (
            f"192.168.7.7:{running.port}",
            f"[fe80::1]:{running.port}",
            f"{socket.gethostname()}:{running.port}",
        ):
            assert Asker(running.port).ask("GET", "/sign-in", Host=host).status == 200
        for host in ("evil.example", f"evil.example:{running.port}", "192.168.7.7.evil.example"):
            assert Asker(running.port).ask("GET", "/sign-in", Host=host).status == 421


def test_a_proxys_word_on_addresses_is_believed_only_where_there_is_one(sqlite: Store) -> None:
    for options, addresses in (({}, {"127.0.0.1"}), ({"url": "http://annotate.example.org"}, {"10.0.0.1", "10.0.0.2"})):
        with serving(sqlite, **options) as running:
            for forwarded in ("6.6.6.6, 10.0.0.1", "10.0.0.2"):
                headers = {"X-Forwarded-For": forwarded}
                assert Asker(running.port).post("/api/join", {"token": "wrong"}, **headers).status == 401
            assert set(running.site.failures_of_address._clear_at) == addresses


def test_every_reply_carries_the_policy(served: Served) -> None:
    asker = served.someone("anna")
    for path in ("/task", "/nothing", "/api/me", "/static/annotate.css", "/api/nothing"):
        headers = asker.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_no_page_has_a_script_or_style_of_its_own(served: Served) -> None:
    asker = served.someone("anna", "owner")
    for route in PAGES:
        if route.method == "GET" and "{" not in route.path:
            page = asker.get(route.path).text.lower()
            assert "<style" not in page
            assert " style=" not in page
            assert " onclick=" not in page
            assert "<script>" not in page


def test_the_cookie_is_for_the_server_alone(served: Served) -> None:
    asker = served.stranger()
    token = accounts.invite(served.store, "annotator", days=1.0)
    said = asker.post("/api/join", {"token": token, "name": "anna"}).headers["set-cookie"]
    assert said.startswith("rather=")
    assert "; HttpOnly; SameSite=Lax" in said
    assert "Secure" not in said  # http on loopback
    stored = served.store.read("SELECT token FROM sessions")[0][0]
    assert stored not in said


def test_behind_https_the_cookie_is_secure(sqlite: Store) -> None:
    fill(sqlite, comparisons(1))
    accounts.add_account(sqlite, "anna", "owner", PASSWORD)
    with serving(sqlite, url="https://annotate.example.org") as running:
        asker = Asker(running.port, {"Host": "annotate.example.org", "Origin": "https://annotate.example.org"})
        said = asker.post("/api/sign-in", {"name": "anna", "password": PASSWORD}).headers["set-cookie"]
        assert said.startswith("__Host-rather=")
        assert said.endswith("; Secure")
        asker.headers["Origin"] = "http://annotate.example.org"
        assert asker.post("/api/next", {}).code == "origin"


@pytest.mark.parametrize(
    "change",
    [
        lambda cookie: cookie[:-1] + ("0" if cookie[-1] != "0" else "1"),
        lambda cookie: cookie.partition(".")[0],
        lambda cookie: "x" + cookie,
        lambda cookie: "",
        lambda cookie: "é.ü",
        lambda cookie: ".",
    ],
)
def test_a_cookie_that_was_changed_is_nobodys(served: Served, change: object) -> None:
    asker = served.someone("anna")
    name, _, value = asker.headers["Cookie"].partition("=")
    asker.headers["Cookie"] = f"{name}={change(value)}"
    assert asker.get("/api/me").status == 401


def test_signing_out_ends_the_session(served: Served) -> None:
    asker = served.someone("anna")
    cookie = dict(asker.headers)
    assert asker.post("/api/sign-out").status == 200
    asker.headers = cookie
    assert asker.get("/api/me").status == 401


def test_an_account_that_is_closed_is_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rather.annotation.web.sessions._BELIEVED_SECONDS", 0.0)
    owner, other = served.someone("anna", "owner"), served.someone("bo")
    number = other.get("/api/me").json["id"]
    assert owner.post(f"/api/accounts/{number}", {"role": "adjudicator"}).status == 200
    assert other.get("/api/me").json["role"] == "adjudicator"
    assert owner.post(f"/api/accounts/{number}", {"active": False}).status == 200
    assert other.get("/api/me").status == 401
    own = owner.get("/api/me").json["id"]
    assert owner.post(f"/api/accounts/{own}", {"active": False}).code == "own_account"
    assert owner.post("/api/accounts/999", {"active": False}).code == "no_account"
    people = {one["name"]: one for one in owner.get("/api/accounts").json["accounts"]}
    assert (people["bo"]["active"], people["anna"]["role"]) == (False, "owner")


def test_wrong_passwords_are_slowed_down(served: Served) -> None:
    accounts.add_account(served.store, "anna", "owner", PASSWORD)
    asker = served.stranger()
    statuses = [asker.post("/api/sign-in", {"name": "anna", "password": "wrong"}).status for _ in range(6)]
    assert statuses == [401, 401, 401, 401, 401, 429]
    slowed = asker.post("/api/sign-in", {"name": "ANNA", "password": PASSWORD})
    assert slowed.status == 429
    assert 0 < int(slowed.headers["retry-after"]) <= 30
    assert asker.post("/api/sign-in", {"name": "someone else", "password": "wrong"}).status == 401


def test_passwords_are_stored_as_argon2id_wants_it(sqlite: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argon2.PasswordHasher", PasswordHasher)  # not the tests' cheap one
    account = accounts.add_account(sqlite, "anna", "owner", PASSWORD)
    ((stored,),) = sqlite.read("SELECT password FROM accounts")
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert accounts.sign_in(sqlite, "Anna", PASSWORD) == account


def test_guessing_invitations_is_slowed_down(served: Served) -> None:
    served.site.failures_of_address._burst = 3
    asker = served.stranger()
    guesses = [asker.post("/api/join", {"token": key(), "name": "x"}).status for _ in range(5)]
    assert guesses == [401, 401, 401, 429, 429]


def test_an_owner_invites(served: Served) -> None:
    owner = served.someone("anna", "owner")
    token = owner.post("/api/invitations", {"role": "adjudicator", "uses": 1}).json["token"]
    asker = served.stranger()
    assert asker.post("/api/join", {"token": token, "name": "anna"}).status == 422  # the name is taken
    assert asker.post("/api/join", {"token": token, "name": "cy"}).json["role"] == "adjudicator"
    assert served.stranger().post("/api/join", {"token": token, "name": "dee"}).code == "no_invitation"


def test_an_owner_makes_somebodys_key(served: Served) -> None:
    owner = served.someone("anna", "owner")
    token = owner.post("/api/invitations", {"name": "bo", "days": 1.0}).json["token"]
    assert [served.stranger().post("/api/join", {"token": token}).json["name"] for _ in range(2)] == ["bo", "bo"]
    assert owner.post("/api/invitations", {"name": "bo", "uses": 2}).status == 422  # a key is no number of accounts
    assert owner.post("/api/invitations", {"name": "bo", "role": "owner"}).status == 422


def test_what_cannot_be_read_is_said(served: Served) -> None:
    asker = served.someone("anna")
    headers = {"Content-Type": "application/json", "X-CSRF-Token": asker.csrf}
    assert asker.ask("POST", "/api/next", b"{", **headers).status == 422
    assert asker.ask("POST", "/api/next", b'{"holdin": []}', **headers).json["error"]["message"].startswith("holdin")
    assert asker.ask("POST", "/api/next", b"[" * 100_000, **headers).status in (413, 422)
    assert asker.ask("POST", "/api/next", b" " * 70_000, **headers).code == "too_large"
    assert (
        asker.ask("POST", "/api/votes", b'{"item": 1, "key": "12345678", "comment": "\\u0000"}', **headers).status
        == 422
    )
    assert (
        asker.ask("POST", "/api/votes", b'{"item": 1, "key": "12345678", "comment": "\\ud800"}', **headers).status
        == 422
    )
    assert asker.ask(
        "POST", "/api/next", b"x=1", X_CSRF_Token=asker.csrf, Content_Type="application/x-www-form-urlencoded"
    ).status in (403, 415)
    assert asker.ask("DELETE", "/api/next", **headers).status == 405
    assert asker.get("/api/history?before=x").status == 422
    assert asker.get("/api/history?limit=1000").status == 422
    assert asker.get("/api/history?" + "&".join(["before=1"] * 50)).status == 200
    assert asker.get("/api/history?" + "&".join(["before=1"] * 51)).code == "unfit"
    assert asker.get("/static/..%2fsite.py").status == 404


def test_a_failure_says_nothing_of_its_cause(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = served.someone("anna")
    monkeypatch.setattr(served.site.desk, "progress", lambda person: 1 / 0)
    answer = asker.get("/api/progress")
    assert (answer.status, answer.code) == (500, "server")
    assert "division" not in answer.text


def test_what_was_done_is_logged_without_secrets(served: Served) -> None:
    owner = served.someone("anna", "owner")
    served.stranger().post("/api/sign-in", {"name": "anna", "password": "not this one"})
    owner.post("/api/invitations", {})
    lines = [tuple(row) for row in served.store.read("SELECT action, detail FROM audit ORDER BY id")]
    assert [action for action, _ in lines] == ["joined", "sign-in failed", "invited"]
    told = " ".join(detail for _, detail in lines)
    assert PASSWORD not in told
    assert "not this one" not in told


def test_an_owners_invitation_wants_a_password(served: Served) -> None:
    token = accounts.invite(served.store, "owner", days=1.0)
    assert served.stranger().post("/api/join", {"token": token, "name": "eve"}).status == 422
    assert served.stranger().post("/api/join", {"token": token, "name": "eve", "password": "short"}).status == 422
    assert served.stranger().post("/api/join", {"token": token, "name": "eve", "password": PASSWORD}).status == 200
