"""The command `rather convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rather.app import app
from rather.records import By


@app.command
def convert(
    source: Path,
    out: Path,
    /,
    *,
    to: str,
    format: str | None = None,
    answers: Path | None = None,
    judge: str | None = None,
    by: By | None = None,
    limit: int | None = None,
    as_chat: Annotated[bool, Parameter(negative="")] = False,
    skip_bad: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write a file of preferences in another form. Reads and writes a row at a time, however large the file.

    Parameters
    ----------
    source
        A file (JSONL, JSON, CSV, Parquet; also .gz, .zst), a quoted glob ("parts/*.jsonl"), or hf:org/name:split.
    out
        The file to write: .jsonl, .json, .csv or .tsv (also .gz, .zst), or .parquet.
    to
        native, judgments, trl, trl-unpaired, hh, sharegpt, openai, alpaca, nectar, ratings, events, alpacaeval or arena;
        docs/formats.md says what each is.
    format
        The form of the source, if its first row is not to tell it.
    answers
        File of the pairs of answers that the votes of the source name by id.
    judge
        With --answers: who voted, if no column says so.
    by
        With --answers: what kind of judge voted, if no column "by" says so; person if not given.
    limit
        Stop once so many records are written.
    as_chat
        Make each plain-text prompt a user turn.
    skip_bad
        Leave rows out that cannot be read or written, and list them in OUT.refused.jsonl.
    """
    from rather.formats import convert as run

    done = run(
        source,
        out,
        to=to,
        format=format,
        answers=answers,
        judge=judge,
        by=by,
        limit=limit,
        as_chat=as_chat,
        skip_bad=skip_bad,
    )
    print(f"{done.written:,} records from {done.format} to {to}: {done.out}")
