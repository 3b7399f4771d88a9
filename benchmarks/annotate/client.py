"""A server as users start it, and a client that costs little, so that the other core is the server's."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Server:
    """A running `rather annotate serve`."""

    def __init__(self, folder: Path, db: str | None, port: int) -> None:
        self.folder, self.db, self.port = folder, db, port
        self.seconds = 0.0
        self.token = ""
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "rather", "annotate", "serve", str(self.folder), "--port", str(self.port)]
        begun = time.perf_counter()
        process = subprocess.Popen(
            command + (["--db", self.db] if self.db else []), env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as probe:
                    probe.sendall(b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
                    if probe.recv(15).startswith(b"HTTP/1.1 200"):
                        break
            except OSError:
                if process.poll() is not None or time.perf_counter() - begun > 120:
                    raise SystemExit("the server does not start") from None
                time.sleep(0.01)
        self.seconds = time.perf_counter() - begun
        return process

    def kill(self) -> None:
        """As `kill -9` does."""
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        """The same command on the same port."""
        self.process = self._start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1000

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def started(folder: Path, *, db: str | None = None) -> Iterator[Server]:
    """A server on a free port for as long as the block lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Server(folder, db, port)
    server.token = invitation(folder, db)
    _TOKENS[port] = server.token
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


_TOKENS: dict[int, str] = {}


def invitation(folder: Path, db: str | None) -> str:
    from rather.annotation.accounts import invite
    from rather.annotation.store import open_store

    store = open_store(folder, db)
    token = invite(store, "annotator", uses=10_000, days=1.0)
    store.close()
    return token


class Refused(Exception):
    """A status other than 200."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Client:
    """One annotator's keep-alive connection."""

    _keys = itertools.count()

    def __init__(self, port: int) -> None:
        self.port = port
        self.name = ""
        self.headers = f"Host: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"

    @classmethod
    async def joined(cls, port: int, name: str) -> Client:
        client = cls(port)
        client.name = f"{name} {time.time_ns()}"
        await client.connect()
        headers, me = await client.ask("POST", "/api/join", {"token": _TOKENS[port], "name": client.name})
        cookie = re.search(rb"set-cookie: ([^;]+);", headers)[1].decode()
        client.headers += f"Cookie: {cookie}\r\nX-CSRF-Token: {me['csrf']}\r\nOrigin: http://127.0.0.1:{port}\r\n"
        return client

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[bytes, Any]:
        if self._writer.is_closing():
            raise ConnectionError("closed")
        data = b"" if body is None else json.dumps(body).encode()
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\n{self.headers}Content-Length: {len(data)}\r\n\r\n".encode() + data
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = int(head[(at := head.index(b"content-length: ") + 16) : head.index(b"\r", at)])
        told = json.loads(await self._reader.readexactly(length))
        if not head.startswith(b"HTTP/1.1 200"):
            raise Refused(int(head[9:12]), told)
        return head, told

    async def next(self) -> dict[str, Any] | None:
        return (await self.ask("POST", "/api/next", {}))[1]["task"]

    async def vote(self, item: Any, verdict: str, key: str | None = None) -> dict[str, Any] | None:
        """The next task, once this vote is on disk."""
        self.key = key or f"{os.getpid()}-{next(self._keys):08d}"
        body = {"item": item, "key": self.key, "verdict": verdict, "seconds": 1.5, "next": True}
        return (await self.ask("POST", "/api/votes", body))[1]["task"]

    def close(self) -> None:
        self._writer.close()


class Pressing(asyncio.Protocol):
    """One annotator who votes on each task as soon as it comes; nothing is read of a reply but its status and the next item."""

    _number = itertools.count()

    def __init__(
        self, headers: str, item: int, pause: float, *, until: float, latencies: list[tuple[float, float]]
    ) -> None:
        self._head = f"POST /api/votes HTTP/1.1\r\n{headers}Content-Length: ".encode()
        self._item, self._pause, self._until, self._latencies = item, pause, until, latencies
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[None] = self._loop.create_future()
        self._got = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._send()

    def stop(self) -> None:
        """Vote no more once the vote under way is answered."""
        self._until = 0.0

    def _send(self) -> None:
        if not self._until:
            return
        key = b"load-%d-%08d" % (os.getpid(), next(self._number))
        body = b'{"item":%d,"key":"%b","verdict":"a","seconds":1.5,"next":true}' % (self._item, key)
        self._sent = time.perf_counter()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))

    def data_received(self, data: bytes) -> None:
        self._got = got = self._got + data if self._got else data
        end = got.find(b"\r\n\r\n")
        if end < 0:
            return
        at = got.index(b"content-length: ", 0, end) + 16
        if len(got) < end + 4 + int(got[at : got.index(b"\r", at)]):
            return
        now = time.perf_counter()
        if not got.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(Refused(int(got[9:12]), {"body": got[end + 4 :]}))
            return
        self._latencies.append((now, now - self._sent))
        place = got.find(b'"task":{"item":', end)
        self._got = b""
        if place < 0 or now >= self._until:
            self._transport.close()
            self.done.set_result(None)
            return
        self._item = int(got[place + 15 : got.index(b",", place)])
        if self._pause:
            self._loop.call_later(self._pause, self._send)
        else:
            self._send()
