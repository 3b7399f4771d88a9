"""Stores, and a site that is asked without a socket."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

for _needed in ("alembic", "argon2", "pg8000", "uvicorn"):
    pytest.importorskip(_needed, reason="pip install 'rather[annotate]'")

from rather.annotation.store import Store, open_store  # noqa: E402 (behind the check)
from tests.annotation.browsing import chromium  # noqa: E402
from tests.annotation.cluster import Cluster, programs  # noqa: E402

_names = itertools.count(1)


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """argon2 with the least of its cost: it is slow on purpose, and half of the tests sign somebody in."""
    import argon2

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2, "PasswordHasher", partial(argon2.PasswordHasher, time_cost=1, memory_cost=64))
        yield


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server; skips where it is not installed."""
    bin = programs()
    if bin is None:
        pytest.skip("PostgreSQL is not installed (apt-get install postgresql)")
    if sys.platform == "darwin":
        pytest.skip("the tests start PostgreSQL on Linux alone")
    running = Cluster(bin)
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest) -> str | None:
    """What --db is given: nothing for SQLite, the address of an empty database for PostgreSQL."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("cluster").create(f"store_{next(_names)}")


@pytest.fixture
def store(db: str | None, tmp_path: Path) -> Iterator[Store]:
    """An empty store, of both kinds."""
    opened = open_store(tmp_path / "project", db)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Store]:
    """An empty SQLite store, where the kind does not matter."""
    opened = open_store(tmp_path / "project")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium, headless; skips where it is missing.

    For a module: while it runs, so does playwright's event loop in this thread, and no test can have one of its own.
    """
    yield from chromium()
