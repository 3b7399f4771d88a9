"""The command `rather audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rather.app import app
from rather.errors import ConfigError
from rather.options import Allow, Words, positive
from rather.records import By


@app.command
def audit(
    pairs: Path | None = None,
    /,
    *,
    out: Path | None = None,
    judgments: Path | None = None,
    answers: Path | None = None,
    judge: str | None = None,
    by: By | None = None,
    model: str | None = None,
    limit: int | None = None,
    as_chat: Annotated[bool, Parameter(negative="")] = False,
    max_length: int = 1024,
    intended: Words = None,
    allow: Allow = None,
    thresholds: Path | None = None,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
    heldout: Path | None = None,
    ches: int | None = None,
    trained: Path | None = None,
    fix: Path | None = None,
    fix_with: Words = None,
    ray: int | None = None,
    ray_address: str | None = None,
    lang: str = "en",
) -> int:
    """Say what pairs would really teach, and whether to rely on who judged. Exit status 0 for pass and warn, 2 for stop.

    Parameters
    ----------
    pairs
        JSONL, JSON or Parquet (also .gz); or judgments: a file of them, votes, or the folder of `rather judge`.
    out
        Folder for audit.html (a page for people), audit.json, refused.jsonl and manifest.json.
    judgments
        The judgments that the pairs were made of (or judgments alone): checks of people and judges.
    answers
        File of the pairs of answers that votes name by id; without it, nothing is said of the answers' texts.
    judge
        Who voted, if no column of the votes says so.
    by
        What kind of judge voted, if no column "by" says so; person if not given.
    model
        With it, the pairs are also checked as this model's tokenizer and chat template make them.
    limit
        Use the first so many pairs that can be read; rows behind them are not looked at.
    as_chat
        Make each plain-text prompt a user turn.
    max_length
        Tokens of prompt and answer together; only with --model.
    intended
        A word that is meant to be learned. May be repeated.
    allow
        CHECK=reason: let this check pass. May be repeated.
    thresholds
        A TOML file that changes when checks warn and stop: [duplicates], and under it warn = 0.05.
    skip_bad
        Leave rows out that cannot be used.
    heldout
        Pairs that will be measured and not trained on: is a prompt of theirs, or nearly one, trained on?
    ches
        With --model: for so many pairs, how alike the two answers are inside the model (the CHES score), which ranks them by
        how likely training on them makes chosen less likely, too.
    trained
        Folder of a `rather train` run: which labels its model doubts, by its implicit margins; in the place of --model.
    fix
        Write a cleaned copy to this .jsonl file, and every change to a .log.jsonl beside it.
    fix_with
        What --fix does, in this order, with commas: drop-identical, drop-empty, drop-duplicates, drop-contradictions, merge,
        exchange, soften, balance-drop, balance-weight. If not given: drop-identical, drop-empty, merge.
    ray
        Look on so many workers of a Ray cluster, a check each: of one of this machine's own, if no address is given.
    ray_address
        HOST:PORT of a running Ray cluster that this machine is part of, or auto.
    lang
        With --out: the page in English (en) or in Chinese (zh).
    """
    from rather.auditing import parse_allow
    from rather.training.gate import audit as run

    if lang != "en":
        _require_page(lang, out)

    if model is None and trained is None and max_length != 1024:
        raise ConfigError("--max-length does nothing without --model")
    result = run(
        pairs,
        out=out,
        judgments=judgments,
        answers=answers,
        judge=judge,
        by=by,
        model=model,
        limit=positive("--limit", limit),
        as_chat=as_chat,
        max_length=max_length,
        intended=tuple(intended or ()),
        allow=parse_allow(allow or []),
        thresholds=thresholds,
        skip_bad=skip_bad,
        heldout=heldout,
        ches=positive("--ches", ches),
        trained=trained,
        fix=fix,
        fix_with=tuple(name.strip() for names in fix_with or () for name in names.split(",")),
        ray=ray,
        ray_address=ray_address,
    )
    for line in result.lines():
        print(line)
    if out is not None:
        from rather.reporting import report as write

        print(f"report: {write(out, lang=lang)}")
    return 2 if result.verdict == "stop" else 0


def _require_page(lang: str, out: Path | None) -> None:
    """Raise ConfigError for a language that there is no page in, before the audit has taken its time."""
    from rather.reporting.language import language

    language(lang)
    if out is None:
        raise ConfigError(f"--lang {lang} does nothing without --out: only the page is translated")
