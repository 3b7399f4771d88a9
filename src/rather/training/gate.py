"""`rather audit`: the checks that training runs first, on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rather.auditing import Audit, Packed, Thresholds
from rather.auditing import audit as check
from rather.errors import InputError
from rather.formats import Source, keep_examples, name_of, require_clean, say_refused
from rather.records import Example


def audit(
    pairs: Source,
    *,
    model: str | None = None,
    limit: int | None = None,
    as_chat: bool = False,
    max_length: int = 1024,
    intended: Sequence[str] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Path | None = None,
    skip_bad: bool = False,
) -> Audit:
    """What `pairs` would teach. With `model`, also how they look through its tokenizer and chat template.

    thresholds: a TOML file that changes when a check warns or stops.
    Raises InputError for rows that cannot be used (unless `skip_bad`), and ModelError.
    """
    limits = Thresholds() if thresholds is None else Thresholds.read(thresholds)
    # Without a model records wait in columns: a million pairs are then a tenth of a workstation's memory.
    given: Sequence[Example]
    given, refused, rows = keep_examples(pairs, Packed if model is None else list, limit=limit, as_chat=as_chat)
    tokenised = None
    if model is not None:
        # Only here: an audit of the data alone needs no torch.
        from rather.model import Renderer, load_tokenizer
        from rather.training.prepare import tokenise_examples

        tokenised, unfit = tokenise_examples(given, Renderer(load_tokenizer(model), max_length=max_length))
        given = [item.record for item in tokenised]
        refused += unfit
    if not skip_bad:
        require_clean(refused, rows)
    if not given:
        raise InputError(f"{name_of(pairs)}: no usable pair in {rows:,} rows")
    say_refused(refused, rows)
    return check(given, intended=intended, tokenised=tokenised, allow=allow, thresholds=limits)
