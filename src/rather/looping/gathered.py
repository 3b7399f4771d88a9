"""What a round takes besides its own judges' judgments: people's votes and logs that are new, earlier pairs, a fixed set."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rather.errors import InputError
from rather.formats import (
    WRITERS,
    Refusal,
    iter_judgments,
    judgment_rows,
    load_examples,
    name_of,
    require_clean,
    rows_said,
    write_jsonl,
)
from rather.looping.config import LoopConfig
from rather.progress import say
from rather.records import Example, Judgment
from rather.rundir import hash_file, open_run, sweep_scratch

TAKEN, MIXED = "taken.jsonl", "train.jsonl"
VOTES = "votes.jsonl"


@dataclass(frozen=True)
class Taken:
    """Judgments from elsewhere that a round takes: the file, if there is any, and how many they are."""

    files: list[Path]
    count: int


def taken_now(folder: Path, earlier: Sequence[Mapping[str, Any]], config: LoopConfig, people: Path) -> Taken:
    """What has come since the round before took its own; written down at once, so that a round always takes the same.

    people: the round's own queue, whose votes lie in it, as those of earlier rounds do in theirs.
    """
    file = folder / TAKEN
    if not file.is_file():
        before = [Path(facts["folder"]) for facts in earlier]
        queues = [found for place in (*before, people.parent) if (found := place / people.name / VOTES).is_file()]
        known = {said.id for place in before if (place / TAKEN).is_file() for said in _judgments(place / TAKEN)}
        new: dict[str, Judgment] = {}
        for source in (*config.judgments, *queues):
            if not source.exists():
                raise InputError(f"{source}: no such file")
            new |= {said.id: said for said in _judgments(source) if said.id not in known}
        write_jsonl(file, judgment_rows(new.values()))
        if new:
            say(f"{len(new):,} new judgments are taken into this round")
    count = sum(1 for _ in _judgments(file))
    return Taken([file] if count else [], count)


def to_train_on(out: Path, pairs: Path, earlier: Sequence[Mapping[str, Any]], config: LoopConfig, *, seed: int) -> Path:
    """The round's pairs, with those of earlier rounds and of the fixed set where they are asked for."""
    if config.pairs == "round" and config.mix is None:
        return pairs
    files = [pairs]
    if config.pairs == "all":
        step = pairs.parent.name  # what a round's own pairs are: those of its judgments, or what of them was no risk
        files = [*(Path(facts["folder"]) / step / pairs.name for facts in earlier), pairs]
    inputs = {f"pairs {number}": hash_file(file) for number, file in enumerate(files, start=1)}
    settings: dict[str, Any] = {"seed": seed}
    if config.mix is not None:
        settings["share"] = config.mix.share
        inputs["fixed"] = hash_file(config.mix.pairs) if config.mix.pairs.is_file() else ""
    with open_run(out, step="loop mix", config=settings, inputs=inputs) as step:
        if not step.done:
            sweep_scratch(step.path)
            own = {record.id: record for file in files for record in _examples(file)}
            fixed = [] if config.mix is None else _drawn(config.mix.pairs, config.mix.share, len(own), seed)
            rows = [*own.values(), *fixed]
            write_jsonl(out / MIXED, (WRITERS[record.kind].write(record) for record in rows))
            step.finish(outputs=(MIXED,), own=len(own), fixed=len(fixed))
    return out / MIXED


def _drawn(file: Path, share: float, own: int, seed: int) -> list[Example]:
    """So many of the fixed set that they are `share` of all."""
    fixed = _examples(file)
    wanted = round(own * share / (1 - share))
    if wanted > len(fixed):
        say(f"note: {file} holds {len(fixed):,} pairs, and {wanted:,} would be needed for a share of {share:g}")
    return random.Random(f"{seed}/mix").sample(fixed, min(wanted, len(fixed)))


def _examples(file: Path) -> list[Example]:
    records, refused, rows = load_examples(file)
    require_clean(refused, rows)
    if not records:
        raise InputError(f"{name_of(file)}: no usable pair in {rows_said(rows)}")
    return list(records)


def _judgments(file: Path) -> list[Judgment]:
    found = list(iter_judgments(file)) if file.is_dir() or file.stat().st_size else []
    require_clean([said for said in found if isinstance(said, Refusal)], len(found))
    return [said for said in found if isinstance(said, Judgment)]
