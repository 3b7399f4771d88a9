"""A collector as a process of its own, and who sends it events."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def event(name: str = "shown", answer: str = "A", user: str = "u1", **fields: Any) -> dict[str, Any]:
    return {"user": user, "prompt": "Q", "response": answer, "event": name, **fields}


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Sender:
    """A service that sends events."""

    port: int
    token: str

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            reply = connection.getresponse()
            return Reply(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def post(self, body: Any, **headers: str) -> Reply:
        given = {"Authorization": f"Bearer {self.token}", "Content_Type": "application/json", **headers}
        return self.ask("POST", "/events", body if isinstance(body, bytes) else json.dumps(body).encode(), **given)

    def send(self, *events: dict[str, Any]) -> Reply:
        return self.post({"events": list(events)})


@contextmanager
def process(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The command, and what it says first: two lines where it starts, one where it does not."""
    command = [sys.executable, "-m", "rather", "signals", "serve", str(folder), "--port", "0", *arguments]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    try:
        said: list[str] = []
        while line := running.stderr.readline():
            said.append(line.strip())
            if "needs the token" in line:
                break
        yield running, said
    finally:
        running.kill()
        running.wait()
        running.stderr.close()


def sender(folder: Path, said: list[str]) -> Sender:
    """Who knows the token of a collector that has started."""
    found = re.search(r"on http://127\.0\.0\.1:(\d+)/", "\n".join(said))
    assert found is not None, said
    return Sender(int(found[1]), (folder / "token").read_text().strip())


def kept(folder: Path) -> list[dict[str, Any]]:
    """The events of the log."""
    lines = [line for file in sorted(folder.glob("events-*.jsonl")) for line in file.read_text().splitlines()]
    return [json.loads(line) for line in lines]
