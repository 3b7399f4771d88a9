"""Files of pairs, ranked lists or single answers → records. A row's form is sniffed by trying `READERS` in order; to add one,
write its file and a line.
"""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from rather.errors import ConfigError, InputError
from rather.formats import (
    alpaca,
    hh,
    kto,
    llmbar,
    native,
    nectar,
    openai,
    preference,
    ranked,
    rewardbench,
    sharegpt,
    shp,
    unpaired,
)
from rather.formats.refusals import Refusal
from rather.formats.streams import Stream
from rather.formats.values import Row, short
from rather.progress import say
from rather.records import NOUNS, Example, Judgment, Message, Pair

READERS: dict[str, ModuleType] = {
    "native": native, "hh": hh, "sharegpt": sharegpt, "openai": openai, "shp": shp, "alpaca": alpaca, "nectar": nectar,
    "llmbar": llmbar, "rewardbench": rewardbench, "trl": preference, "ranked": ranked, "unpaired": unpaired, "kto": kto,
}  # fmt: skip
"""name → module with `FIELDS`, those `REQUIRED`, `matches(row) -> bool` and `parse(row) -> Pair`, RankedList or Single.

The first that matches a file's first row reads it; columns beyond its FIELDS are counted as unread.
"""

KeptT = TypeVar("KeptT")
PromptedT = TypeVar("PromptedT", bound=Example | Judgment)

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

    source: a file, a glob ("parts/*.jsonl.gz"), a step's folder with a pairs.jsonl, or a data set (`hf:org/name:split`).
    format: name of its form, where it shall not be recognised by the first row.
    Raises InputError where it cannot be read as a whole, or its first row is of no known form.
    """
    return Stream(source, READERS, no_example, format=format, inside=("pairs.jsonl",))


def read_pairs(path: str | Path, *, limit: int | None = None, format: str | None = None) -> Reading:
    """Read a source of pairs, ranked lists or single answers, whichever its first row is; stop after `limit` usable ones.

    path: a source as for `iter_examples`.
    Refused rows are listed, never raised: `require_clean` does that.
    Raises InputError where the file as a whole cannot be read, or its first row is of no known form.
    """
    reading, records = _reading(Path(path), limit=limit, format=format)
    reading.records.extend(records)
    return reading


def _reading(path: Path, *, limit: int | None = None, format: str | None = None) -> tuple[Reading, Iterator[Example]]:
    """The usable records of a source, and what becomes known of it while they are read."""
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
    stream, reading = iter_examples(path, format=format), Reading(path, "")

    def usable() -> Iterator[Example]:
        left = limit
        for record in stream:
            reading.format, reading.rows = stream.format, stream.rows
            if isinstance(record, Refusal):
                reading.refused.append(record)
                continue
            yield record
            left = left and left - 1
            if left == 0:
                break
        reading.unread_columns = stream.unread_columns

    return reading, usable()


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
    return keep_examples(source, list, limit=limit, as_chat=as_chat)


def keep_examples(
    source: Source, keep: Callable[[Iterable[Example]], KeptT], *, limit: int | None = None, as_chat: bool = False
) -> tuple[KeptT, list[Refusal], int]:
    """`load_examples` with records in a form of the caller's: `keep` takes each as it is read."""
    if isinstance(source, str | Path):
        reading, records = _reading(Path(source), limit=limit)
    else:
        kinds = sorted({NOUNS[record.kind] for record in source})
        if len(kinds) > 1:
            raise InputError(
                f"{name_of(source)}: {' and '.join(kinds)} stand beside each other; give one kind at a time"
            )
        reading, records = Reading(Path(), "", rows=len(source)), iter(source[:limit])
    turned = _Turned(records) if as_chat else None
    kept = keep(turned or records)
    if turned is not None and turned.records and not turned.changed:
        raise ConfigError("--as-chat does nothing: every pair is a conversation already")
    if reading.unread_columns:
        say(f"note: {source}: columns not used: {', '.join(sorted(reading.unread_columns))}")
    return kept, reading.refused, reading.rows


class _Turned:
    """Records with plain-text prompts as user turns; counts them as they go by."""

    def __init__(self, records: Iterable[Example]) -> None:
        self._given = records
        self.records = self.changed = 0

    def __iter__(self) -> Iterator[Example]:
        for record in self._given:
            self.records += 1
            self.changed += not record.is_chat
            yield as_chat_turns(record)


def data_hash(records: Iterable[Example]) -> str:
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
    if "conversations" in row and "kto_tag" in row:
        return InputError(
            f'{place}: is a labelled conversation (it has {keys}); rename "kto_tag" to "label", which is true or false'
        )
    if "conversations" in row:
        return InputError(
            f"{place}: is in ShareGPT form with one answer (it has {keys}); a pair needs two: move the last turn of "
            '"conversations" to "chosen", and add a "rejected"; with a "label", true or false, it is read as a single answer'
        )
    if "messages" in row and not {"chosen", "rejected"} & set(row):
        return InputError(
            f'{place}: is one conversation that nobody has judged (it has {keys}); with a "label", true for a good last answer or '
            "false for a bad one, it is a single answer, and a pair needs two answers to one prompt"
        )
    if "prompt" in row and "response" in row:
        return InputError(
            f"{place}: is an answer that nobody has judged (it has {keys}); `rather judge` says which are better, and "
            "`rather pair` makes pairs of what it said"
        )
    missing = [name for name in ("chosen", "rejected") if name not in row]
    return InputError(
        f'{place}: has no "{missing[0]}" (it has {keys}); a pair needs "prompt", "chosen" and "rejected", a ranked list "prompt" '
        'and "ranked", a single answer "prompt", "completion" and "label"'
    )


def as_chat_turns(record: PromptedT) -> PromptedT:
    """The record with a plain-text prompt as a user turn."""
    if not isinstance(record.prompt, str):
        return record
    return record.model_copy(update={"prompt": (Message(role="user", content=record.prompt),)})
