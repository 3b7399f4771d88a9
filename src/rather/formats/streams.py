"""A source as a stream of records: its form told by its first row, a Refusal in the place of each row that cannot be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Generic, TypeVar

from rather.config import did_you_mean
from rather.errors import ConfigError, InputError, RowError
from rather.formats.refusals import Refusal
from rather.formats.sources import source_rows
from rather.formats.values import Row
from rather.records import Example, Judgment

RecordT = TypeVar("RecordT", bound=Example | Judgment)

Quick = Callable[[Row], bool]
"""Takes an ordinary row by itself, without a record of it, and says whether it did."""


class Stream(Generic[RecordT]):
    """The records of a source in its order, each with its place as `source`; never more than one row in memory.

    readers  form → module with `FIELDS`, those `REQUIRED`, `matches(row)` and `parse(row)`, in the order in which they are
             tried on the first row; `parse` gives a record, or a list of records and RowErrors. `signed(record, place)`, where
             there is one, gives the fields that only the file's name tells
    unknown  (row, place) → the error for a first row that none of them matches
    format   the form, if it is not to be told by the first row
    inside   which file of a step's folder is meant
    quick    form → what is asked first for each of its rows; a row that it takes is not given again

    `format`, `rows` and `unread_columns` (those that no reader reads) say more the further the stream has been read.
    """

    def __init__(
        self,
        source: str | Path,
        readers: Mapping[str, ModuleType],
        unknown: Callable[[Row, str], InputError],
        *,
        format: str | None = None,
        inside: tuple[str, ...] = (),
        quick: Mapping[str, Quick] | None = None,
    ) -> None:
        if format is not None and format not in readers:
            raise ConfigError(f'no form is called "{format}"{did_you_mean(format, list(readers))}')
        self.source, self.format = source, format or ""
        self.rows = 0
        self.unread_columns: Counter[str] = Counter()
        self._readers, self._unknown, self._inside, self._quick = readers, unknown, inside, quick or {}

    def __iter__(self) -> Iterator[RecordT | Refusal]:
        reader, take = self._readers.get(self.format), self._quick.get(self.format)
        for place, row in source_rows(self.source, inside=self._inside):
            self.rows += 1
            if isinstance(row, RowError):
                yield Refusal(place, row.reason)
                continue
            if reader is None:
                self.format = self._sniff(row, place)
                reader, take = self._readers[self.format], self._quick.get(self.format)
            if take is not None and take(row):
                self.unread_columns.update(row.keys() - reader.FIELDS)
                continue
            try:
                found = _parse(reader, row)
            except RowError as error:
                yield Refusal(place, error.reason)
                continue
            self.unread_columns.update(row.keys() - reader.FIELDS)
            signed = getattr(reader, "signed", None)
            for record in found if isinstance(found, list) else (found,):
                if isinstance(record, RowError):
                    yield Refusal(place, record.reason)
                else:
                    yield record.model_copy(update={"source": place, **(signed(record, place) if signed else {})})
        if self.rows == 0:
            raise InputError(f"{self.source}: is empty; it must hold at least one row")

    def _sniff(self, row: Row, place: str) -> str:
        for name, module in self._readers.items():
            if module.matches(row):
                return name
        raise self._unknown(row, place)


def _parse(reader: ModuleType, row: Row) -> RecordT | list[RecordT | RowError]:
    for name in reader.REQUIRED:
        if name not in row:
            raise RowError(f'has no "{name}"')
    return reader.parse(row)
