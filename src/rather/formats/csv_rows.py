"""CSV (commas) and TSV (tabs) with a header as rows of text; an empty cell is no value."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from rather.errors import InputError, RowError
from rather.formats.json_rows import MAX_LINE_BYTES
from rather.formats.values import Row, short

DELIMITERS = {".csv": ",", ".tsv": "\t"}


def csv_rows(path: Path, file: io.BufferedReader, delimiter: str) -> Iterator[tuple[int, Row | RowError]]:
    """Each record with the number of the line on which it begins.

    Raises InputError for a header that names no columns, and for a quote that is never closed: it would swallow the rest.
    """
    csv.field_size_limit(MAX_LINE_BYTES)  # the module's own, 128 KiB, is shorter than some answers
    records = _records(path, csv.reader(_lines(path, file), delimiter=delimiter, strict=True))
    line, header = next(records, (0, []))
    if isinstance(header, RowError):
        raise InputError(f"{path}:{line}: {header.reason}; mend the header")
    if line:
        _check(path, header, delimiter)
    for line, cells in records:
        if isinstance(cells, RowError):
            yield line, cells
        elif len(cells) != len(header):
            yield line, RowError(f"has {len(cells)} cells, but the header names {len(header)} columns")
        else:
            yield line, {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _lines(path: Path, file: io.BufferedReader) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE_BYTES), b""), start=1):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path}:{number}: is not UTF-8; save the file as UTF-8") from error


def _records(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | RowError]]:
    """Records that are not blank, and a RowError in the place of each that is quoted wrongly."""
    while True:
        line = reader.line_num + 1  # pyright: ignore[reportAttributeAccessIssue]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "unexpected end" in str(error) or "field larger" in str(error):
                raise InputError(
                    f'{path}:{line}: a quote (") that opens here is never closed; mend the line'
                ) from error
            last = reader.line_num  # pyright: ignore[reportAttributeAccessIssue]
            lines = f"; it takes up lines {line} to {last}" if last > line else ""
            yield line, RowError(f"is not CSV ({error}{lines})")
            continue
        if cells:
            yield line, cells


def _check(path: Path, header: list[str], delimiter: str) -> None:
    """Raise InputError for a header that cannot name columns."""
    other = next((sign for sign in ";\t,|" if sign != delimiter and sign in header[0]), None)
    if len(header) == 1 and other:
        cure = "name it .tsv" if other == "\t" else "save it with commas"
        raise InputError(f"{path}: its columns are parted by {other!r}; {cure}")
    empty = next((place for place, name in enumerate(header, start=1) if not name.strip()), None)
    if empty:
        raise InputError(f"{path}: column {empty} has no name; the first line of a CSV file names its columns")
    twice = next((name for place, name in enumerate(header) if name in header[:place]), None)
    if twice is not None:
        raise InputError(f'{path}: two columns are called "{short(twice)}"; rename one')
