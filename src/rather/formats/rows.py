"""Containers: JSONL, JSON arrays and Parquet, plain or gzipped, as rows with their line numbers."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rather.errors import InputError, RowError

Row = dict[str, Any]

# One row of text beyond this is no conversation; refusing it early keeps a damaged file from filling memory.
MAX_LINE_BYTES = 64 * 1024 * 1024


def read_rows(path: Path) -> Iterator[tuple[int, Row | RowError]]:
    """Rows with their 1-based line (Parquet: row) number. A row that is no JSON object comes as a RowError.

    Raises InputError for what no row can be read from: missing, a folder, empty, not UTF-8, not the format it says.
    """
    _check(path)
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    try:
        with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as file:
            head = _first_bytes(path, file)
            rows = _json_array(path, file) if head == b"[" else _json_lines(path, file)
            yield from rows
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: damaged gzip file ({error}); fetch or write it again") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a .jsonl, .json or .parquet file (also .gz) inside it")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")


def _first_bytes(path: Path, file: BufferedReader | gzip.GzipFile) -> bytes:
    """The first byte that is no white space; the file is left at its start, behind a byte-order mark."""
    head = file.peek(4096)  # a pipe cannot seek back
    if head.startswith(b"\x1f\x8b"):
        raise InputError(f"{path}: is gzip; its name must end in .gz")
    if head.startswith(b"PAR1"):
        raise InputError(f"{path}: is Parquet; its name must end in .parquet")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise InputError(f"{path}: is UTF-16; save it as UTF-8")
    bom = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    file.read(bom)
    return head[bom:].lstrip()[:1]


def _json_lines(path: Path, file: BufferedReader | gzip.GzipFile) -> Iterator[tuple[int, Row | RowError]]:
    number = 0
    while True:
        line = file.readline(MAX_LINE_BYTES + 1)
        if not line:
            break
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise InputError(f"{path}:{number}: the line is longer than {MAX_LINE_BYTES >> 20} MiB; is this JSONL?")
        if line.strip():
            yield number, _object(path, number, line)


def _object(path: Path, number: int, line: bytes) -> Row | RowError:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}:{number}: is not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error
    try:
        value = json.loads(text, object_pairs_hook=_no_duplicates)
    except RowError as error:
        return error
    except RecursionError:
        return RowError("is nested too deeply to be a pair")
    except ValueError as error:
        # The decoder counts lines within the row, which a reader would take for lines of the file.
        said = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else _reason(error)
        return RowError(f"is not JSON ({said})")
    return value if isinstance(value, dict) else RowError(f"is {kind_of(value)}, not an object")


def _json_array(path: Path, file: BufferedReader | gzip.GzipFile) -> Iterator[tuple[int, Row | RowError]]:
    """A JSON array of objects; its rows are numbered from 1, since they have no lines of their own."""
    try:
        values = json.loads(file.read().decode("utf-8"), object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error
    except RowError as error:
        raise InputError(f"{path}: {error.reason}") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}: is not JSON ({error.msg}); mend the line") from error
    except RecursionError as error:
        raise InputError(f"{path}: is nested too deeply to be pairs; mend the file") from error
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({_reason(error)})") from error
    for number, value in enumerate(values, start=1):
        yield number, value if isinstance(value, dict) else RowError(f"is {kind_of(value)}, not an object")


def _parquet(path: Path) -> Iterator[tuple[int, Row | RowError]]:
    if path.name.endswith(".gz"):
        raise InputError(f"{path}: unpack it first; Parquet is compressed inside")
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
        raise InputError(f"{path}: is not readable Parquet ({_reason(error)})") from error


def _no_duplicates(items: list[tuple[str, Any]]) -> Row:
    row = dict(items)
    if len(row) < len(items):
        seen: set[str] = set()
        twice = next(key for key, _ in items if key in seen or seen.add(key))
        raise RowError(f'has the key "{twice}" twice')
    return row


def kind_of(value: object) -> str:
    """A JSON value's kind in JSON's own words."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _reason(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:120]
