"""The store of a team: PostgreSQL through pg8000, a connection for each thread that reads and one that appends.

The connection that appends holds an advisory lock, so that a server which lost its connection appends nothing before it has the
lock again. Events carry their numbers with them: after a connection broke in the middle of a commit, looking for the first of
them tells whether it happened, and it is neither lost nor made twice.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pg8000.dbapi
import pg8000.native
from pg8000.exceptions import DatabaseError, InterfaceError

from rather.annotation.store import EVENT_COLUMNS, Rows, Values
from rather.errors import ConfigError, StoreError

# While it restarts, or fails over, requests wait so long.
_PATIENCE_SECONDS = 60.0

_LOCK = 0x7261_7468_6572  # "rather": advisory locks are numbers
_FETCH = 5000

_LOST = (InterfaceError, OSError)
# Classes of SQLSTATE by which the server says that it cannot serve now: 08 connection, 57P shutting down or starting.
_AWAY = ("08", "57P")

_COLUMNS = ", ".join(EVENT_COLUMNS)
_APPEND = (
    f"INSERT INTO events ({_COLUMNS}) SELECT {_COLUMNS} "
    "FROM json_populate_recordset(CAST(NULL AS events), CAST(:rows AS json))"
)


class PostgresStore:
    """`Store` in the database that a postgresql:// address names."""

    quick = False

    def __init__(self, url: str) -> None:
        self._address = _address(url)
        self.address: tuple[Path, str | None] = (Path(), url)
        self.name = f"postgresql://{self._address['host']}/{self._address['database']}"
        self._local = threading.local()
        self._open: set[pg8000.native.Connection] = set()
        self._appending = threading.Lock()
        self._appender: pg8000.native.Connection | None = None
        self._locked = False
        self._reader()

    def read(self, sql: str, **values: Any) -> Rows:
        return self._again(lambda connection: connection.run(sql, **values) or [])

    def stream(self, sql: str, **values: Any) -> Iterator[Any]:
        connection = self._connect()
        try:
            connection.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            connection.run(f"DECLARE rows NO SCROLL CURSOR FOR {sql}", **values)
            while rows := connection.run(f"FETCH {_FETCH} FROM rows"):
                yield from (tuple(row) for row in rows)
        except (*_LOST, DatabaseError) as error:
            raise self._told(error) from error
        finally:
            self._drop(connection)

    def write(self, *statements: tuple[str, Values]) -> Rows:
        return self._transaction(
            lambda connection: [connection.run(sql, **values) or [] for sql, values in statements][-1]
        )

    def insert(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, conflict: str = "DO NOTHING"
    ) -> None:
        names = ", ".join(columns)
        self._transaction(
            lambda connection: connection.run(
                f"INSERT INTO {table} ({names}) SELECT {names} "
                f"FROM json_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS json)) ON CONFLICT {conflict}",
                rows=_json(columns, rows),
            )
        )

    def append(self, events: Sequence[tuple[Any, ...]]) -> None:
        rows = _json(EVENT_COLUMNS, events)
        give_up = time.monotonic() + _PATIENCE_SECONDS
        with self._appending:
            begun = False
            while True:
                try:
                    connection = self._ready_appender()
                    if begun and connection.run("SELECT 1 FROM events WHERE id = :id", id=events[0][0]):
                        return
                    begun = True
                    connection.run(_APPEND, rows=rows)
                    return
                except (*_LOST, DatabaseError, StoreError) as error:
                    if not self._is_away(error) or time.monotonic() > give_up:
                        raise self._told(error) from error
                    self._drop_appender()
                    time.sleep(0.2)

    def has(self, table: str) -> bool:
        return self.read("SELECT to_regclass(:table) IS NOT NULL", table=table)[0][0]

    def engine(self) -> Any:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        return create_engine(
            "postgresql+pg8000://", creator=lambda: pg8000.dbapi.connect(**self._address), poolclass=NullPool
        )

    def lock(self) -> None:
        with self._appending:
            self._locked = True
            try:
                self._ready_appender()
            except (*_LOST, DatabaseError) as error:
                raise self._told(error) from error

    def backup(self, to: Path) -> None:
        from rather.annotation.store.copying import copy_into

        copy_into(self, to)

    def close(self) -> None:
        for connection in list(self._open):
            self._drop(connection)

    def _connect(self) -> pg8000.native.Connection:
        try:
            connection = pg8000.native.Connection(**self._address, application_name="rather annotate")
        except (*_LOST, DatabaseError) as error:
            raise self._told(error) from error
        self._open.add(connection)
        return connection

    def _reader(self) -> pg8000.native.Connection:
        reader = getattr(self._local, "reader", None)
        if reader is None:
            reader = self._local.reader = self._connect()
        return reader

    def _again(self, run: Callable[[pg8000.native.Connection], Any]) -> Any:
        """Run something that changes nothing, or all in one transaction; once more if the connection was lost before."""
        for last in (False, True):
            reader = self._reader()
            try:
                return run(reader)
            except (*_LOST, DatabaseError) as error:
                if self._is_away(error):
                    self._drop(reader)
                    self._local.reader = None
                    if not last:
                        continue
                raise self._told(error) from error
        raise AssertionError("unreachable")

    def _transaction(self, run: Callable[[pg8000.native.Connection], Any]) -> Any:
        self._again(
            lambda connection: connection.run("SELECT 1")
        )  # a connection that broke while it was idle is replaced
        connection = self._reader()
        try:
            connection.run("BEGIN")
            result = run(connection)
            connection.run("COMMIT")
        except (*_LOST, DatabaseError) as error:
            self._drop(connection)
            self._local.reader = None
            raise self._told(error) from error
        return result

    def _ready_appender(self) -> pg8000.native.Connection:
        """The one connection that appends, with the lock if this process is to hold it."""
        if self._appender is None:
            connection = self._connect()
            if self._locked and connection.run("SELECT pg_try_advisory_lock(:key)", key=_LOCK) != [[True]]:
                self._drop(connection)
                raise StoreError(f"{self.name} is served by another process; stop it first")
            self._appender = connection
        return self._appender

    def _drop_appender(self) -> None:
        if self._appender is not None:
            self._drop(self._appender)
            self._appender = None

    def _drop(self, connection: pg8000.native.Connection) -> None:
        self._open.discard(connection)
        try:
            connection.close()
        except (*_LOST, DatabaseError):
            pass  # it is gone already, which is what was wanted

    def _is_away(self, error: Exception) -> bool:
        """True where the connection is lost or the server restarts: trying again may help."""
        cause = error.__cause__ if isinstance(error, StoreError) else error
        return isinstance(cause, _LOST) or _state(cause).startswith(_AWAY)

    def _told(self, error: Exception) -> StoreError:
        if isinstance(error, StoreError):
            return error
        return StoreError(f"{self.name}: {_message(error)}; see that it runs and that --db is right")


def _address(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    unknown = sorted(set(query) - {"host"})
    if unknown:
        raise ConfigError(f'--db: unknown option "{unknown[0]}"; only host, the folder of a Unix socket, is known')
    database = unquote(parts.path.lstrip("/"))
    if not database:
        raise ConfigError("--db: names no database; postgresql://user@host/database")
    try:
        port = parts.port or 5432
    except ValueError as error:
        raise ConfigError("--db: the port is no number up to 65535") from error
    address: dict[str, Any] = {
        "user": unquote(parts.username or os.environ.get("PGUSER") or os.environ.get("USER") or "postgres"),
        "password": unquote(parts.password) if parts.password else os.environ.get("PGPASSWORD"),
        "host": parts.hostname or query.get("host") or "localhost",
        "port": port,
        "database": database,
    }
    if query.get("host", "").startswith("/"):
        address["unix_sock"] = f"{query['host']}/.s.PGSQL.{address['port']}"
    return address


def _json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    return json.dumps([dict(zip(columns, row, strict=True)) for row in rows], ensure_ascii=False)


def _state(error: BaseException | None) -> str:
    detail = error.args[0] if isinstance(error, DatabaseError) and error.args else {}
    return str(detail.get("C", "")) if isinstance(detail, dict) else ""


def _message(error: Exception) -> str:
    if isinstance(error.__cause__, OSError):  # the driver's own sentence is of its insides
        return f"cannot be reached ({error.__cause__.strerror or error.__cause__})"
    detail = error.args[0] if error.args else error
    return str(detail.get("M", detail)) if isinstance(detail, dict) else str(detail)
