"""A store, SQLite and PostgreSQL alike: what is written is there, whole or not at all, and one process appends."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest

from rather.annotation.store import Store, open_store
from rather.annotation.store.schema import HEAD, version
from rather.errors import ConfigError, StoreError

ROW = (1, 1.5, "voted", 7, 3, "[1, 0]", "key-0001", '{"verdict": "a"}')


def events(store: Store) -> list[tuple[object, ...]]:
    rows = store.read("SELECT id, at, kind, item, account, shown, key, body FROM events ORDER BY id")
    return [tuple(row) for row in rows]


def test_an_empty_store_is_at_the_newest_schema(store: Store) -> None:
    assert version(store) == HEAD
    assert not store.has("no_such_table")
    assert store.has("events")


def test_what_is_appended_is_there_and_a_second_opening_changes_nothing(
    store: Store, db: str | None, tmp_path: Path
) -> None:
    store.append([ROW, (2, 1.5, "viewed", 8, 3, "[0, 1]", None, None)])
    again = open_store(tmp_path / "project", db)
    assert events(again) == [ROW, (2, 1.5, "viewed", 8, 3, "[0, 1]", None, None)]
    again.close()


def test_a_person_has_one_vote_on_an_item_and_a_refused_append_leaves_nothing(store: Store) -> None:
    store.append([ROW])
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.append([(2, 2.0, "viewed", 9, 3, None, None, None), (3, 2.0, *ROW[2:])])
    assert events(store) == [ROW]
    store.append([(4, 3.0, "revised", *ROW[3:])])
    assert [row[2] for row in events(store)] == ["voted", "revised"]


def test_values_come_back_as_they_were(store: Store) -> None:
    text = "“中文” עברית \U0001f600 \\ \" ' \n\t :name ::x %s ?"
    store.write(("INSERT INTO settings (name, value) VALUES (:name, :value)", {"name": "a", "value": text}))
    store.insert("settings", ("name", "value"), [("b", text), ("a", "another")])
    assert [tuple(row) for row in store.read("SELECT name, value FROM settings ORDER BY name")] == [
        ("a", text),
        ("b", text),
    ]
    assert list(store.stream("SELECT value FROM settings WHERE name = :name", name="b")) == [(text,)]


def test_statements_that_are_written_together_are_undone_together(store: Store) -> None:
    insert = "INSERT INTO settings (name, value) VALUES (:name, 'x')"
    with pytest.raises(Exception, match=r"(?i)unique"):
        store.write((insert, {"name": "a"}), (insert, {"name": "a"}))
    assert store.read("SELECT name FROM settings") == []


def test_many_rows_stream(store: Store) -> None:
    store.insert("settings", ("name", "value"), ((f"{n:05}", "v") for n in range(12_000)))
    names = [name for (name,) in store.stream("SELECT name FROM settings ORDER BY name")]
    assert names == [f"{n:05}" for n in range(12_000)]


def _locks(folder: Path, db: str | None, answers: multiprocessing.Queue[str]) -> None:
    other = open_store(folder, db)
    try:
        other.lock()
        answers.put("locked")
    except StoreError as error:
        answers.put(str(error))
    finally:
        other.close()


def test_a_second_process_is_told_in_one_line(store: Store, db: str | None, tmp_path: Path) -> None:
    store.lock()
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[str] = context.Queue()
    for expected in (f"{store.name} is served by another process; stop it first", "locked"):
        other = context.Process(target=_locks, args=(tmp_path / "project", db, answers))
        other.start()
        assert answers.get(timeout=60) == expected
        other.join()
        store.close()


def test_a_backup_is_a_store(store: Store, tmp_path: Path) -> None:
    store.append([ROW])
    store.write(("INSERT INTO settings (name, value) VALUES ('a', 'b')", {}))
    copy = tmp_path / "copy" / "annotate.db"
    copy.parent.mkdir()
    store.backup(copy)
    assert sorted(file.name for file in copy.parent.iterdir()) == ["annotate.db"]
    served = open_store(copy.parent)
    assert events(served) == [ROW]
    assert [tuple(row) for row in served.read("SELECT name, value FROM settings")] == [("a", "b")]
    served.close()


def test_a_store_of_a_newer_rather_is_refused(sqlite: Store, tmp_path: Path) -> None:
    sqlite.write(("UPDATE alembic_version SET version_num = '9999'", {}))
    with pytest.raises(StoreError, match="schema 9999, which a newer rather made; this one knows up to"):
        open_store(tmp_path / "project")


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / "annotate.db").write_bytes(b"this is no database, but it is long enough to be looked at" * 20)
    with pytest.raises(StoreError, match=r"annotate\.db: file is not a database; it is damaged"):
        open_store(tmp_path)


def test_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--db: must begin with postgresql://"):
        open_store(tmp_path, "mysql://localhost/x")


def test_a_database_that_is_not_there_is_one_line(cluster: object, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        open_store(tmp_path, cluster.url("nowhere"))


@pytest.mark.parametrize("port", ["x", "99999"])
def test_a_port_that_is_none_is_one_line(tmp_path: Path, port: str) -> None:
    with pytest.raises(ConfigError, match="--db: the port is no number up to 65535"):
        open_store(tmp_path, f"postgresql://u:secret@127.0.0.1:{port}/x")


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError) as told:
        open_store(tmp_path, "postgresql://u:secret@127.0.0.1:1/x")
    said = "cannot be reached (Connection refused); see that it runs and that --db is right"
    assert str(told.value) == f"postgresql://127.0.0.1/x: {said}"


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").touch()
    with pytest.raises(StoreError, match=r"pairs\.jsonl: is a file; a project is a folder"):
        open_store(tmp_path / "pairs.jsonl")


def test_every_transaction_reaches_the_disk_before_it_is_acknowledged(sqlite: Store, tmp_path: Path) -> None:
    sqlite.append([ROW])
    file = sqlite3.connect(tmp_path / "project" / "annotate.db")
    assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    file.close()
    writer = sqlite._writer
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
