"""The embedded store: one SQLite file in write-ahead mode, every transaction brought to disk before it is acknowledged."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from rather.annotation.store import EVENT_COLUMNS, Rows, Values
from rather.errors import StoreError

FILE = "annotate.db"
LOCK = "annotate.lock"

# How long a statement waits for another process (an import, a backup) to finish its transaction.
_WAIT_SECONDS = 30.0

_APPEND = f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"


class SqliteStore:
    """`Store` in FOLDER/annotate.db: a connection for each thread that reads, and one that writes."""

    quick = True

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self.name = folder, folder / FILE, str(folder / FILE)
        self.address: tuple[Path, str | None] = (folder, None)
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        self._writing = threading.Lock()
        self._lock_file: IO[str] | None = None
        if folder.exists() and not folder.is_dir():
            raise StoreError(f"{folder}: is a file; a project is a folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not self.path.exists():
                self.path.touch(mode=0o600)  # it holds password hashes
            self._writer = self._connect()
        except OSError as error:
            raise StoreError(f"{self.name}: {error.strerror or error}; choose another folder") from error

    def read(self, sql: str, **values: Any) -> Rows:
        with self._told():
            return self._reader().execute(sql, values).fetchall()

    def stream(self, sql: str, **values: Any) -> Iterator[Any]:
        with self._told():
            reader = self._connect()  # its own, so that its moment does not hold others back
            try:
                yield from reader.execute(sql, values)
            finally:
                self._all.remove(reader)
                reader.close()

    def write(self, *statements: tuple[str, Values]) -> Rows:
        def run(writer: sqlite3.Connection) -> Rows:
            rows: Rows = []
            for sql, values in statements:
                rows = writer.execute(sql, dict(values)).fetchall()
            return rows

        return self._transaction(run)

    def insert(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, conflict: str = "DO NOTHING"
    ) -> None:
        places = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) ON CONFLICT {conflict}"
        self._transaction(lambda writer: writer.executemany(sql, rows))

    def append(self, events: Sequence[tuple[Any, ...]]) -> None:
        self._transaction(lambda writer: writer.executemany(_APPEND, events))

    def has(self, table: str) -> bool:
        return bool(self.read("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :table", table=table))

    def engine(self) -> Any:
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import NullPool

        engine = create_engine("sqlite://", creator=self._connect, poolclass=NullPool)
        # The driver itself begins no transaction before DDL, and a migration must happen whole or not at all.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return engine

    def lock(self) -> None:
        import fcntl

        if self._lock_file is not None:
            return
        file = (self.folder / LOCK).open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.close()
            raise StoreError(f"{self.name} is served by another process; stop it first") from error
        self._lock_file = file

    def backup(self, to: Path) -> None:
        with self._told():
            scratch = to.with_name(f".rather-{to.name}")
            copy = sqlite3.connect(scratch)
            try:
                self._reader().backup(copy, pages=-1)
            finally:
                copy.close()
            scratch.chmod(0o600)
            scratch.replace(to)

    def close(self) -> None:
        for connection in self._all:
            connection.close()
        self._all.clear()
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _connect(self) -> sqlite3.Connection:
        with self._told():
            connection = sqlite3.connect(
                self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=256
            )
            self._all.append(connection)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA cache_size = -16000")  # kilobytes
        return connection

    def _reader(self) -> sqlite3.Connection:
        reader = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._connect()
        return reader

    def _transaction(self, run: Callable[[sqlite3.Connection], Any]) -> Any:
        with self._told(), self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                result = run(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise
            return result

    @contextmanager
    def _told(self) -> Iterator[None]:
        """SQLite's errors as one sentence with a cure."""
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.OperationalError, sqlite3.DatabaseError) as error:
            raise StoreError(f"{self.name}: {error}; {_cure(error)}") from error


def _cure(error: sqlite3.Error) -> str:
    said = str(error)
    if "full" in said:
        return "free some space on its disk"
    if "locked" in said or "busy" in said:
        return "another process keeps it: wait, and try again"
    if "not a database" in said or "malformed" in said:
        return "it is damaged: put a backup in its place"
    if "readonly" in said or "unable to open" in said:
        return f"its folder must be writable for user {os.getuid()}"
    return "see docs/annotate.md"
