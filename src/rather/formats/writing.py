"""Rows → files, whole or not at all: JSONL, a JSON array, CSV, TSV, each plain, .gz or .zst; and Parquet."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

from rather.errors import InputError, RowError
from rather.formats import native, ranked, unpaired
from rather.formats.csv_rows import DELIMITERS
from rather.formats.opening import plain_name
from rather.formats.refusals import Refusal
from rather.formats.values import Row, kind_of
from rather.records import Kind, Pair, RankedList, Single
from rather.rundir import atomic_file

WRITERS: dict[Kind, Any] = {"pair": native, "list": ranked, "sample": unpaired}
"""kind of record → module with `write(record) -> row` of the native form."""

Write = Callable[[Row], None]

_BATCH = 1024


def write_pairs(path: str | Path, pairs: Iterable[Pair] | Iterable[RankedList] | Iterable[Single]) -> None:
    """Write `pairs` (or ranked lists, or single answers) to `path` in the native form; its ending tells the container. Atomic.

    Raises InputError for a name of no known ending, where Parquet is to hold both text prompts and conversations, and where a
    table is to hold what is not text.
    """
    with open_rows(Path(path)) as write:
        for pair in pairs:
            try:
                write(WRITERS[pair.kind].write(pair))
            except RowError as error:
                raise InputError(f"{path}: {error.reason}") from error


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """One JSON object a line, whole or not at all."""
    with atomic_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_refused(path: Path, refused: Iterable[Refusal]) -> None:
    """The list of refused rows, also when it is empty: a missing file would say nothing."""
    write_jsonl(path, ({"place": refusal.place, "reason": refusal.reason} for refusal in refused))


@contextmanager
def open_rows(path: Path) -> Iterator[Write]:
    """A function that writes a row; the file takes its name only once all of them are written.

    Raises InputError for a name whose ending is none of .jsonl, .json, .csv, .tsv (also .gz, .zst) and .parquet, and for a folder
    that is not there or takes no file. The function raises RowError for a row that a table cannot hold.
    """
    kinds = {".jsonl": _json_lines, ".json": _json_array, ".csv": _table, ".tsv": _table, ".parquet": _parquet}
    opened = kinds.get(Path(plain_name(path)).suffix)
    if opened is None or (opened is _parquet and path.suffix != ".parquet"):
        raise InputError(
            f"{path}: is written by its name's ending; name a .jsonl, .json, .csv or .tsv file (also .gz, .zst), or .parquet"
        )
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: nothing may be written into {path.parent}; choose another folder")
    with atomic_file(path) as file, opened(path, file.buffer) as write:  # pyright: ignore[reportAttributeAccessIssue]
        yield write


@contextmanager
def _packed(path: Path, file: IO[bytes]) -> Iterator[Callable[[bytes], Any]]:
    if path.suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:  # same rows, same bytes
            yield packed.write
    elif path.suffix == ".zst":
        import pyarrow as pa  # here, because `rather --help` must not wait for it

        # A descriptor of its own: pyarrow closes what it writes to, and the file must still be brought to disk.
        with open(os.dup(file.fileno()), "wb") as own, pa.CompressedOutputStream(own, "zstd") as packed:  # noqa: PTH123
            yield packed.write
    else:
        yield file.write


@contextmanager
def _json_lines(path: Path, file: IO[bytes]) -> Iterator[Write]:
    with _packed(path, file) as put:
        yield lambda row: put(_line(row) + b"\n")


@contextmanager
def _json_array(path: Path, file: IO[bytes]) -> Iterator[Write]:
    with _packed(path, file) as put:
        before = itertools.chain([b"[\n"], itertools.repeat(b",\n"))
        yield lambda row: put(next(before) + _line(row))
        put(b"\n]\n" if next(before) == b",\n" else b"[]\n")


@contextmanager
def _table(path: Path, file: IO[bytes]) -> Iterator[Write]:
    """The header names the columns of every row, so the rows wait in a file without a name."""
    with tempfile.TemporaryFile(dir=path.parent) as waiting:
        columns: dict[str, None] = {}

        def write(row: Row) -> None:
            waiting.write(_line({name: _cell(name, value) for name, value in row.items()}) + b"\n")
            columns.update(dict.fromkeys(row))

        yield write
        waiting.seek(0)
        with _packed(path, file) as put:
            out = SimpleNamespace(write=lambda text: put(text.encode()))
            delimiter = DELIMITERS[Path(plain_name(path)).suffix]
            table = csv.DictWriter(out, list(columns), delimiter=delimiter)  # pyright: ignore[reportArgumentType]
            table.writeheader()
            table.writerows(map(json.loads, waiting))


def _cell(name: str, value: Any) -> str | None:
    """A value as text. Raises RowError for what would come back as another one, or as none."""
    if value is None or value == {}:  # no tags
        return None
    if isinstance(value, str) and value:
        return value
    if isinstance(value, str | list | dict):
        said = "is empty" if isinstance(value, str) else f"is {kind_of(value)}"
        raise RowError(f'"{name}" {said}, which no cell of a table can hold; name a .jsonl file')
    return json.dumps(value)


@contextmanager
def _parquet(path: Path, file: IO[bytes]) -> Iterator[Write]:
    """Every column must be known before the first row is written, so the rows wait in a file without a name."""
    with tempfile.TemporaryFile(dir=path.parent) as waiting:
        columns: dict[str, Any] = {}
        tags: dict[str, None] = {}

        def write(row: Row) -> None:
            _same_prompt(path, columns, row)
            for name, value in row.items():
                if columns.get(name) is None:
                    columns[name] = value
            tags.update(dict.fromkeys(row.get("tags") or ()))
            waiting.write(_line(row) + b"\n")

        yield write
        import pyarrow as pa
        import pyarrow.parquet as pq

        waiting.seek(0)
        schema = pa.schema([(name, _type(name, value, tags)) for name, value in columns.items()])
        with pq.ParquetWriter(file, schema) as writer:
            for batch in _batches(waiting):
                if not tags:
                    batch = [{**row, "tags": None} if "tags" in row else row for row in batch]
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))


def _same_prompt(path: Path, columns: Row, row: Row) -> None:
    if "tools" in row:
        raise InputError(f"{path}: Parquet has one form for the arguments of all calls; name a .jsonl file")
    before = columns.get("prompt")
    if before is not None and type(before) is not type(row.get("prompt")):
        raise InputError(f"{path}: Parquet cannot hold text prompts beside conversations; name a .jsonl file")


_FLOATS = frozenset({
    "margin", "probability", "weight", "score", "confidence", "at", "seconds", "value", "time", "tstamp", "low", "high",
    "preference",
})  # fmt: skip


def _type(name: str, value: Any, tags: Iterable[str]) -> Any:
    """Arrow's type of a column; of some the first value does not tell it: it may lack, or be a whole number by accident."""
    import pyarrow as pa

    if name in _FLOATS:
        return pa.float64()
    if name == "answers" and isinstance(value[0], dict):  # Nectar's; some of them may be without a model
        fields = [("answer", pa.string()), ("model", pa.string()), ("rank", pa.int64())]
        return pa.list_(pa.struct(fields))
    lists = {"ranks": pa.int64(), "models": pa.string(), "scale": pa.float64()}
    if name in lists:
        return pa.list_(lists[name])
    if name == "tags":  # a tag that a row lacks is a null; a struct must have a field
        return pa.struct([(tag, pa.string()) for tag in tags]) if tags else pa.null()
    return pa.array([value]).type


def _batches(file: IO[bytes]) -> Iterator[list[Row]]:
    while batch := [json.loads(line) for line in itertools.islice(file, _BATCH)]:
        yield batch


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False).encode()
