"""Containers as rows with their line numbers: JSONL, JSON arrays, CSV and TSV, each plain, .gz or .zst; and Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rather.errors import InputError, RowError
from rather.formats.csv_rows import DELIMITERS, csv_rows
from rather.formats.json_rows import json_array, json_lines
from rather.formats.opening import PACKED, first_byte, open_bytes, plain_name
from rather.formats.values import Row, kind_of

__all__ = ["KINDS", "Row", "kind_of", "read_rows"]

KINDS = "a .jsonl, .json, .csv, .tsv or .parquet file (all but the last also .gz or .zst)"


def read_rows(path: Path) -> Iterator[tuple[int, Row | RowError]]:
    """Rows with their 1-based line (Parquet, JSON array: row) number, never more of them in memory than a batch.

    A row that is no JSON object, or whose cells are not the header's, comes as a RowError.
    Raises InputError for what no row can be read from: missing, a folder, empty, not UTF-8, not the format it says.
    """
    _check(path)
    name = plain_name(path)
    if name.endswith(".parquet"):
        yield from _parquet(path)
        return
    with open_bytes(path) as file:
        head = first_byte(path, file)
        delimiter = DELIMITERS.get(Path(name).suffix)
        if delimiter is not None:
            yield from csv_rows(path, file, delimiter)
        else:
            yield from (json_array if head == b"[" else json_lines)(path, file)


def _check(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path}: no such file")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name {KINDS} inside it")
    if path.is_file() and path.stat().st_size == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")


def _parquet(path: Path) -> Iterator[tuple[int, Row | RowError]]:
    if path.suffix in PACKED:
        raise InputError(f"{path}: unpack it first; Parquet is compressed inside")
    import pyarrow as pa  # here, because `rather --help` must not wait for it
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: text that is not UTF-8
        said = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise InputError(f"{path}: is not readable Parquet ({said})") from error
