"""A small hub for tests: the HTTP of the Hugging Face hub by which `datasets` finds and reads a data set's files."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "0123456789abcdef" * 2 + "01234567"


@contextmanager
def hub(name: str, files: Mapping[str, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Address of a hub that has one data set of these files, and what it was asked."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

        def _answer(self, body: bytes = b"") -> None:
            path = unquote(urlsplit(self.path).path)
            heard.append(f"{self.command} {path}")
            api, whole = f"/api/datasets/{name}", f"/datasets/{name}/resolve/"
            if path == "/":
                self._send(200, b"a hub")
            elif path == api or path.startswith(f"{api}/revision/"):
                siblings = [{"rfilename": file} for file in files]
                self._json({"id": name, "sha": COMMIT, "private": False, "gated": False, "disabled": False, "siblings": siblings,
                            "tags": [], "downloads": 0, "likes": 0})  # fmt: skip
            elif path.startswith(f"{api}/tree/"):
                under = path.removeprefix(f"{api}/tree/").partition("/")[2]
                found = [_info(file, files[file]) for file in files if not under or file.startswith(f"{under}/")]
                self._json(found) if found else self._missing("EntryNotFound")
            elif path.startswith(f"{api}/paths-info/"):
                asked = json.loads(body)["paths"] if body[:1] == b"{" else parse_qs(body.decode())["paths"]
                self._json([_info(file, files[file]) for file in asked if file in files])
            elif path.startswith(whole):
                self._file(path.removeprefix(whole).partition("/")[2])
            else:
                self._missing("EntryNotFound" if name in path else "RepoNotFound")

        def _file(self, file: str) -> None:
            if file not in files:
                self._missing("EntryNotFound")
                return
            data, part = files[file], self.headers.get("Range")
            about = {"ETag": f'"{_hash(data)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
            if part is None:
                self._send(200, data, about)
                return
            first, _, last = part.removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) if last else len(data) - 1, len(data) - 1)
            self._send(206, data[start : end + 1], {**about, "Content-Range": f"bytes {start}-{end}/{len(data)}"})

        def _json(self, value: Any) -> None:
            self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def _missing(self, code: str) -> None:
            self._send(404, b"{}", {"X-Error-Code": code, "X-Error-Message": "not here"})

        def _send(self, status: int, data: bytes, headers: Mapping[str, str] = {}) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _hash(data: bytes) -> str:
    return sha1(data).hexdigest()


def _info(file: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": file, "size": len(data), "oid": _hash(data)}
