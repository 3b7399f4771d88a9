"""From a file of pairs to audited, tokenised pairs: everything that can go wrong before a model is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from rather.auditing import Audit, Thresholds, audit, require_no_stop
from rather.auditing.material.sampling import by_prompt
from rather.errors import InputError, RowError
from rather.formats import Refusal, Source, data_hash, load_examples, name_of, require_clean, rows_said, say_refused
from rather.model import Renderer, TokenExample, TokenPair
from rather.progress import say
from rather.records import Example, Pair
from rather.training.shelf import records_of, shelved

# Of a larger set training audits those of so many pairs that it takes seconds; `rather audit` looks at all.
AUDITED = 20_000

RecordT = TypeVar("RecordT", bound=Example)
MadeT = TypeVar("MadeT")


@dataclass(frozen=True)
class Prepared:
    """Pairs as they will be trained, what was refused on the way, and what the audit says."""

    token_pairs: Sequence[TokenExample]
    refused: tuple[Refusal, ...]
    rows: int
    audit: Audit

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 over the ids of the pairs in order: what is trained, wherever it was stored."""
        return data_hash(records_of(self.token_pairs))


def tokenise(pairs: Sequence[Pair], renderer: Renderer) -> tuple[list[TokenPair], list[Refusal]]:
    """The pairs that can be tokenised honestly, and the others with the reason."""
    return _each(pairs, renderer.pair)


def tokenise_examples(records: Sequence[Example], renderer: Renderer) -> tuple[list[TokenExample], list[Refusal]]:
    """The same for records of any kind."""
    return _each(records, renderer.example)


def _each(records: Sequence[RecordT], make: Callable[[RecordT], MadeT]) -> tuple[list[MadeT], list[Refusal]]:
    kept: list[MadeT] = []
    refused: list[Refusal] = []
    for record in records:
        try:
            kept.append(make(record))
        except RowError as error:
            refused.append(Refusal(record.source or f"pair {record.id}", error.reason))
    return kept, refused


def prepare(
    source: Source,
    renderer: Renderer,
    *,
    limit: int | None = None,
    as_chat: bool = False,
    skip_bad: bool = False,
    intended: Sequence[str] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Path | None = None,
    stream_for: str | None = None,
) -> Prepared:
    """Read, tokenise and audit. Raises InputError for a bad row unless `skip_bad`, AuditStop on a stop finding.

    stream_for: a model, for which they are kept in a file of the cache, and not in memory.
    """
    limits = Thresholds() if thresholds is None else Thresholds.read(thresholds)
    if stream_for is not None:
        found = shelved(source, renderer, model=stream_for, limit=limit, as_chat=as_chat)
        token_pairs, refused, unfit, rows = found.token_pairs, found.refused, found.unfit, found.rows
    else:
        records, refused, rows = load_examples(source, limit=limit, as_chat=as_chat)
        if not skip_bad:
            require_clean(refused, rows)
        token_pairs, unfit = tokenise_examples(records, renderer)
    if not skip_bad:
        require_clean(refused, rows)
    refused = [*refused, *unfit]
    if not skip_bad:
        require_clean(refused, rows)
    if not token_pairs:
        first = f"; the first: {refused[0].place}: {refused[0].reason}" if refused else ""
        raise InputError(f"{name_of(source)}: no usable pair in {rows_said(rows)}{first}")
    say_refused(refused, rows)
    if renderer.has_template and not all(record.is_chat for record in records_of(token_pairs)):
        say(
            "note: plain-text pairs are trained without the model's chat template; --as-chat makes each prompt a user turn"
        )
    places, sample = by_prompt(records_of(token_pairs), AUDITED)
    looked_at = [token_pairs[place] for place in places]
    records = [item.record for item in looked_at]
    result = audit(records, intended=intended, tokenised=looked_at, allow=allow, thresholds=limits, sample=sample)
    for line in result.lines():
        say(line)
    require_no_stop(result)
    return Prepared(token_pairs, tuple(refused), rows, result)
