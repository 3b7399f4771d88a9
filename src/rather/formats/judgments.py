"""Files of judgments → records, one at a time: a file may be far larger than memory. To add a form, write its file and a line."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

from rather.errors import InputError, RowError
from rather.formats import judged
from rather.formats.refusals import Refusal
from rather.formats.rows import Row, read_rows
from rather.records import Judgment

JUDGMENT_READERS: dict[str, ModuleType] = {"native": judged}
"""name → module with `FIELDS`, those `REQUIRED`, `matches(row) -> bool` and `parse(row) -> list[Judgment]`.

The first that matches a file's first row reads it.
"""


Quick = Callable[[Row], bool]
"""Takes an ordinary row by itself, without a record of it, and says whether it did."""


def iter_judgments(
    path: str | Path, *, format: str | None = None, quick: Mapping[str, Quick] | None = None
) -> Iterator[Judgment | Refusal]:
    """The judgments of a file in its order, and a Refusal in the place of each row that cannot be used.

    quick: name of a reader → what is asked first for each of its rows; a row that it takes is not given again.
    Raises InputError where the file as a whole cannot be read, or its first row is of no known form.
    """
    path = Path(path)
    reader = JUDGMENT_READERS[format] if format else None
    take = (quick or {}).get(format or "")
    rows = 0
    for number, row in read_rows(path):
        rows += 1
        place = f"{path}:{number}"
        if isinstance(row, RowError):
            yield Refusal(place, row.reason)
            continue
        if reader is None:
            name = _sniff(row, place)
            reader, take = JUDGMENT_READERS[name], (quick or {}).get(name)
        if take is not None and take(row):
            continue
        try:
            found = _parse(reader, row)
        except RowError as error:
            yield Refusal(place, error.reason)
            continue
        for judgment in found:
            yield judgment.model_copy(update={"source": place})
    if rows == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")


def judgment_rows(judgments: Iterable[Judgment] | Sequence[Judgment]) -> Iterator[Row]:
    """Native rows, for `write_jsonl`."""
    return (judged.write(judgment) for judgment in judgments)


def _sniff(row: Row, place: str) -> str:
    for name, module in JUDGMENT_READERS.items():
        if module.matches(row):
            return name
    keys = ", ".join(itertools.islice(sorted(row), 8)) or "no fields"
    raise InputError(
        f'{place}: is no judgment of a known form (it has {keys}); a judgment needs "prompt", "answers", "judge" and one of '
        f"{', '.join(judged.TELLING)}"
    )


def _parse(reader: ModuleType, row: Row) -> list[Judgment]:
    for name in reader.REQUIRED:
        if row.get(name) is None:
            raise RowError(f'has no "{name}"')
    return reader.parse(row)
