"""Servers for tests: `transformers serve`, a real OpenAI-compatible one, and plain HTTP ones that misbehave as told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Reply = tuple[int, dict[str, str], str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Served:
    """A running `transformers serve`."""

    def __init__(self, model: Path | str, port: int, log: Path) -> None:
        command = [
            str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--host", "127.0.0.1", "--port", str(port),
        ]  # fmt: skip
        with log.open("ab") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, "HF_HUB_OFFLINE": "1"})
        self.url = f"http://127.0.0.1:{port}/v1"
        try:
            self._wait(port, log)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _wait(self, port: int, log: Path) -> None:
        for _ in range(1800):
            assert self.process.poll() is None, log.read_text()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise AssertionError(f"no server after six minutes: {log.read_text()[-2000:]}")


@contextmanager
def misbehaving(reply: Callable[[dict[str, Any], int], Reply | None]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Address of a server that answers as `reply(body, number of the request)` says (None: hangs up), and what it was asked.

    Each request that it has heard is there with `path`, `headers`, `at` and `until`, between which it was worked on, and
    `in_flight`, how many others were with it.
    """
    heard: list[dict[str, Any]] = []
    lock, working = threading.Lock(), [0]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                working[0] += 1
                number = len(heard)
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = {"path": self.path, "headers": headers, "at": time.monotonic(), "in_flight": working[0]}
                heard.append({**body, **request})
            found = reply(body, number)
            with lock:
                working[0] -= 1
                heard[number]["until"] = time.monotonic()
            if found is None:
                self.close_connection = True
                return
            status, headers, text = found
            data = text.encode()
            try:
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):  # the client has given up
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Clients that go away are what is tested."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def said(text: str | None, reason: str = "stop") -> Reply:
    """A reply by the protocol."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return 200, {}, json.dumps({"choices": [choice]})


def failed(status: int, message: str, headers: dict[str, str] | None = None, **more: str) -> Reply:
    """An error as OpenAI words it."""
    return status, headers or {}, json.dumps({"error": {"message": message, **more}})
