"""Files, folders and records of judgments → a ledger."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rather.errors import InputError
from rather.formats import Refusal, iter_judgments
from rather.formats.sources import files_of as globbed
from rather.formats.sources import missing_in
from rather.pairing import quick
from rather.pairing.ledger import Ledger
from rather.records import Judgment

JUDGMENTS = "judgments.jsonl"

QUICK = {"native": quick.native, "ratings": quick.rating}
"""name of a reader → what takes its ordinary rows without a record."""


def files_of(sources: Sequence[str | Path]) -> list[Path]:
    """The files that are meant: a glob stands for several, a folder for the judgments that a step wrote into it.

    Raises InputError.
    """
    named = [part for source in sources for part in globbed(source)]
    files = [part / JUDGMENTS if part.is_dir() else part for part in named]
    for source, file in zip(named, files, strict=True):
        if not file.exists():
            folder = Path(source)
            raise InputError(f"{source}: {missing_in(folder, JUDGMENTS) if folder.is_dir() else 'no such file'}")
    resolved = [file.resolve() for file in files]
    twice = next((file for place, file in enumerate(files) if resolved[place] in resolved[:place]), None)
    if twice is not None:
        raise InputError(f"{twice}: is given twice, which would count its votes twice; leave one out")
    return files


def read_into(ledger: Ledger, source: Path | Sequence[Judgment]) -> list[Refusal]:
    """Put a file's (or all given) judgments into the ledger; the rows that could not be used."""
    refused: list[Refusal] = []
    if isinstance(source, Path):
        taking = {name: partial(takes, ledger) for name, takes in QUICK.items()}
        found = iter_judgments(source, quick=taking, labels=True)
    else:
        found = iter(source)
    for item in found:
        if isinstance(item, Refusal):
            refused.append(item)
        else:
            ledger.add(item)
    return refused
