"""Files of pairs, ranked lists or single answers → records. A row's form is sniffed by trying `READERS` in order; to add one,
write its file and a line.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from rather.errors import ConfigError, InputError
from rather.formats import alpaca, hh, native, nectar, openai, preference, ranked, sharegpt, shp, unpaired
from rather.formats.refusals import Refusal
from rather.formats.streams import Stream
from rather.formats.values import Row, short
from rather.progress import say
from rather.records import NOUNS, Example, Message, Pair

READERS: dict[str, ModuleType] = {
    "native": native, "hh": hh, "sharegpt": sharegpt, "openai": openai, "shp": shp, "alpaca": alpaca, "nectar": nectar,
    "trl": preference, "ranked": ranked, "unpaired": unpaired,
}  # fmt: skip
"""name → module with `FIELDS`, those `REQUIRED`, `matches(row) -> bool` and `parse(row) -> Pair`, RankedList or Single.

The first that matches a file's first row reads it; columns beyond its FIELDS are counted as unread.
"""

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


def iter_examples(source: str | Path, *, format: str | None = None) -> Stream[Example]:
    """The pairs, ranked lists or single answers of a source in its order, and a Refusal in the place of each unusable row.

    A source is a file, a glob ("parts/*.jsonl.gz"), a step's folder with a pairs.jsonl, or a data set (`hf:org/name:split`).
    Raises InputError where it cannot be read as a whole, or its first row is of no known form.
    """
    return Stream(source, READERS, no_example, format=format, inside=("pairs.jsonl",))


def read_pairs(path: str | Path, *, limit: int | None = None, format: str | None = None) -> Reading:
    """Read a source of pairs, ranked lists or single answers, whichever its first row is; stop after `limit` usable ones.

    Refused rows are listed, never raised: `require_clean` does that.
    Raises InputError where the file as a whole cannot be read, or its first row is of no known form.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
    stream = iter_examples(path, format=format)
    reading = Reading(Path(path), "")
    for record in stream:
        if isinstance(record, Refusal):
            reading.refused.append(record)
            continue
        reading.records.append(record)
        if limit is not None and len(reading.records) >= limit:
            break
    reading.format, reading.rows, reading.unread_columns = stream.format, stream.rows, stream.unread_columns
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
        records = [as_chat_turns(record) for record in records]
    return records, refused, rows


def data_hash(records: Sequence[Example]) -> str:
    """SHA-256 over the ids of the records in order: what they are, wherever they were stored."""
    digest = hashlib.sha256()
    for number, record in enumerate(records):
        digest.update(f"{chr(10) * bool(number)}{record.id}".encode())
    return digest.hexdigest()


def name_of(source: Source) -> str:
    """How a message calls a source."""
    return str(source) if isinstance(source, str | Path) else "pairs"


def no_example(row: Row, place: str) -> InputError:
    """What to raise for a first row of no known form."""
    keys = ", ".join(short(key) for key in itertools.islice(sorted(row), 8)) or "no fields"
    if "conversations" in row:
        return InputError(
            f"{place}: is in ShareGPT form with one answer (it has {keys}); a pair needs two: move the last turn of "
            '"conversations" to "chosen", and add a "rejected"'
        )
    missing = [name for name in ("chosen", "rejected") if name not in row]
    return InputError(
        f'{place}: has no "{missing[0]}" (it has {keys}); a pair needs "prompt", "chosen" and "rejected", a ranked list "prompt" '
        'and "ranked", a single answer "prompt", "completion" and "label"'
    )


def as_chat_turns(record: Example) -> Example:
    """The record with a plain-text prompt as a user turn."""
    if not isinstance(record.prompt, str):
        return record
    return record.model_copy(update={"prompt": (Message(role="user", content=record.prompt),)})
