"""Answers as they come, one a line, appended: whatever happens to the process, what was answered is not asked again.

A line is `{"key": …, "text": …, "tokens": …, "finished": …, "refused": …}`. Only places in the file are held in memory.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from rather.errors import RunDirError
from rather.generation.plan import Answer, Ask

# A killed process loses nothing that was written; a power cut takes what the system had not yet put on disk.
_SYNC_SECONDS = 1.0


class Log:
    """The answers in a file, by the key of what asked for them. Close it, or use it in a `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        self._file = path.open("a+b")
        self._synced = time.monotonic()
        try:
            self._read_places()
        except BaseException:
            self._file.close()
            raise

    def __contains__(self, ask: Ask) -> bool:
        return ask.key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, ask: Ask, answer: Answer) -> None:
        """Keep an answer."""
        row = {"key": ask.key, "text": answer.text, "tokens": answer.tokens, "finished": answer.finished}
        if answer.refused is not None:
            row["refused"] = answer.refused
        self._file.seek(0, os.SEEK_END)
        place = self._file.tell()
        # Half a surrogate pair, as a broken server may send it, must not break the file: JSON's escapes hold it.
        self._file.write(json.dumps(row, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        self._places[ask.key] = place
        if time.monotonic() - self._synced > _SYNC_SECONDS:
            self._sync()

    def get(self, ask: Ask) -> Answer:
        """The answer to `ask`, which must be there."""
        self._file.seek(self._places[ask.key])
        row = json.loads(self._file.readline())
        tokens = row["tokens"]
        return Answer(row["text"], None if tokens is None else tuple(tokens), row["finished"], row.get("refused"))

    def close(self) -> None:
        """Put everything on disk. A log of nothing is taken away, so that a run that did nothing leaves nothing."""
        if self._file.closed:
            return
        self._sync()
        self._file.close()
        if not self._places:
            self._path.unlink()

    def _sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def _read_places(self) -> None:
        """Find the answers of an earlier process. A last line without its end is what a kill leaves, and is cut off."""
        self._file.seek(0)
        place = 0
        for number, line in enumerate(iter(self._file.readline, b""), start=1):
            if not line.endswith(b"\n"):
                self._file.truncate(place)
                return
            self._places[self._key(number, line)] = place
            place += len(line)

    def _key(self, number: int, line: bytes) -> str:
        try:
            row: Any = json.loads(line)
            return str(row["key"])
        except (ValueError, TypeError, KeyError) as error:
            raise RunDirError(
                f"{self._path}:{number}: is damaged; remove the line, and its answer is asked for again"
            ) from error
