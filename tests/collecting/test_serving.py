"""`rather signals serve` as a process: what it keeps, what it refuses, and what is left after `kill -9`."""

from __future__ import annotations

import http.client
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

for _needed in ("sqlalchemy", "uvicorn"):
    pytest.importorskip(_needed, reason="pip install 'rather[annotate]'")

from rather.collecting.openapi import document  # noqa: E402 (behind the check)
from rather.collecting.server import LARGEST  # noqa: E402
from rather.collecting.shapes import MOST_EVENTS  # noqa: E402
from tests.collecting.collector import Sender, event, kept, process, sender  # noqa: E402


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Sender]]:
    """One collector for the tests that only ask."""
    folder = tmp_path_factory.mktemp("collected") / "日志"
    with process(folder) as (_, said):
        yield folder, sender(folder, said)


def test_what_is_answered_by_200_is_in_the_log(running: tuple[Path, Sender]) -> None:
    folder, service = running
    before = len(kept(folder))
    reply = service.send(
        event(position=2, time=1700000000.5, model="m"), event("edit", text="A更好"), event("dwell", value=9)
    )
    assert (reply.status, reply.json) == (200, {"kept": 3})
    shown, edit, dwell = kept(folder)[before:]
    assert (shown["event"], shown["position"], shown["time"], shown["model"]) == ("shown", 2, 1700000000.5, "m")
    assert (edit["text"], dwell["value"]) == ("A更好", 9)
    assert abs(edit["time"] - time.time()) < 60
    assert shown["user"] == edit["user"]
    assert len(shown["user"]) == 20, "a pseudonym"
    conversation = [{"role": "user", "content": "Hi"}]
    assert service.send(event(prompt=conversation, user="u2")).status == 200
    assert kept(folder)[-1]["prompt"] == conversation
    assert kept(folder)[-1]["user"] != shown["user"]


def test_only_who_has_the_token_is_heard(running: tuple[Path, Sender]) -> None:
    folder, service = running
    before = len(kept(folder))
    for header in ("", "Bearer", "Bearer x", f"Basic {service.token}", f"Bearer {service.token}x", "Bearer é"):
        reply = service.post({"events": [event()]}, Authorization=header.encode().decode("latin-1"))
        assert (reply.status, reply.json["error"]["code"]) == (401, "token"), header
        assert reply.headers["www-authenticate"].startswith("Bearer")
    assert len(kept(folder)) == before
    assert (folder / "token").stat().st_mode & 0o077 == 0
    assert (folder / "key").stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.glob("events-*"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "body: invalid json"),
        (b"\xff", "body: invalid json"),
        ({"events": []}, "events: list should have at least 1 item"),
        ({"events": [event()] * (MOST_EVENTS + 1)}, f"events: list should have at most {MOST_EVENTS} items"),
        ({"event": event()}, "events: field required"),
        ({"events": [event(), event(user="")]}, "events.1.user: string should have at least 1 character"),
        ({"events": [event("love")]}, "events.0.event: input should be 'shown', 'like'"),
        ({"events": [event(colour="red")]}, "events.0.colour: extra inputs are not permitted"),
        ({"events": [event(position=0)]}, "events.0.position: input should be greater than or equal to 1"),
        ({"events": [event(), event("edit")]}, 'events.1: an "edit" has a "text", and nothing else has'),
        ({"events": [event("like", value=1)]}, 'events.0: a "dwell" has a "value"'),
        ({"events": [event(answer="a\0b")]}, "NUL"),
        ({"events": [event(answer=" ", prompt="a\ud800")]}, "body: invalid json"),
        ({"events": [event(time="yesterday")]}, "a time is seconds since 1970 or ISO 8601"),
        ({"events": [event(time=1700000000000)]}, "are these milliseconds?"),
        ({"events": [event(time=time.time() + 1e6)]}, "the time lies ahead by more than a day"),
    ],
)
def test_what_does_not_fit_is_refused_whole(running: tuple[Path, Sender], body: Any, said: str) -> None:
    folder, service = running
    before = len(kept(folder))
    reply = service.post(body)
    assert reply.status == 422, reply.body
    assert said in reply.json["error"]["message"]
    assert len(kept(folder)) == before


def test_other_doors_and_forms(running: tuple[Path, Sender]) -> None:
    _, service = running
    assert service.post(b"x" * (LARGEST + 1)).status == 413
    assert service.post(b"user=u1", Content_Type="application/x-www-form-urlencoded").status == 415
    for method, path, status in (
        ("GET", "/events", 405), ("POST", "/alive", 405), ("GET", "/token", 404), ("GET", "/../token", 404), ("GET", "/key", 404),
    ):  # fmt: skip
        assert service.ask(method, path).status == status, path
    assert service.ask("GET", "/events").headers["allow"] == "POST"
    assert service.ask("GET", "/alive").json == {"alive": True}
    assert service.ask("HEAD", "/alive").body == b""
    assert service.ask("GET", "/openapi.json").json == document()
    page = service.ask("GET", "/")
    assert b"POST /events" in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert service.token.encode() not in page.body


def test_a_body_that_never_comes_holds_nobody_up(running: tuple[Path, Sender]) -> None:
    import socket

    _, service = running
    slow = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(30)]
    for connection in slow:
        connection.sendall(f"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n".encode())
        connection.sendall(b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    assert service.send(event()).status == 200
    for connection in slow:
        connection.close()


def test_the_folder_is_held_by_one_and_kept_by_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    with process(folder) as (running, said):
        assert said[1] == f"who sends events needs the token in {folder / 'token'}"
        first = sender(folder, said)
        first.send(event())
        with process(folder) as (second, complaint):
            assert complaint == [f"rather: {folder} is collected into by another process; stop it first"]
            assert second.wait(20) == 2
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    with process(folder) as (_, said):
        again = sender(folder, said)
        assert again.token == first.token
        assert again.send(event("like")).status == 200
    assert [row["event"] for row in kept(folder)] == ["shown", "like"]
    assert len({row["user"] for row in kept(folder)}) == 1, "the same pseudonym after a new start"


def press(service: Sender, name: str, acknowledged: set[str], enough: int, reached: threading.Event) -> None:
    """Send two events at a time until nobody answers."""
    for number in range(100_000):
        answer = f"{name} {number}" + "x" * 2000
        try:
            status = service.send(event(answer=answer), event("like", answer=answer)).status
        except (OSError, http.client.HTTPException):  # it was killed
            return
        if status == 200:
            acknowledged.add(answer)
            if len(acknowledged) > enough:
                reached.set()


def test_nothing_acknowledged_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    """Four senders, three kills: each event that was acknowledged is there, whole, and so is every line."""
    acknowledged: set[str] = set()
    for time_around in range(3):
        with process(tmp_path) as (running, said):
            service, reached = sender(tmp_path, said), threading.Event()
            threads = [
                threading.Thread(
                    target=press, args=(service, f"{time_around} {n}", acknowledged, len(acknowledged) + 60, reached)
                )
                for n in range(4)
            ]
            for thread in threads:
                thread.start()
            assert reached.wait(120)
            running.kill()
            for thread in threads:
                thread.join()
    with process(tmp_path):  # cuts off what no kill let finish
        found = kept(tmp_path)
    assert len(acknowledged) > 180
    for name in ("shown", "like"):
        assert acknowledged <= {row["response"] for row in found if row["event"] == name}


def test_half_a_line_is_cut_off_and_said(tmp_path: Path) -> None:
    with process(tmp_path) as (_, said):
        sender(tmp_path, said).send(event())
    [file] = tmp_path.glob("events-*.jsonl")
    whole = file.read_bytes()
    with file.open("ab") as torn:
        torn.write(b'{"user": "u9", "pro')
    with process(tmp_path) as (_, said):
        assert said[0] == "note: 19 bytes of a line that was never finished, and never acknowledged, were cut off"
        assert file.read_bytes() == whole
        sender(tmp_path, said).send(event("like"))
    assert [row["event"] for row in kept(tmp_path)] == ["shown", "like"]


def test_a_token_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("a-token-that-was-made-elsewhere\n")
    with process(tmp_path) as (_, said):
        assert sender(tmp_path, said).send(event()).status == 200
    (tmp_path / "token").write_text("short\n")
    with process(tmp_path) as (running, said):
        assert said == [
            f"rather: {tmp_path / 'token'}: must hold 20 or more letters and digits; remove it, and the next start makes a new one"
        ]
        assert running.wait(20) == 2


def test_beyond_this_machine_it_says_what_that_means(tmp_path: Path) -> None:
    with process(tmp_path, "--host", "0.0.0.0") as (running, _):
        assert running.stderr is not None
        assert running.stderr.readline().startswith("note: others can reach this without TLS")
