"""`rather annotate serve` as a process: what it says, whom it lets near, and what is left after `kill -9`."""

from __future__ import annotations

import http.client
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.annotate.kill import killed
from rather.annotation.accounts import add_account
from rather.annotation.options import ServeOptions
from rather.annotation.serving import make_site, require_password
from rather.annotation.store import Store
from rather.annotation.web.addresses import is_loopback
from rather.errors import ConfigError
from tests.annotation.asking import PASSWORD, Asker
from tests.annotation.cluster import Cluster, programs


@contextmanager
def process(folder: Path | None, port: str = "0") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command in a process of its own, and its first line."""
    command = [
        sys.executable,
        "-m",
        "rather",
        "annotate",
        "serve",
        *([] if folder is None else [str(folder)]),
        "--port",
        port,
    ]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        yield running, running.stderr.readline().strip()
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


def test_the_first_start_says_how_to_become_the_owner(tmp_path: Path) -> None:
    with process(tmp_path / "new project") as (running, said):
        port = int(re.search(r"on http://127\.0\.0\.1:(\d+)/ \(Ctrl-C stops\)", said)[1])
        assert running.stderr is not None
        token = running.stderr.readline().strip().partition("/join#")[2]
        asker = Asker(port)
        assert asker.get("/sign-in").status == 200
        joined = asker.post("/api/join", {"token": token, "name": "anna", "password": PASSWORD})
        assert joined.json["role"] == "owner"
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 0
    assert sorted(path.name for path in (tmp_path / "new project").iterdir() if not path.name.endswith(("-wal", "-shm"))) == [
        "annotate.db", "annotate.lock",
    ]  # fmt: skip
    with process(tmp_path / "new project") as (running, said):
        assert "annotating" in said
        running.send_signal(signal.SIGTERM)
        assert running.stderr is not None
        assert running.stderr.read() == ""  # it is owned now
        assert running.wait(20) in (0, -signal.SIGTERM)


def test_only_its_user_may_read_the_store(tmp_path: Path) -> None:
    with process(tmp_path / "p"):
        assert (tmp_path / "p" / "annotate.db").stat().st_mode & 0o077 == 0


def test_a_second_server_on_a_folder_says_so_in_one_line(tmp_path: Path) -> None:
    with process(tmp_path), process(tmp_path) as (second, said):
        assert said == f"rather: {tmp_path / 'annotate.db'} is served by another process; stop it first"
        assert second.wait(20) == 2


def test_without_a_folder_the_project_is_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with process(None) as (_, said):
        assert said.startswith("annotating annotate.db on http://127.0.0.1:")
    assert (tmp_path / "annotate.db").is_file()


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with process(tmp_path / "one") as (_, said):
        port = said.partition("127.0.0.1:")[2].partition("/")[0]
        with process(tmp_path / "two", port) as (second, said):
            assert said == f"rather: 127.0.0.1:{port}: address already in use; choose another --port"
            assert second.wait(20) == 2


def test_wider_than_this_machine_only_with_an_owners_password(sqlite: Store) -> None:
    wide = ServeOptions(host="0.0.0.0")
    with pytest.raises(ConfigError, match="no owner has a password yet"):
        require_password(sqlite, wide)
    with pytest.raises(ConfigError, match=r"--url https://annotate\.example\.org: .*no owner has a password yet"):
        require_password(sqlite, ServeOptions(url="https://annotate.example.org"))
    add_account(sqlite, "bo", "annotator", PASSWORD)
    add_account(sqlite, "cy", "owner")
    with pytest.raises(ConfigError, match="no owner has a password yet"):
        require_password(sqlite, wide)
    add_account(sqlite, "anna", "owner", PASSWORD)
    require_password(sqlite, wide)


@pytest.mark.parametrize(
    ("host", "near"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("[::1]", True), ("localhost", True), ("0.0.0.0", False),
     ("::", False), ("192.168.1.2", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_what_counts_as_this_machine(host: str, near: bool) -> None:
    assert is_loopback(host) is near


@pytest.mark.parametrize("url", ["annotate.example.org", "ftp://x", "https://x/path", "https://"])
def test_an_address_that_is_none_is_refused(sqlite: Store, url: str) -> None:
    with pytest.raises(ConfigError, match="--url"):
        make_site(sqlite, ServeOptions(url=url))


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    figures = killed(tmp_path / "p", None, 2, items=3000)
    assert figures["acknowledged"] > 20
    assert (figures["lost"], figures["twice"], figures["beyond_overlap"]) == (0, 0, 0)
    assert figures["votes_in_store"] >= figures["acknowledged"]


def test_nothing_acknowledged_is_lost_when_postgresql_is_killed(tmp_path: Path) -> None:
    bin = programs()
    if bin is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    own = Cluster(bin)
    try:
        figures = killed(tmp_path / "p", own.create("kills"), 1, own, items=3000)
    finally:
        own.stop()
    assert figures["acknowledged"] > 20
    assert (figures["lost"], figures["twice"], figures["beyond_overlap"]) == (0, 0, 0)


def test_a_connection_that_sends_nothing_holds_nobody_up(tmp_path: Path) -> None:
    with process(tmp_path) as (_, said):
        port = int(said.partition("127.0.0.1:")[2].partition("/")[0])
        slow = [http.client.HTTPConnection("127.0.0.1", port) for _ in range(50)]
        for connection in slow:
            connection.connect()
            connection.sock.sendall(b"POST /api/sign-in HTTP/1.1\r\nContent-Length: 50\r\n")
        begun = time.monotonic()
        assert Asker(port).get("/sign-in").status == 200
        assert time.monotonic() - begun < 5
        for connection in slow:
            connection.close()
