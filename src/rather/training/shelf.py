"""Tokenised pairs in a file of the cache: made once, by content, and read from a memory map as if they were a list.

What stays in memory is four bytes a pair. The file is Arrow's own format, its pages are the kernel's to drop.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, cast, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rather.auditing.material.packed import SCHEMA, Packed, batch_of
from rather.errors import ConfigError, RowError, RunDirError
from rather.formats import Refusal, Source, keep_examples
from rather.formats.sources import parts_of
from rather.model import Renderer, Sample, TokenExample, TokenPair, model_hash
from rather.model.catalog import cache_dir
from rather.model.render import TokenList
from rather.progress import say
from rather.records import NOUNS, Example, Kind, Pair, content_id
from rather.rundir import FULL, atomic_folder, hash_file, versions, write_json

# Raise it when a file of the shelf is written or read otherwise; entries of older versions are then not found.
_VERSION = 1

# Pairs that are written, and mapped, as one batch.
_BATCH = 1024

# Entries beyond this many bytes are dropped, the oldest first.
SHELF_BYTES = 64 << 30

_FILE, _FACTS = "pairs.arrow", "read.json"
_TOKENS = pa.schema([
    ("tokens", pa.list_(pa.int32())),  # of every answer's conversation, one behind the other
    ("lengths", pa.list_(pa.int32())),
    ("truncated", pa.list_(pa.bool_())),
    ("prompt_tokens", pa.int32()),
    ("count", pa.int32()),
])  # fmt: skip
_ROW = pa.schema([*SCHEMA, *_TOKENS])


class Shelf(Sequence[TokenExample]):
    """Examples of one kind on disk. Those that come out are equal to those that went in.

    records  without their tokens
    counts   [N] `tokens` of each
    """

    def __init__(self, file: Path, kind: Kind) -> None:
        mapped = pa.ipc.open_file(pa.memory_map(str(file)))
        self._batches = [mapped.get_batch(number) for number in range(mapped.num_record_batches)]
        self.records = Packed.of_batches([batch.select(SCHEMA.names) for batch in self._batches], kind)
        counts = [batch.column("count").to_numpy() for batch in self._batches]
        self.counts: NDArray[np.int32] = np.concatenate(counts) if counts else np.zeros(0, np.int32)

    def __len__(self) -> int:
        return len(self.records)

    @overload
    def __getitem__(self, index: int) -> TokenExample: ...
    @overload
    def __getitem__(self, index: slice) -> list[TokenExample]: ...
    def __getitem__(self, index: int | slice) -> TokenExample | list[TokenExample]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        record = self.records[index]
        number, place = divmod(int(index) % len(self), _BATCH)
        return _example(record, self._batches[number], place)

    def __iter__(self) -> Iterator[TokenExample]:
        records = iter(self.records)
        for batch in self._batches:
            for place in range(len(batch)):
                yield _example(next(records), batch, place)


def records_of(items: Sequence[TokenExample]) -> Sequence[Example]:
    """What the examples were made of, in their order."""
    return items.records if isinstance(items, Shelf) else [item.record for item in items]


def counts_of(items: Sequence[TokenExample]) -> NDArray[np.int32]:
    """[N] `tokens` of each example."""
    return items.counts if isinstance(items, Shelf) else np.fromiter((item.tokens for item in items), np.int32)


def shortest(items: Sequence[TokenExample]) -> TokenExample:
    """The example of the fewest tokens: what a rank computes that must compute something."""
    return items[int(counts_of(items).argmin())]


@dataclass(frozen=True)
class Shelved:
    """What was read from a source, and what was refused, by its reader and then by the tokenizer."""

    token_pairs: Shelf
    refused: list[Refusal]
    unfit: list[Refusal]
    rows: int


def shelved(source: Source, renderer: Renderer, *, model: str, limit: int | None, as_chat: bool) -> Shelved:
    """The examples of `source` as `renderer` makes them for `model`, from the cache, or read and put there.

    Processes that want the same wait for the one that makes it. Raises ConfigError for records that are in memory already, and
    what reading raises; RunDirError for a cache that has no room.
    """
    key = _key(source, renderer, model=model, limit=limit, as_chat=as_chat)
    folder = cache_dir() / "tokens" / key
    with _room(folder.parent), _taken(folder):
        kept = _opened(folder)
        if kept is not None:
            folder.touch()
            say(f"tokens: {len(kept.token_pairs):,} {NOUNS[kept.token_pairs.records.kind]} from the cache")
            return kept
        unfit: list[Refusal] = []
        with atomic_folder(folder) as scratch:
            written: tuple[Kind, list[Refusal], int] = keep_examples(
                source,
                lambda records: _write(scratch / _FILE, _fitting(records, renderer, unfit)),
                limit=limit,
                as_chat=as_chat,
            )
            kind, refused, rows = written
            told = {
                "refused": [asdict(each) for each in refused],
                "unfit": [asdict(each) for each in unfit],
                "rows": rows,
            }
            write_json(scratch / _FACTS, {**told, "kind": kind, "sha256": hash_file(scratch / _FILE)})
        _prune(folder)
        made = _opened(folder)
    assert made is not None
    return made


def _key(source: Source, renderer: Renderer, *, model: str, limit: int | None, as_chat: bool) -> str:
    """Everything that the file depends on. Places stand in it, so the names of the files do as well."""
    parts = parts_of(source, inside=("pairs.jsonl",)) if isinstance(source, str | Path) else []
    files = [part for part in parts if isinstance(part, Path)]
    if not files or len(files) < len(parts):
        raise ConfigError("--stream reads files of pairs: name one, or several as a glob")
    seen = (limit, as_chat, renderer.max_length, renderer.system_prompt, renderer.whole)
    contents = [(str(file), hash_file(file)) for file in files if file.is_file()]
    return content_id([_VERSION, repr(seen), contents, model_hash(model), versions()])


def _fitting(records: Iterable[Example], renderer: Renderer, unfit: list[Refusal]) -> Iterator[TokenExample]:
    for record in records:
        try:
            yield renderer.example(record)
        except RowError as error:
            unfit.append(Refusal(record.source or f"pair {record.id}", error.reason))


def _write(file: Path, examples: Iterator[TokenExample]) -> Kind:
    """Batch after batch, so that one is in memory at a time; the kind of the examples."""
    kind: Kind = "pair"
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, _ROW) as writer:
        while batch := list(islice(examples, _BATCH)):
            kind = batch[0].record.kind
            writer.write_batch(_columns(batch))
    return kind


def _columns(batch: Sequence[TokenExample]) -> pa.RecordBatch:
    rows = [
        (
            [token for sample in item.samples for token in sample.tokens],
            [len(sample.tokens) for sample in item.samples],
            _truncated(item),
            item.samples[0].prompt_tokens,
            item.tokens,
        )
        for item in batch
    ]
    made = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), _TOKENS, strict=True)]
    records = batch_of([item.record for item in batch])
    return pa.record_batch([*records.columns, *made], schema=_ROW)


def _truncated(item: TokenExample) -> tuple[bool, ...]:
    return (item.chosen_truncated, item.rejected_truncated) if isinstance(item, TokenPair) else item.truncated


def _example(record: Example, batch: pa.RecordBatch, place: int) -> TokenExample:
    tokens = _values(batch, "tokens", place)
    prompt_tokens = int(batch.column("prompt_tokens")[place].as_py())
    samples: list[Sample] = []
    start = 0
    for length in _values(batch, "lengths", place):
        samples.append(Sample(tuple(tokens[start : start + length]), prompt_tokens))
        start += length
    truncated = batch.column("truncated")[place].as_py()
    if record.kind != "pair":
        return TokenList(record, tuple(samples), tuple(truncated))
    return TokenPair(cast(Pair, record), *samples, chosen_truncated=truncated[0], rejected_truncated=truncated[1])


def _values(batch: pa.RecordBatch, column: str, place: int) -> list[int]:
    """A row of a list of numbers, without a Python object for each on the way."""
    return batch.column(column)[place].values.to_numpy().tolist()


def _opened(folder: Path) -> Shelved | None:
    """An entry that is whole; a damaged one is made again."""
    if not folder.is_dir():
        return None
    try:
        facts: dict[str, Any] = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        if facts["sha256"] != hash_file(folder / _FILE):
            raise ValueError("it is not what was written")
        shelf = Shelf(folder / _FILE, facts["kind"])
        refused, unfit = ([Refusal(**each) for each in facts[name]] for name in ("refused", "unfit"))
        return Shelved(shelf, refused, unfit, facts["rows"])
    except (OSError, ValueError, KeyError, TypeError) as error:  # pyarrow's ArrowInvalid is a ValueError
        say(f"note: {folder} is damaged ({error}); the pairs are tokenised again")
        return None


@contextmanager
def _taken(folder: Path) -> Iterator[None]:
    """Held by one process at a time; the lock dies with it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = folder.with_suffix(".lock")
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """What the disk of the cache refuses, as one sentence; what sources refuse was told by their readers."""
    try:
        yield
    except OSError as error:
        why = "no space left" if error.errno in FULL else error.strerror or str(error)
        raise RunDirError(
            f"tokenised pairs cannot be kept in {folder}: {why}; set RATHER_CACHE to a disk with room, or leave --stream out"
        ) from error


def _prune(keep: Path) -> None:
    total = 0
    entries = [entry for entry in keep.parent.iterdir() if (entry / _FILE).is_file()]
    for entry in sorted(entries, key=lambda entry: entry.stat().st_mtime, reverse=True):
        total += (entry / _FILE).stat().st_size
        if total > SHELF_BYTES and entry != keep:
            shutil.rmtree(entry, ignore_errors=True)  # whoever reads it keeps its pages
