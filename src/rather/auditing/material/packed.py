"""Records by the million: their texts in Arrow's columns, made into records again one at a time.

A pair of HH's lengths weighs 1.1 KB so, and five times as much as Python objects.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, islice
from typing import Any, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rather.records import Example, Kind, Message, Pair, Prompt, RankedList, Single

Ints = NDArray[np.int64]

_BATCH = 8192
_KINDS: dict[Kind, type[Example]] = {"pair": Pair, "list": RankedList, "sample": Single}
SCHEMA = pa.schema([
    ("prompt", pa.large_string()),
    ("answers", pa.list_(pa.large_string())),
    ("said", pa.string()),
    ("source", pa.string()),
])  # fmt: skip


class Packed(Sequence[Example]):
    """Records of one kind, as a sequence. Those that come out are equal to those that went in."""

    def __init__(self, records: Iterable[Example]) -> None:
        self._keep([], "pair")
        stream = iter(records)
        batches: list[pa.RecordBatch] = []
        while batch := list(islice(stream, _BATCH)):
            batches.append(batch_of(batch))
            self.kind = batch[0].kind
        self._keep(batches, self.kind)

    @classmethod
    def of_batches(cls, batches: Sequence[pa.RecordBatch], kind: Kind) -> Packed:
        """Those that `batch_of` made, as a file may have kept them: all of one size but the last. Nothing is copied."""
        made = cls.__new__(cls)
        made._keep(batches, kind)
        return made

    def _keep(self, batches: Sequence[pa.RecordBatch], kind: Kind) -> None:
        self._batches = list(batches)
        self.kind: Kind = kind
        self._starts = [0, *accumulate(len(batch) for batch in batches)]
        self._size = len(batches[0]) if batches else _BATCH

    def __len__(self) -> int:
        return self._starts[-1]

    @overload
    def __getitem__(self, index: int) -> Example: ...
    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...
    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"no record {index} of {len(self)}")
        number, place = divmod(int(index) % len(self), self._size)
        batch = self._batches[number]
        return self._record(*(column[place].as_py() for column in batch.columns))

    def __iter__(self) -> Iterator[Example]:
        for batch in self._batches:
            yield from map(self._record, *(column.to_pylist() for column in batch.columns))

    def columns(self) -> Iterator[tuple[int, pa.Array, pa.ListArray]]:
        """(number of its first record, prompts as `turns_of` reads them, answers) of each batch."""
        for start, batch in zip(self._starts, self._batches, strict=False):
            yield start, batch.column("prompt"), batch.column("answers")

    def contents(self) -> Iterator[tuple[str, Sequence[str], int, float | None]]:
        """What `content_of` says of each record."""
        for batch in self._batches:
            prompts, answers, said, _ = batch.columns
            texts = iter(answers.flatten().to_pylist())
            for prompt, size, more in zip(
                prompts.to_pylist(), answers.value_lengths().to_pylist(), said.to_pylist(), strict=True
            ):
                given = json.loads(more) if more else {}
                yield prompt, list(islice(texts, size)), int(given.get("label", True)), given.get("probability")

    def turns(self, rows: Ints) -> list[list[tuple[str, str]]]:
        """(role, content) of the turns of these records' prompts, in the order of `rows`; a plain text has the role ""."""
        return [_turns(prompt) for prompt in self._taken("prompt", rows)]

    def answers(self, rows: Ints) -> list[list[str]]:
        """The answers of these records."""
        return self._taken("answers", rows)

    def tags(self, rows: Ints) -> list[dict[str, str]]:
        """The tags of these records."""
        return [json.loads(said).get("tags", {}) if said else {} for said in self._taken("said", rows)]

    def _taken(self, column: str, rows: Ints) -> list[Any]:
        """A column of some records: no record is made of a million for the few that are looked at."""
        order = np.argsort(rows, kind="stable")
        found: list[Any] = [None] * len(rows)
        ends = np.searchsorted(rows[order], self._starts)
        for batch, start, first, end in zip(self._batches, self._starts, ends[:-1], ends[1:], strict=False):
            places = order[first:end]
            values = batch.column(column).take(pa.array(rows[places] - start, pa.int64())).to_pylist()
            for place, value in zip(places.tolist(), values, strict=True):
                found[place] = value
        return found

    @property
    def nbytes(self) -> int:
        """Bytes that the columns take."""
        return sum(batch.nbytes for batch in self._batches)

    def _record(self, prompt: str, answers: list[str], said: str | None, source: str | None) -> Example:
        """The record of a row; it was checked when it was first made."""
        given: dict[str, Any] = json.loads(said) if said else {}
        given["prompt"], given["source"] = _prompt(prompt), source
        given.setdefault("tags", {})  # pydantic takes longer to make this default than all the rest
        match self.kind:
            case "pair":
                given["chosen"], given["rejected"] = answers
            case "list":
                given["ranked"] = tuple(answers)
            case "sample":
                (given["completion"],) = answers
        return _KINDS[self.kind].model_construct(**given)


def batch_of(records: Sequence[Example]) -> pa.RecordBatch:
    """Records of one kind as columns."""
    rows = [_row(record) for record in records]
    columns = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), SCHEMA, strict=True)]
    return pa.record_batch(columns, schema=SCHEMA)


def content_of(record: Example) -> tuple[str, Sequence[str], int, float | None]:
    """A record's prompt as its column has it, its answers, how many of them are good, and its probability."""
    return _text(record.prompt), record.answers, len(record.good), getattr(record, "probability", None)


def turns_of(prompt: str) -> list[str]:
    """What is said in a prompt as its column has it."""
    return [content for _, content in _turns(prompt)]


def _turns(prompt: str) -> list[tuple[str, str]]:
    return [("", prompt[1:])] if prompt[0] == "t" else json.loads(prompt[1:])


def _row(record: Example) -> tuple[str, tuple[str, ...], str | None, str | None]:
    given = {
        name: value
        for name in ("probability", "margin", "weight", "tags", "label")
        if (value := getattr(record, name, None)) not in (None, {})
    }
    said = json.dumps(given, ensure_ascii=False) if given else None
    return _text(record.prompt), record.answers, said, record.source


def _text(prompt: Prompt) -> str:
    """Text behind "t", turns as JSON behind "j"."""
    if isinstance(prompt, str):
        return "t" + prompt
    return "j" + json.dumps([[turn.role, turn.content] for turn in prompt], ensure_ascii=False)


def _prompt(text: str) -> Prompt:
    if text[0] == "t":
        return text[1:]
    return tuple(Message.model_construct(role=role, content=content) for role, content in json.loads(text[1:]))
