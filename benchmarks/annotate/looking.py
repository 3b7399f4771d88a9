"""What annotators feel of an owner who looks at a project of a million votes, changes its settings, or brings a million items.

    python -m benchmarks.annotate.looking --votes 1000000

Four clients vote with a pause between two votes, alone and then while an owner does one thing after the other. Printed is how
long the owner waited, and p50, p99 and the longest of the votes meanwhile. The votes of the store are made up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.annotate.client import Client, Pressing, Server, started
from benchmarks.annotate.load import fill

PEOPLE, OVERLAP = 40, 3
_PART = 20_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--more", type=int, default=1_000_000, help="items brought by an import meanwhile")
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--folder", type=Path, help="a project made by an earlier run, to begin with")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch) / "project"
        if not folder.exists():
            make(folder, options.votes)
        with started(folder) as server:
            figures: dict[str, Any] = {"votes": options.votes, "start_to_first_page_s": round(server.seconds, 2)}
            figures |= uvloop.run(looked(server, options, Path(scratch)))
            figures["server_peak_mb"] = round(server.peak_mb(), 1)
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def make(folder: Path, votes: int) -> None:
    """A project with so many votes, three on an item, and as many items that nobody voted on."""
    from rather.annotation.accounts import add_account
    from rather.annotation.store import open_store

    draw = random.Random(0)
    fill(folder, 2 * votes // OVERLAP, OVERLAP, None)
    store = open_store(folder)
    people = [add_account(store, f"person {number}", "annotator").id for number in range(PEOPLE)]
    items = [id for (id,) in store.read("SELECT id FROM items ORDER BY id")][: votes // OVERLAP]
    events: list[tuple[Any, ...]] = []
    number, now = 0, time.time() - 86_400 * 2
    for item in items:
        for person in draw.sample(people, OVERLAP):
            shown = [0, 1] if draw.random() < 0.5 else [1, 0]
            right = draw.random() < 0.8
            body = {"verdict": "ab"[shown[0] == right], "seconds": round(draw.expovariate(0.1), 3)}
            number += 2
            at, told = now + number / 20, json.dumps(shown)
            events.append((number - 1, at - 5, "viewed", item, person, told, None, None))
            said = json.dumps(body, separators=(",", ":"))
            events.append((number, at, "voted", item, person, told, f"made-{number:09}", said))
        if len(events) > _PART:
            store.append(events)
            events.clear()
    store.append(events)
    store.close()


async def looked(server: Server, options: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    people = [await Client.joined(server.port, f"looking {number}") for number in range(options.clients)]
    tasks = [await person.next() for person in people]
    owner = await Looking.joined(server, options.folder)
    votes: list[tuple[float, float]] = []
    pressing = [
        Pressing(person.headers, task["item"], options.pause, until=float("inf"), latencies=votes)
        for person, task in zip(people, tasks, strict=True)
        if task
    ]
    for one in pressing:
        await asyncio.get_running_loop().create_connection(lambda one=one: one, "127.0.0.1", server.port)
    deeds: dict[str, Callable[[], Awaitable[Any]]] = {
        "nobody looks, 10 s": lambda: asyncio.sleep(10),
        "the board": lambda: owner.get("/board"),
        "the board again": lambda: owner.get("/board"),
        "disputes": lambda: owner.get("/disputes"),
        "disputes again": lambda: owner.get("/disputes"),
        "items": lambda: owner.get("/items"),
        "the whole export": lambda: owner.get("/export/judgments.jsonl"),
        "ask by another order": lambda: owner.configured(ask="informative"),
        f"{options.more:,} items more": lambda: owner.brought(options.more, scratch),
    }
    figures: dict[str, Any] = {}
    for name, deed in deeds.items():
        begun = time.perf_counter()
        await deed()
        took = time.perf_counter() - begun
        await asyncio.sleep(0.5)
        for one in pressing:
            if one.done.done():
                one.done.result()
        waits = sorted(wait * 1000 for at, wait in votes if at >= begun)
        figures[name] = {
            "owner_s": round(took, 2), "votes": len(waits), "p50_ms": round(statistics.median(waits), 2),
            "p99_ms": round(waits[int(len(waits) * 0.99)], 2), "max_ms": round(waits[-1], 2),
        }  # fmt: skip
        print(name, figures[name], file=sys.stderr, flush=True)
    for one in pressing:
        one.stop()
    return figures


class Looking:
    """An owner at a browser."""

    def __init__(self, server: Server, client: Client) -> None:
        self._server, self._client = server, client

    @classmethod
    async def joined(cls, server: Server, _folder: Path | None) -> Looking:
        from rather.annotation.accounts import invite
        from rather.annotation.store import open_store

        store = open_store(server.folder)
        token = invite(store, "owner", days=1.0)
        store.close()
        client = Client(server.port)
        await client.connect()
        said = {"token": token, "name": f"owner {time.time_ns()}", "password": "a long enough password"}
        headers, me = await client.ask("POST", "/api/join", said)
        cookie = re.search(rb"set-cookie: ([^;]+);", headers)[1].decode()
        client.headers += f"Cookie: {cookie}\r\nX-CSRF-Token: {me['csrf']}\r\n"
        return cls(server, client)

    async def get(self, path: str) -> None:
        """A page, to its end."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        writer.write(f"GET {path} HTTP/1.1\r\n{self._client.headers}Connection: close\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        while await reader.read(1 << 20):
            pass
        writer.close()
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"{path}: {head[:40]!r}")

    async def configured(self, **settings: Any) -> None:
        """Settings of the project."""
        _, now = await self._client.ask("GET", "/api/settings")
        await self._client.ask("POST", "/api/settings", {"settings": {**now["settings"], **settings}})

    async def brought(self, items: int, scratch: Path) -> None:
        """An import by the command line, until the server has taken it up."""
        file = scratch / "more.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for n in range(items):
                out.write(f'{{"prompt": "more {n}?", "chosen": "yes, {n}", "rejected": "no, {n}"}}\n')
        wanted = (await self._items()) + items
        command = [sys.executable, "-m", "rather", "annotate", "import", str(self._server.folder), str(file)]
        process = await asyncio.create_subprocess_exec("nice", *command)
        if await process.wait():
            raise SystemExit("the import failed")
        while await self._items() < wanted:
            await asyncio.sleep(0.5)

    async def _items(self) -> int:
        _, found = await self._client.ask("GET", "/api/progress")
        return found["items"]


if __name__ == "__main__":
    main()
