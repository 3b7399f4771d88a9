"""File formats ⇄ records. A row's form is sniffed by trying `READERS` in order; to add one, write its file and a line.

read_pairs(path) -> Reading: the pairs (or ranked lists, or single answers), what was refused and why, and the columns that
nothing read
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pyarrow.parquet as pq

from rather.errors import ConfigError, InputError, RowError
from rather.formats import hh, native, preference, ranked, sharegpt, unpaired
from rather.formats.judgments import JUDGMENT_READERS, iter_judgments, judgment_rows
from rather.formats.refusals import Refusal, require_clean, say_refused
from rather.formats.rows import Row, read_rows
from rather.formats.votes import read_votes
from rather.progress import say
from rather.records import NOUNS, Example, Kind, Message, Pair, RankedList, Single
from rather.rundir import atomic_file

__all__ = [
    "JUDGMENT_READERS", "READERS", "WRITERS", "Reading", "Refusal", "Source", "iter_judgments", "judgment_rows",
    "load_examples", "load_pairs", "name_of", "only_pairs", "read_pairs", "read_votes", "require_clean", "say_refused",
    "write_jsonl", "write_pairs", "write_refused",
]  # fmt: skip

READERS: dict[str, ModuleType] = {
    "native": native, "hh": hh, "sharegpt": sharegpt, "trl": preference, "ranked": ranked, "unpaired": unpaired,
}  # fmt: skip
"""name → module with `FIELDS`, those `REQUIRED`, `matches(row) -> bool` and `parse(row) -> Pair`, RankedList or Single.

The first that matches a file's first row reads it; columns beyond its FIELDS are counted as unread.
"""

WRITERS: dict[Kind, ModuleType] = {"pair": native, "list": ranked, "sample": unpaired}
"""kind of record → module with `write(record) -> row`."""

Source = str | Path | Sequence[Example]
"""Pairs (or ranked lists, or single answers), or the file that holds them."""


@dataclass
class Reading:
    """What a file held."""

    path: Path
    format: str
    records: list[Example] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    rows: int = 0
    unread_columns: Counter[str] = field(default_factory=Counter)

    @property
    def pairs(self) -> list[Pair]:
        """The records of a file of pairs. Raises InputError for another."""
        return only_pairs(self.records, self.path)


def read_pairs(path: str | Path, *, limit: int | None = None, format: str | None = None) -> Reading:
    """Read a file of pairs, ranked lists or single answers, whichever its first row is; stop after `limit` usable ones.

    Refused rows are listed, never raised: `require_clean` does that.
    Raises InputError where the file as a whole cannot be read, or its first row is of no known form.
    """
    path = Path(path)
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
    reading = Reading(path, format or "")
    reader = READERS[format] if format else None
    for number, row in read_rows(path):
        reading.rows += 1
        place = f"{path}:{number}"
        if isinstance(row, RowError):
            reading.refused.append(Refusal(place, row.reason))
            continue
        if reader is None:
            reading.format = _sniff(row, place)
            reader = READERS[reading.format]
        try:
            record = _parse(reader, row)
        except RowError as error:
            reading.refused.append(Refusal(place, error.reason))
            continue
        reading.unread_columns.update(set(row) - reader.FIELDS)
        reading.records.append(record.model_copy(update={"source": place}))
        if limit is not None and len(reading.records) >= limit:
            break
    if reading.rows == 0:
        raise InputError(f"{path}: is empty; it must hold at least one row")
    return reading


def load_pairs(
    source: Source, *, limit: int | None = None, as_chat: bool = False
) -> tuple[list[Pair], list[Refusal], int]:
    """`load_examples` of what must be pairs. Raises InputError for a file of others."""
    records, refused, rows = load_examples(source, limit=limit, as_chat=as_chat)
    return only_pairs(records, name_of(source)), refused, rows


def only_pairs(records: Sequence[Example], where: str | Path) -> list[Pair]:
    """The same, known to be pairs. Raises InputError where one is not."""
    pairs = [record for record in records if isinstance(record, Pair)]
    if len(pairs) < len(records):
        other = next(record for record in records if not isinstance(record, Pair))
        raise InputError(f'{where}: holds {NOUNS[other.kind]}; here pairs are needed, with "chosen" and "rejected"')
    return pairs


def load_examples(
    source: Source, *, limit: int | None = None, as_chat: bool = False
) -> tuple[list[Example], list[Refusal], int]:
    """Records of one kind, refusals and the number of rows read, from a file or from records. Says which columns nothing read.

    as_chat: plain-text prompts become user turns. Raises ConfigError if every one is a conversation already, InputError for
    records of several kinds.
    """
    if isinstance(source, str | Path):
        source = Path(source)
        reading = read_pairs(source, limit=limit)
        records, refused, rows = reading.records, reading.refused, reading.rows
        if reading.unread_columns:
            say(f"note: {source}: columns not used: {', '.join(sorted(reading.unread_columns))}")
    else:
        records, refused, rows = list(source)[:limit], [], len(source)
        kinds = sorted({NOUNS[record.kind] for record in records})
        if len(kinds) > 1:
            raise InputError(
                f"{name_of(source)}: {' and '.join(kinds)} stand beside each other; give one kind at a time"
            )
    if as_chat:
        if records and all(record.is_chat for record in records):
            raise ConfigError("--as-chat does nothing: every pair is a conversation already")
        records = [_as_chat(record) for record in records]
    return records, refused, rows


def name_of(source: Source) -> str:
    """How a message calls a source."""
    return str(source) if isinstance(source, str | Path) else "pairs"


def write_pairs(path: str | Path, pairs: Iterable[Pair] | Iterable[RankedList] | Iterable[Single]) -> None:
    """Write pairs (or ranked lists, or single answers) as native JSONL or, for a name in .parquet, Parquet. Atomic.

    Raises InputError for a name in .gz, and where Parquet is to hold both text prompts and conversations.
    """
    path = Path(path)
    if path.suffix == ".gz":
        raise InputError(f"{path}: pairs are written plain; name a .jsonl or .parquet file")
    rows = [WRITERS[pair.kind].write(pair) for pair in pairs]
    if path.suffix == ".parquet":
        _write_parquet(path, rows)
    else:
        write_jsonl(path, rows)


def write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    """One JSON object a line, whole or not at all."""
    with atomic_file(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_refused(path: Path, refused: Iterable[Refusal]) -> None:
    """The list of refused rows, also when it is empty: a missing file would say nothing."""
    write_jsonl(path, ({"place": refusal.place, "reason": refusal.reason} for refusal in refused))


def _write_parquet(path: Path, rows: list[Row]) -> None:
    if len({type(row["prompt"]) for row in rows}) > 1:
        raise InputError(f"{path}: Parquet cannot hold text prompts beside conversations; name a .jsonl file")
    # A tag that a row lacks is a null; where no row has any, so is the column, for a struct must have a field.
    if not any(row["tags"] for row in rows):
        rows = [{**row, "tags": None} for row in rows]
    names = dict.fromkeys(name for row in rows for name in row)  # the first row's would be taken for all
    rows = [{name: row.get(name) for name in names} for row in rows]
    scratch = path.with_name(f".{path.name}-part")
    try:
        pq.write_table(pa.Table.from_pylist(rows), scratch)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _sniff(row: Row, place: str) -> str:
    for name, module in READERS.items():
        if module.matches(row):
            return name
    keys = ", ".join(itertools.islice(sorted(row), 8)) or "no fields"
    if "conversations" in row:
        raise InputError(
            f"{place}: is in ShareGPT form with one answer (it has {keys}); a pair needs two: move the last turn of "
            '"conversations" to "chosen", and add a "rejected"'
        )
    missing = [name for name in ("chosen", "rejected") if name not in row]
    raise InputError(
        f'{place}: has no "{missing[0]}" (it has {keys}); a pair needs "prompt", "chosen" and "rejected", a ranked list "prompt" '
        'and "ranked", a single answer "prompt", "completion" and "label"'
    )


def _parse(reader: ModuleType, row: Row) -> Example:
    for name in reader.REQUIRED:
        if name not in row:
            raise RowError(f'has no "{name}"')
    return reader.parse(row)


def _as_chat(record: Example) -> Example:
    if not isinstance(record.prompt, str):
        return record
    return record.model_copy(update={"prompt": (Message(role="user", content=record.prompt),)})
