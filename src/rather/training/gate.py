"""`rather audit`: the checks that training runs first, on their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rather.auditing import Audit, Packed, Thresholds, fixing
from rather.auditing import audit as check
from rather.auditing.findings import Tokenised
from rather.auditing.material.given_judgments import Judgments, holds_judgments, load_judgments
from rather.errors import ConfigError, InputError, RunDirError
from rather.formats import (
    Refusal,
    Source,
    data_hash,
    keep_examples,
    load_examples,
    name_of,
    require_clean,
    rows_said,
    say_refused,
    write_refused,
)
from rather.onray.cluster import wanted
from rather.onray.spread import Workers
from rather.progress import say, task
from rather.records import By, Example, Judgment, asked, content_id
from rather.rundir import open_run, require_usable, write_json

AUDIT, REFUSED = "audit.json", "refused.jsonl"
MAX_LENGTH = 1024


def audit(
    pairs: Source | Judgments | None = None,
    *,
    out: str | Path | None = None,
    judgments: Judgments | None = None,
    answers: str | Path | None = None,
    judge: str | None = None,
    by: By | None = None,
    model: str | None = None,
    limit: int | None = None,
    as_chat: bool = False,
    max_length: int = MAX_LENGTH,
    intended: Sequence[str] = (),
    allow: Mapping[str, str] | None = None,
    thresholds: Path | None = None,
    skip_bad: bool = False,
    heldout: Source | None = None,
    ches: int | None = None,
    trained: str | Path | None = None,
    fix: str | Path | None = None,
    fix_with: Sequence[str] = (),
    ray: int | None = None,
    ray_address: str | None = None,
) -> Audit:
    """What `pairs` would teach. With `model`, also how they look through its tokenizer and chat template.

    out: a folder for audit.json and refused.jsonl, of which `rather.report` makes a page. The same call on the same folder reads
    what is there. judgments: what people and judges said, to see whether they can be relied on. `pairs` may be judgments
    themselves, which are then audited alone. answers: the file of the pairs of answers that votes name by id. judge: who voted, if
    no column of the votes says so; by: what kind of judge that is (a person, if nobody says). thresholds: a TOML file that changes
    when a check warns or stops. heldout: examples that will be measured and not trained on: is their prompt among these? ches: of
    so many pairs the CHES score by `model`. trained: the folder of a training run, whose implicit margins say which labels it
    doubts; it stands in the place of `model`, and has its own `max_length`. fix: a file for a cleaned copy, its log beside it, by
    the operations `fix_with`. ray: so many workers of a Ray cluster look, a check each, of the one at `ray_address` where that is
    given.

    Raises InputError for rows that cannot be used (unless `skip_bad`), ConfigError, ModelError and RunDirError.
    """
    cluster = wanted(ray, ray_address)
    limits = Thresholds() if thresholds is None else Thresholds.read(thresholds)
    source, said = _told_apart(pairs, judgments)
    for flag, value in (("--answers", answers), ("--judge", judge), ("--by", by)):
        if said is None and value is not None:
            raise ConfigError(f"{flag} does nothing without votes")
    if source is None:
        _require_about_judgments(model, as_chat, intended, heldout, ches, trained, fix, fix_with)
    else:
        _require_sense(source, model=model, ches=ches, trained=trained, fix=fix, fix_with=fix_with)
    lesson = None if trained is None else _trained(Path(trained), model, max_length)
    model = lesson.model if lesson else model
    if out is not None:
        require_usable(Path(out))
    votes = {"answers": answers, "judge": judge, "by": by}
    heard, unheard, told = _heard(said, votes, limit=limit if source is None else None, skip_bad=skip_bad)
    seen = (
        _Seen([], None, [], 0)
        if source is None
        else _read(
            source, renderer=_renderer(lesson, model, max_length), limit=limit, as_chat=as_chat, skip_bad=skip_bad
        )
    )
    _require_same_questions(seen.records, heard)
    held = [] if heldout is None else _held_out(heldout, as_chat=as_chat, skip_bad=skip_bad)

    def look() -> Audit:
        scores = {} if ches is None or model is None else _ches(model, seen.tokenised or (), ches)
        with ExitStack() as stack:
            workers = None if cluster is None else stack.enter_context(Workers(cluster))
            return check(
                seen.records, intended=intended, tokenised=seen.tokenised, judgments=heard, allow=allow, thresholds=limits,
                heldout=held, ches=scores, margins=lesson and lesson.margins(seen.tokenised or ()), workers=workers,
            )  # fmt: skip

    if fix is not None:
        _fix(seen.records, Path(fix), fix_with)
    if out is None:
        return look()
    config = {
        "model": model,
        "limit": limit,
        "as_chat": as_chat,
        "max_length": max_length if model and lesson is None else None,
        "intended": list(intended),
        "allow": dict(allow or {}),
        "thresholds": limits.model_dump(mode="json", exclude_defaults=True),
        "skip_bad": skip_bad,
        "ches": ches,
        **({"trained": str(trained)} if trained is not None else {}),
    }
    inputs = seen.inputs(model)
    if heldout is not None:
        inputs["heldout"] = data_hash(held)
    if heard:
        inputs["judgments"] = content_id([judgment.id for judgment in heard])
    facts = {
        "name": Path(_name(said if source is None else source)).name,
        "pairs": len(seen.records),
        "judgments": len(heard),
        "rows": seen.rows + told,
    }
    return _kept(Path(out), look, config, inputs, [*seen.refused, *unheard], facts)


def _kept(
    out: Path,
    look: Callable[[], Audit],
    config: dict[str, Any],
    inputs: dict[str, str],
    refused: Sequence[Refusal],
    facts: dict[str, Any],
) -> Audit:
    """The audit as a finished folder; the one that lies there, if it is of the same."""
    with open_run(out, step="audit", config=config, inputs=inputs) as run:
        if run.done:
            say(f"{out}: already audited")
            return read_audit(run.path)
        result = look()
        write_refused(run.path / REFUSED, refused)
        write_json(run.path / AUDIT, result.as_json())
        run.finish(outputs=(AUDIT, REFUSED), **facts, refused=len(refused), verdict=result.verdict)
    return result


def _name(source: Any) -> str:
    return str(source) if isinstance(source, str | Path) else "judgments" if source else "pairs"


def read_audit(folder: Path) -> Audit:
    """The audit that lies in a folder. Raises RunDirError for a file that no audit of this version wrote."""
    file = folder / AUDIT
    try:
        return Audit.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, ValidationError) as error:
        raise RunDirError(
            f"{file} is damaged or of another version; remove {folder} or choose another --out"
        ) from error


def _trained(folder: Path, model: str | None, max_length: int) -> Any:
    """The run, of which only its own module knows what it is made of: that needs torch."""
    if model is not None:
        raise ConfigError("--model does nothing beside --trained, which has its own model")
    if max_length != MAX_LENGTH:
        raise ConfigError("--max-length does nothing beside --trained, which has its own")
    from rather.training.margins import TrainedRun

    return TrainedRun.of(folder)


def _renderer(run: Any, model: str | None, max_length: int) -> Any:
    """What makes tokens of records; None where no model was named."""
    if run is not None:
        return run.renderer
    if model is None:
        return None
    # Only here: an audit of the data alone needs no torch.
    from rather.model import Renderer, load_tokenizer

    return Renderer(load_tokenizer(model), max_length=max_length)


def _require_sense(
    pairs: Source,
    *,
    model: str | None,
    ches: int | None,
    trained: str | Path | None,
    fix: str | Path | None,
    fix_with: Sequence[str],
) -> None:
    """Raise ConfigError for options that cannot act."""
    if ches is not None and model is None and trained is None:
        raise ConfigError("--ches does nothing without --model")
    if fix is None:
        if fix_with:
            raise ConfigError("--fix-with does nothing without --fix")
        return
    if Path(fix).suffix != ".jsonl":
        raise ConfigError(f"--fix {fix}: is written as JSON lines; name a .jsonl file")
    if isinstance(pairs, str | Path) and Path(fix).resolve() == Path(pairs).resolve():
        raise ConfigError(f"--fix {fix}: is the input itself; name another file")
    for file in (Path(fix), fixing.log_of(Path(fix))):
        if file.exists():
            raise RunDirError(f"{file} is there already; remove it or choose another name")


def _fix(records: Sequence[Example], out: Path, operations: Sequence[str]) -> None:
    fixed = fixing.fix(records, operations or None)
    try:
        log = fixing.write_fixed(fixed, out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written ({error.strerror or error}); name another file") from error
    for line in fixed.lines():
        say(line)
    say(f"fix: {out}, every change in {log}; what the audit says is of the input as it was")


def _ches(model: str, tokenised: Sequence[Any], at_most: int) -> dict[int, float]:
    """Place → CHES score per token, of about `at_most` pairs at even distances."""
    if not tokenised or len(tokenised[0].samples) != 2:
        raise ConfigError("--ches is for pairs")
    from rather.model import load
    from rather.model.ches import ches_scores

    places = range(0, len(tokenised), -(-len(tokenised) // at_most))
    weights = load(model).model.eval()
    found = {}
    with task("CHES", len(places)) as shown:
        for place in places:
            found[place] = float(ches_scores(weights, [tokenised[place].samples], by_length=True)[0])
            shown.advance()
    return found


@dataclass(frozen=True)
class _Seen:
    """What was read: the records, as a model sees them where one was named, and what was refused."""

    records: Sequence[Example]
    tokenised: Sequence[Any] | None
    refused: list[Refusal]
    rows: int

    def inputs(self, model: str | None) -> dict[str, str]:
        """Content hashes for the manifest; that of the pairs is the one that a training run of them has."""
        found = {"pairs": data_hash(self.records)} if len(self.records) else {}
        if model is not None:
            from rather.model import model_hash

            found["model"] = model_hash(model)
        return found


def _read(pairs: Source, *, renderer: Any, limit: int | None, as_chat: bool, skip_bad: bool) -> _Seen:
    # Without a model records wait in columns: a million pairs are then a tenth of a workstation's memory.
    given: Sequence[Example]
    given, refused, rows = keep_examples(pairs, Packed if renderer is None else list, limit=limit, as_chat=as_chat)
    tokenised: Sequence[Tokenised] | None = None
    if renderer is not None:
        from rather.training.prepare import tokenise_examples

        found, unfit = tokenise_examples(given, renderer)
        given, tokenised = [item.record for item in found], found
        refused += unfit
    if not skip_bad:
        require_clean(refused, rows)
    if not given:
        raise InputError(f"{name_of(pairs)}: no usable pair in {rows_said(rows)}")
    say_refused(refused, rows)
    return _Seen(given, tokenised, refused, rows)


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


def _heard(
    source: Judgments | None, votes: dict[str, Any], *, limit: int | None, skip_bad: bool
) -> tuple[list[Judgment], list[Refusal], int]:
    """The judgments, what was refused, and how many rows there were."""
    if source is None:
        return [], [], 0
    judgments, refused, rows = load_judgments(source, **votes, limit=limit)
    if not skip_bad:
        require_clean(refused, rows)
    if not judgments:
        raise InputError(
            f"{source if isinstance(source, str | Path) else 'judgments'}: no usable judgment in {rows_said(rows)}"
        )
    say_refused(refused, rows)
    return judgments, list(refused), rows


def _held_out(source: Source, *, as_chat: bool, skip_bad: bool) -> Sequence[Example]:
    """What will be measured. A row that cannot be read could be the one that leaks, so it is an error here, too."""
    held, refused, rows = load_examples(source, as_chat=as_chat)
    if not skip_bad:
        require_clean(refused, rows)
    if not held:
        raise InputError(f"{name_of(source)}: no usable pair in {rows_said(rows)}")
    say_refused(refused, rows)
    return held


def _require_same_questions(records: Sequence[Example], heard: Sequence[Judgment]) -> None:
    """Raise InputError where the judgments are about no prompt of the pairs: nothing was made of them."""
    judged = {asked(judgment.prompt) for judgment in heard}
    if judged and len(records) and not any(asked(record.prompt) in judged for record in records):
        raise InputError(
            f"--judgments: of {len(judged):,} prompts that were judged, none is a prompt of the pairs; name the judgments that "
            "the pairs were made of, or audit them alone"
        )


def _require_about_judgments(
    model: str | None,
    as_chat: bool,
    intended: Sequence[str],
    heldout: Source | None,
    ches: int | None,
    trained: str | Path | None,
    fix: str | Path | None,
    fix_with: Sequence[str],
) -> None:
    """Raise ConfigError for options that are about pairs."""
    idle = {
        "--model": model, "--as-chat": as_chat, "--intended": intended, "--heldout": heldout, "--ches": ches,
        "--trained": trained, "--fix": fix, "--fix-with": fix_with,
    }  # fmt: skip
    for flag, value in idle.items():
        if value:
            raise ConfigError(f"{flag} does nothing: it is about pairs, and these are judgments")
