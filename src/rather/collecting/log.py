"""The collector's log: one file a day (UTC), an event a line, only ever appended to.

What is acknowledged is on disk. Requests that come while one batch is brought to disk wait for the next, and share its flush. A
kill may leave the start of a line that nobody was told of: the next start cuts it off.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from rather.errors import StoreError

LOCK = ".lock"
FILES = "events-*.jsonl"

Waiting = tuple[bytes, "asyncio.Future[None]"]


class EventLog:
    """Appends lines from an event loop's coroutines. One process holds the folder.

    cut  bytes of unfinished lines that were cut off at the start
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = (folder / LOCK).open("a")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.cut = sum(_mended(file) for file in folder.glob(FILES))
        except BlockingIOError as error:
            raise StoreError(f"{folder} is collected into by another process; stop it first") from error
        except OSError as error:
            raise StoreError(f"{folder}: {error.strerror or error}; choose another folder") from error
        self._path: Path | None = None
        self._file = -1
        self._size = 0  # of what is acknowledged in the file
        self._waiting: list[Waiting] = []
        self._flushing: asyncio.Task[None] | None = None

    async def append(self, lines: bytes) -> None:
        """Done once all of `lines` are on disk. Raises StoreError where none of them is."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((lines, done))
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await done

    async def close(self) -> None:
        """Write what waits, and let the folder go."""
        if self._flushing is not None:
            await self._flushing
        self._shut()
        self._lock.close()

    async def _flush(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                error: Exception | None = None
                try:
                    await asyncio.to_thread(self._write, b"".join(lines for lines, _ in batch))
                except OSError as failure:
                    error = StoreError(f"{self.folder}: {failure.strerror or failure}")
                except Exception as failure:  # whatever it was, those who wait must hear of it
                    error = failure
                for _, done in batch:
                    if not done.done():  # who closed the connection waits no more
                        done.set_result(None) if error is None else done.set_exception(error)
        finally:
            self._flushing = None

    def _write(self, lines: bytes) -> None:
        """Append and flush. After an error the file is what it was: half a line would spoil the next one."""
        self._open_for(datetime.fromtimestamp(time.time(), UTC))
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file, lines[written:])
            os.fsync(self._file)
        except OSError:
            self._undo()
            raise
        self._size += len(lines)

    def _undo(self) -> None:
        """Take back what was written since the last acknowledgement; if even that fails, the file is mended when it is opened."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._shut()

    def _open_for(self, now: datetime) -> None:
        path = self.folder / f"events-{now:%Y-%m-%d}.jsonl"
        if path == self._path and path.exists():  # else somebody moved it away
            return
        self._shut()
        if path.exists():
            _mended(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._path, self._size = path, os.fstat(self._file).st_size
        _flush_folder(self.folder)

    def _shut(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._path, self._file = None, -1


def _mended(file: Path) -> int:
    """Cut off what stands behind the last whole line; how many bytes that was."""
    with file.open("r+b") as opened:
        size = end = opened.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            opened.seek(start)
            place = opened.read(end - start).rfind(b"\n")
            if place >= 0:
                end = start + place + 1
                break
            end = start
        if end < size:
            opened.truncate(end)
            os.fsync(opened.fileno())
    return size - end


def _flush_folder(folder: Path) -> None:
    """Bring the names in a folder to disk: a power cut could take that of a new file."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that know no such thing
            raise
    finally:
        os.close(opened)
