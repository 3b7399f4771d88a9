"""Other annotation servers under the same load in the same run: votes a second, waiting, start, memory.

    python -m benchmarks.annotate.peers --venvs FOLDER --seconds 10

FOLDER has a virtual environment for each peer, made before (a peer that has none is left out, with the reason):

    for peer in feedloop==1.5.3 potato-annotation==2.12.1 label-studio==1.23.2; do
        python -m venv FOLDER/${peer%%==*} && FOLDER/${peer%%==*}/bin/pip install $peer
    done

Each server runs alone, as its own command line starts it, on an empty folder; keep-alive clients on loopback, signed in where the
peer knows accounts, vote without a pause. What a vote is: feedloop `POST /api/feedback` (nobody signs in), Potato
`POST /updateinstance`, Label Studio `POST /api/tasks/N/annotations`, ours `POST /api/votes`. Ours brings the next task along; with
the others asking for that is another request, which is not counted against them.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

_TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind at all. " * 4
_PATIENCE = 180.0


class Browser:
    """A keep-alive connection with cookies."""

    def __init__(self, port: int, **headers: str) -> None:
        self.port, self.headers, self.cookies = port, headers, dict[str, str]()

    async def ask(self, method: str, path: str, body: Any = None, *, form: bool = False) -> tuple[int, bytes]:
        """Status and body; JSON is sent, or a form."""
        if not hasattr(self, "_writer"):
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        data, kind = b"", "application/json"
        if form:
            data, kind = urllib.parse.urlencode(body).encode(), "application/x-www-form-urlencoded"
        elif body is not None:
            data = json.dumps(body).encode()
        sent = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **self.headers,
        }
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        return await self._reply()

    async def _reply(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        for name, value in re.findall(r"(?im)^set-cookie: ([^=;]+)=([^;\r]*)", head):
            self.cookies[name] = value
        status = int(head[9:12])
        length = re.search(r"(?im)^content-length: (\d+)", head)
        if length:
            content = await self._reader.readexactly(int(length[1]))
        elif re.search(r"(?im)^transfer-encoding: chunked", head):
            content = b""
            while size := int(await self._reader.readuntil(b"\r\n"), 16):
                content += (await self._reader.readexactly(size + 2))[:-2]
            await self._reader.readexactly(2)
        else:  # until the server closes, as without keep-alive
            content = await self._reader.read() if status not in (204, 304) else b""
        if re.search(r"(?im)^connection: close", head) or not (length or "chunked" in head.lower()):
            self._writer.close()
            del self._writer
        return status, content


@dataclass
class Peer:
    """How one server is started, entered and voted on.

    command  what starts it in a folder on a port
    ready    a path that answers 200 once it serves
    enter    signs a client in and gives the votes that it will send: (method, path, body)
    """

    name: str
    command: Callable[[Path, Path, int, int], list[str]]
    ready: str
    enter: Callable[[Path, int, int, int], Any]
    env: dict[str, str] = field(default_factory=dict)


# ── feedloop ─────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_FEEDLOOP = """
import sys, time, feedloop
feedloop.start(port=int(sys.argv[1]), db_path=sys.argv[2], open_browser=False)
while True: time.sleep(1)
"""


def _feedloop_command(venv: Path, folder: Path, port: int, _items: int) -> list[str]:
    return [str(venv / "bin/python"), "-c", _FEEDLOOP, str(port), str(folder / "feedloop.db")]


async def _feedloop_enter(folder: Path, port: int, who: int, items: int) -> tuple[Browser, Iterator[Any]]:
    if who == 0:
        store = sqlite3.connect(folder / "feedloop.db", timeout=30)
        rows = [
            (
                f"{n:032x}",
                "s",
                f"Question {n}?",
                f"First answer to {n}. {_TEXT}",
                f"Second answer to {n}. {_TEXT}",
                "ab",
                "",
            )
            for n in range(items)
        ]
        store.executemany(
            "INSERT INTO comparisons (id, session_id, prompt, output_a, output_b, display_order, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        store.commit()
        store.close()
    mine = (f"{n:032x}" for n in range(who, items, _CLIENTS))
    return Browser(port), (("POST", "/api/feedback", {"comparison_id": id, "chosen_side": "left"}) for id in mine)


# ── Potato ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────

_POTATO = """
annotation_task_name: bench
task_dir: .
output_annotation_dir: annotation_output
data_files: [items.jsonl]
item_properties: {id_key: id, text_key: text}
require_password: true
assignment_strategy: fixed_order
max_annotations_per_user: ITEMS
max_annotations_per_item: -1
annotation_schemes:
  - {annotation_type: radio, name: better, description: "Which answer is better?", labels: [A, B]}
"""


def _potato_command(venv: Path, folder: Path, port: int, items: int) -> list[str]:
    (folder / "config.yaml").write_text(_POTATO.replace("ITEMS", str(items)))
    with (folder / "items.jsonl").open("w") as out:
        for n in range(items):
            out.write(json.dumps({"id": f"i{n}", "text": f"Question {n}? A: {_TEXT} B: {_TEXT}"}) + "\n")
    return [str(venv / "bin/potato"), "start", "config.yaml", "-p", str(port)]


async def _potato_enter(_folder: Path, port: int, who: int, items: int) -> tuple[Browser, Iterator[Any]]:
    browser = Browser(port)
    person = {"email": f"person{who}", "pass": "a long enough password"}
    status, _ = await browser.ask("POST", "/register", person, form=True)
    if status not in (200, 302):
        raise SystemExit(f"Potato: register answers {status}")
    await browser.ask("GET", "/annotate")
    return browser, (
        ("POST", "/updateinstance", {"instance_id": f"i{n}", "annotations": {"better:::A": "A"}}) for n in range(items)
    )


# ── Label Studio ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

_STUDIO_FORM = (
    '<View><Text name="prompt" value="$prompt"/><Text name="a" value="$a"/><Text name="b" value="$b"/>'
    '<Choices name="better" toName="prompt"><Choice value="A"/><Choice value="B"/></Choices></View>'
)
_STUDIO_PERSON = ("owner@example.org", "a long enough password", "0123456789abcdef0123456789abcdef01234567")


def _studio_command(venv: Path, folder: Path, port: int, _items: int) -> list[str]:
    name, password, token = _STUDIO_PERSON
    return [
        str(venv / "bin/label-studio"), "start", "--data-dir", str(folder), "--no-browser", "--port", str(port),
        "--username", name, "--password", password, "--user-token", token, "--enable-legacy-api-token",
    ]  # fmt: skip


async def _studio_enter(folder: Path, port: int, who: int, items: int) -> tuple[Browser, Iterator[Any]]:
    browser = Browser(port, Authorization=f"Token {_STUDIO_PERSON[2]}")
    if who == 0:
        status, said = await browser.ask("POST", "/api/projects", {"title": "bench", "label_config": _STUDIO_FORM})
        if status != 201:
            raise SystemExit(f"Label Studio: a project answers {status} {said[:300]!r}")
        project = json.loads(said)["id"]
        tasks = [{"data": {"prompt": f"Question {n}?", "a": f"{n} {_TEXT}", "b": f"{n} {_TEXT}"}} for n in range(items)]
        status, said = await browser.ask("POST", f"/api/projects/{project}/import", tasks)
        if status not in (200, 201):
            raise SystemExit(f"Label Studio: an import answers {status} {said[:300]!r}")
        status, said = await browser.ask("GET", f"/api/tasks?project={project}&page_size={items}&fields=task_only")
        found = json.loads(said)
        (folder / "ids.json").write_text(json.dumps([task["id"] for task in found.get("tasks", found)]))
    ids = json.loads((folder / "ids.json").read_text())[who::_CLIENTS]
    vote = {"result": [{"from_name": "better", "to_name": "prompt", "type": "choices", "value": {"choices": ["A"]}}]}
    return browser, (("POST", f"/api/tasks/{id}/annotations", vote) for id in ids)


_CLIENTS = 8

PEERS = {
    "feedloop": (Peer("feedloop", _feedloop_command, "/api/session", _feedloop_enter), 40_000),
    "potato-annotation": (
        Peer("potato-annotation", _potato_command, "/", _potato_enter), 2_000,
    ),
    "label-studio": (
        Peer("label-studio", _studio_command, "/user/login/", _studio_enter, {"COLLECT_ANALYTICS": "0"}), 1_000,
    ),
}  # fmt: skip
"""The peer, and how many items it is given: more than it is able to take votes on in the time."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--venvs", type=Path, required=True, help="a virtual environment a peer, by its name")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", action="append", help="these peers alone (rather is one)")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    figures: dict[str, Any] = {}
    for name in ("rather", *PEERS):
        if options.only and name not in options.only:
            continue
        try:
            found = ours(options.seconds) if name == "rather" else measured(name, options.venvs / name, options.seconds)
        except SystemExit as error:
            found = {"left_out": str(error)}
        figures[name] = found
        print(name, json.dumps(found), flush=True)
        if options.json:
            options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def ours(seconds: float) -> dict[str, Any]:
    """The same for `rather annotate serve`, by benchmarks/annotate/load.py."""
    import rather

    command = [
        sys.executable,
        str(Path(__file__).parent / "load.py"),
        "--clients",
        str(_CLIENTS),
        "--seconds",
        str(seconds),
    ]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    with tempfile.TemporaryDirectory() as scratch:
        from benchmarks.annotate.client import started

        with started(Path(scratch) / "project") as server:
            start = server.seconds
    names = ("acknowledged", "votes_per_s", "p50_ms", "p99_ms", "max_ms", "each_second")
    kept = {name: found[name] for name in names}
    return {
        "version": rather.__version__, "start_s": round(start, 2), **kept, "stored": found["votes_in_store"],
        "memory_mb": found["server_peak_mb"],
    }  # fmt: skip


def measured(name: str, venv: Path, seconds: float) -> dict[str, Any]:
    """A peer's figures, or the reason why there are none."""
    peer, items = PEERS[name]
    if not (venv / "bin/python").exists():
        return {"left_out": f"{venv} has no virtual environment"}
    said = subprocess.run([venv / "bin/python", "-m", "pip", "show", name], capture_output=True, text=True, check=False)
    version = re.search(r"^Version: (.+)$", said.stdout, re.MULTILINE)
    if version is None:
        return {"left_out": f"{name} is not installed in {venv}"}
    port = _free_port()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        log = (folder / "server.log").open("wb")
        command = peer.command(venv, folder, port, items)
        begun = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "HOME": scratch, "PYTHONUNBUFFERED": "1", **peer.env},
        )
        try:
            asyncio.run(_until_ready(port, peer.ready, process))
            start = time.perf_counter() - begun
            found = asyncio.run(_press(peer, folder, port, items, seconds))
            found["memory_mb"] = round(_memory_mb(process.pid), 1)
        except BaseException:
            print((folder / "server.log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            with suppress(ProcessLookupError):  # it ended by itself
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            log.close()
    return {"version": version[1], "start_s": round(start, 2), **found}


def _free_port() -> int:
    """Below those that outgoing connections get: one of these would connect to itself while nobody listens."""
    for port in range(21_000, 30_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise SystemExit("no port is free")


async def _until_ready(port: int, path: str, process: subprocess.Popen[bytes]) -> None:
    give_up = time.perf_counter() + _PATIENCE
    while True:
        try:
            status, _ = await Browser(port).ask("GET", path)
            if status == 200:
                return
        except (OSError, asyncio.IncompleteReadError):
            pass  # it does not listen yet
        if process.poll() is not None or time.perf_counter() > give_up:
            raise SystemExit("the server does not start")
        await asyncio.sleep(0.02)


async def _press(peer: Peer, folder: Path, port: int, items: int, seconds: float) -> dict[str, Any]:
    people = [await peer.enter(folder, port, who, items) for who in range(_CLIENTS)]
    for browser, votes in people:  # the first vote loads what is loaded late
        await browser.ask(*next(votes))
    waits: list[tuple[float, float]] = []
    refused: dict[int, int] = {}
    begun = time.perf_counter()

    async def vote(browser: Browser, votes: Iterator[Any]) -> None:
        for method, path, body in votes:
            sent = time.perf_counter()
            if sent >= begun + seconds:
                return
            status, _ = await browser.ask(method, path, body)
            if status in (200, 201):
                waits.append((time.perf_counter(), time.perf_counter() - sent))
            else:
                refused[status] = refused.get(status, 0) + 1

    await asyncio.gather(*itertools.starmap(vote, people))
    took = max((at for at, _ in waits), default=begun + seconds) - begun
    if not waits:
        raise SystemExit(f"{peer.name} took no vote: {refused}")
    ordered = sorted(wait * 1000 for _, wait in waits)
    each = [0] * (int(took) + 1)
    for at, _ in waits:
        each[min(int(at - begun), len(each) - 1)] += 1
    return {
        "acknowledged": len(waits), "refused": refused, "votes_per_s": round(len(waits) / took, 1),
        "p50_ms": round(statistics.median(ordered), 2), "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "max_ms": round(ordered[-1], 2), "each_second": each[: int(took)],
    }  # fmt: skip


def _memory_mb(pid: int) -> float:
    """The peak of a process and of those that it started."""
    children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000 + sum(_memory_mb(int(child)) for child in children)


if __name__ == "__main__":
    main()
