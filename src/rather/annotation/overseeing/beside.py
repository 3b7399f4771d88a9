"""Heavy work in a process of its own: figures of the board, imports, files to export. The server stays light and quick.

    python -m rather.annotation.overseeing.beside   a job as JSON on standard input, its result as JSON on standard output

What the process is told comes by standard input, since the address of a database may hold a password.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rather.annotation.store import Store, open_store
from rather.errors import RatherError, StoreError

_LONGEST_SECONDS = 600.0

# What is counted over many events takes long, and the server comes first.
_MANY_EVENTS, _NICE = 50_000, 10


def beside(store: Store, job: str, **values: Any) -> Any:
    """The result of one of `JOBS`, made by another process. Raises StoreError where it could not be made."""
    folder, db = store.address
    told = json.dumps({"job": job, "folder": str(folder), "db": db, "values": values})
    try:
        run = subprocess.run(
            [sys.executable, "-m", "rather.annotation.overseeing.beside"],
            input=told.encode(),
            capture_output=True,
            timeout=_LONGEST_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StoreError(f"{store.name}: {job} took more than {_LONGEST_SECONDS / 60:.0f} minutes") from error
    if run.returncode:
        raise StoreError(f"{store.name}: {job} failed: {run.stderr.decode(errors='replace')[-2000:]}")
    return json.loads(run.stdout)


def _survey(store: Store) -> Any:
    from rather.annotation.overseeing.survey import survey

    return survey(store)


def _disputes(store: Store, *, agreement: float) -> Any:
    from rather.annotation.overseeing.adjudication import LISTED, disputes

    found = disputes(store, agreement)
    return {"total": len(found), "first": [[one.item, one.votes, one.agreed] for one in found[:LISTED]]}


def _import(store: Store, *, name: str, file: str, **options: Any) -> Any:
    from rather.annotation.importing import import_items

    try:
        done = import_items(store, Path(file), named=name, **options)
    except RatherError as error:
        return {"error": str(error).replace(file, name)}
    reasons = [str(refusal.reason) for refusal in done.refused[:5]]
    return {"items": done.items, "known": done.known, "refused": len(done.refused), "reasons": reasons}


def _parquet(store: Store, *, file: str) -> Any:
    from rather.annotation.exporting import export_votes

    return {"votes": export_votes(store, Path(file)).votes}


JOBS: dict[str, Callable[..., Any]] = {
    "survey": _survey,
    "disputes": _disputes,
    "import": _import,
    "parquet": _parquet,
}


def main() -> None:
    """Do the job that standard input names."""
    told = json.load(sys.stdin)
    store = open_store(Path(told["folder"]), told["db"])
    try:
        if store.read("SELECT coalesce(max(id), 0) FROM events")[0][0] > _MANY_EVENTS:
            os.nice(_NICE)
        result = JOBS[told["job"]](store, **told["values"])
    finally:
        store.close()
    json.dump(result, sys.stdout)


def exported(store: Store) -> bytes:
    """Every vote as a Parquet file of judgments."""
    with tempfile.TemporaryDirectory(prefix="rather-") as scratch:
        file = Path(scratch) / "judgments.parquet"
        beside(store, "parquet", file=str(file))
        return file.read_bytes()


def imported(store: Store, name: str, content: bytes, **options: Any) -> dict[str, Any]:
    """What an uploaded file brought: items, known, refused and the first reasons; or an error in one sentence."""
    with tempfile.TemporaryDirectory(prefix="rather-") as scratch:
        file = Path(scratch) / f"upload{''.join(Path(name).suffixes[-2:])}"
        file.write_bytes(content)
        return beside(store, "import", name=name, file=str(file), **options)


if __name__ == "__main__":
    main()
