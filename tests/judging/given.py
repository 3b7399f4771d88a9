"""What the tests of judges share: answers in memory, and a server that answers as a function says."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from rather.judging import Candidates
from rather.records import Prompt, Question, Response


def candidates(
    prompt: Prompt, *answers: str, columns: list[dict[str, Any]] | None = None, model: str = "m"
) -> Candidates:
    """Answers to a prompt, from line 1 on of a file f."""
    question = Question(prompt=prompt)
    return Candidates(
        question,
        tuple(
            Response(question=question, text=text, model=model, source=f"f:{number}")
            for number, text in enumerate(answers, start=1)
        ),
        tuple(columns or [{} for _ in answers]),
    )


@dataclass
class Served:
    """A running server. asked: every request's body. status: what it answers with, if not 200."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    fails: list[int] = field(default_factory=list)


@contextmanager
def serving(reply: Callable[[str, str], str], *, takes_forms: bool = True) -> Iterator[Served]:
    """A chat-completions endpoint on this machine whose model is `reply(system turn, user turn)`.

    Put a status into `fails` and the next request gets it.
    """
    served = Served()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.asked.append(body)
            if served.fails and (status := served.fails.pop(0)) != 200:
                self._send(status, {"error": {"message": "as told"}})
            elif not takes_forms and "response_format" in body:
                self._send(422, {"detail": "Unexpected fields in the request: {'response_format'}"})
            else:
                turns = {turn["role"]: turn["content"] for turn in body["messages"]}
                text = reply(turns.get("system", ""), turns["user"])
                message = {"role": "assistant", "content": text}
                choice = {"index": 0, "finish_reason": "stop", "message": message}
                self._send(
                    200, {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
                )

        def _send(self, status: int, value: dict[str, Any]) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        served.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        try:
            yield served
        finally:
            http.shutdown()
            thread.join()
