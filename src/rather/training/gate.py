"""`rather audit`: the checks that training runs first, on their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rather.auditing import Audit, Packed, Thresholds
from rather.auditing import audit as check
from rather.auditing.given_judgments import Judgments, holds_judgments, load_judgments
from rather.errors import ConfigError, InputError
from rather.formats import Source, keep_examples, name_of, require_clean, say_refused
from rather.records import Example, Judgment


def audit(
    pairs: Source | Judgments | None = None,
    *,
    judgments: Judgments | None = None,
    answers: str | Path | None = None,
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

    judgments: what people and judges said, to see whether they can be relied on. `pairs` may be judgments themselves, which are
    then audited alone.
    answers: the file of the pairs of answers that votes name by id.
    thresholds: a TOML file that changes when a check warns or stops.
    Raises InputError for rows that cannot be used (unless `skip_bad`), ConfigError for what does nothing, and ModelError.
    """
    limits = Thresholds() if thresholds is None else Thresholds.read(thresholds)
    source, said = _told_apart(pairs, judgments)
    if said is None and answers is not None:
        raise ConfigError("--answers does nothing without votes")
    heard = [] if said is None else _heard(said, answers, limit=limit if source is None else None, skip_bad=skip_bad)
    if source is None:
        idle = {"--model": model, "--as-chat": as_chat, "--intended": intended}
        for flag, value in idle.items():
            if value:
                raise ConfigError(f"{flag} does nothing: it is about pairs, and these are judgments")
        return check([], judgments=heard, allow=allow, thresholds=limits)
    pairs = source
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
    return check(given, intended=intended, tokenised=tokenised, judgments=heard, allow=allow, thresholds=limits)


def _told_apart(pairs: Any, judgments: Judgments | None) -> tuple[Source | None, Judgments | None]:
    """What was given as pairs, and what as judgments."""
    if pairs is None:
        if judgments is None:
            raise ConfigError("nothing to audit; name a file of pairs or of judgments")
        return None, judgments
    named = isinstance(pairs, str | Path)
    if not (holds_judgments(pairs) if named else bool(pairs) and isinstance(pairs[0], Judgment)):
        return pairs, judgments
    if judgments is not None:
        where = pairs if named else "pairs"
        raise ConfigError(f"{where} holds judgments, and so does --judgments; name both by a pattern, or pairs first")
    return None, pairs


def _heard(source: Judgments, answers: str | Path | None, *, limit: int | None, skip_bad: bool) -> list[Judgment]:
    judgments, refused, rows = load_judgments(source, answers=answers, limit=limit)
    if not skip_bad:
        require_clean(refused, rows)
    if not judgments:
        raise InputError(
            f"{source if isinstance(source, str | Path) else 'judgments'}: no usable judgment in {rows:,} rows"
        )
    say_refused(refused, rows)
    return judgments
