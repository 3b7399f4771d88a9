"""One `rather judge`, from a file of responses to a file of judgments."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rather.config import Config
from rather.errors import ConfigError, InputError, JudgeError
from rather.formats import Refusal, require_clean, say_refused, write_jsonl, write_refused
from rather.formats.rows import Row
from rather.judging.base import Judge, Outcome
from rather.judging.given import Given, read_candidates, read_events
from rather.judging.journal import PREFIX, Journal
from rather.judging.models import ModelJudge
from rather.judging.options import By, Member, members_of
from rather.onray.cluster import Wanted, wanted
from rather.onray.spread import Workers
from rather.progress import say, task
from rather.records import content_id
from rather.rundir import RunDir, open_run, peak_memory_gb, read_manifest, require_usable, sweep_scratch
from rather.stats import rate

# Replies without a verdict that it takes to stop before the end.
FEW = 10

JUDGMENTS, VOTES, REFUSED, UNPARSABLE = "judgments.jsonl", "votes.jsonl", "refused.jsonl", "unparsable.jsonl"


@dataclass
class Judged:
    """What a run left. counts: by judge, what happened how often."""

    judgments: Path
    counts: dict[str, dict[str, int]]
    refused: int

    @property
    def total(self) -> int:
        return sum(counts.get("judgments", 0) for counts in self.counts.values())


def judge(
    responses: str | Path,
    *,
    by: Sequence[By] = (),
    out: str | Path,
    panel: str | Path | None = None,
    limit: int | None = None,
    skip_bad: bool = False,
    ray: int | None = None,
    ray_address: str | None = None,
    config: Config | None = None,
    **options: Any,
) -> Judged:
    """Ask every judge of the panel about every answer, and write `out/judgments.jsonl`. The same call resumes.

    by: judges by name, "NAME" or "NAME:VALUE", or (name to sign with, Judge). config, options: of all judges together.
    panel: a file with a list of them. limit: judge the answers to the first so many prompts. ray: so many workers of a cluster
    judge, of the one at `ray_address` where that is given.
    Raises InputError for rows that cannot be judged (unless `skip_bad`), ConfigError, JudgeError and ClusterError.
    """
    started, out = time.monotonic(), Path(out)
    given_options = {**(config.model_dump(exclude_none=True) if config else {}), **options}
    members = members_of([by] if isinstance(by, str) else by, given_options, None if panel is None else Path(panel))
    asked = wanted(ray, ray_address)
    if asked is not None and all(member.judge.whole for member in members):
        raise ConfigError(f"--ray does nothing with {members[0].key}, which judges all prompts together")
    require_usable(out)
    read = read_events if members[0].judge.reads == "events" else read_candidates
    with read(responses, folder=_scratch(out), limit=limit) as given:
        if not skip_bad:
            require_clean(given.refused, given.rows)
        if not given.groups:
            first = given.refused[0]
            raise InputError(f"{responses}: no usable row in {given.rows:,}; the first: {first.place}: {first.reason}")
        for member in members:
            member.judge.check(given.groups)
        inputs = {"responses": content_id([group.id for group in given.groups])}
        for member in members:
            inputs |= {f"{member.signed} {name}": value for name, value in member.judge.inputs().items()}
        with open_run(
            out, step="judge", config={"judges": [member.config for member in members]}, inputs=inputs
        ) as run:
            if run.done:
                say(f"{out}: already judged")
                return _kept(out)
            sweep_scratch(out)
            return _judged(run, members, given, skip_bad=skip_bad, started=started, asked=asked)


def _scratch(out: Path) -> Path:
    """Where what is read lies for as long as the run takes: on the disk of `out`, which may not be there yet."""
    return next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())


def _judged(
    run: RunDir, members: Sequence[Member], given: Given, *, skip_bad: bool, started: float, asked: Wanted | None
) -> Judged:
    if given.merged:
        say(f"note: {given.merged:,} answers repeat another answer to their prompt word for word and are judged once")
    journals = [Journal(run.path / f"{PREFIX}{number}.jsonl") for number in range(len(members))]
    try:
        with ExitStack() as stack:
            workers = None if asked is None else stack.enter_context(Workers(asked))
            for member, journal in zip(members, journals, strict=True):
                _ask(member, journal, given, skip_bad=skip_bad, workers=workers)
    finally:
        for journal in journals:
            journal.close()
    refused = [*given.refused, *(refusal for journal in journals for refusal in journal.refused)]
    say_refused(refused, given.rows)
    counts = {m.signed: dict(sorted(j.counts.items())) for m, j in zip(members, journals, strict=True)}
    if not any(journal.counts["judgments"] for journal in journals):
        raise InputError(f"nothing could be judged: {_why_nothing(refused, counts)}")
    outputs = [JUDGMENTS, REFUSED]
    write_jsonl(run.path / JUDGMENTS, _rows(journals, "judgments"))
    write_refused(run.path / REFUSED, refused)
    if any(journal.counts["votes"] for journal in journals):
        write_jsonl(run.path / VOTES, _rows(journals, "votes"))
        outputs.append(VOTES)
    unparsable = [refusal for journal in journals for refusal in journal.unparsable]
    if unparsable:
        write_refused(run.path / UNPARSABLE, unparsable)
        outputs.append(UNPARSABLE)
    facts = {m.signed: j.facts for m, j in zip(members, journals, strict=True) if j.facts}
    run.finish(
        outputs=outputs, prompts=len(given.groups), rows=given.rows, merged=given.merged, refused=len(refused),
        counts=counts, facts=facts, seconds=round(time.monotonic() - started, 3), peak_memory_gb=peak_memory_gb(),
    )  # fmt: skip
    for journal in journals:
        journal.path.unlink()
    return Judged(run.path / JUDGMENTS, counts, len(refused))


def _ask(member: Member, journal: Journal, given: Given, *, skip_bad: bool, workers: Workers | None) -> None:
    """One judge's part, from where its journal ends."""
    _require_parsable(member, journal, over=journal.done == len(given.groups))
    done, total = journal.done, len(given.groups)
    if done == total:
        return
    if member.judge.whole:
        said = itertools.islice(member.judge.judge(given.groups, signed=member.signed), done, None)
    elif workers is None:
        said = member.judge.judge(given.groups[done:], signed=member.signed)
    else:
        said = _by_workers(member, given.groups[done:], workers)
    with task(member.signed, total, done=done) as bar:
        for outcome in said:
            if outcome.refused and not skip_bad:
                first = outcome.refused[0]
                raise InputError(f"{first.place}: {member.signed}: {first.reason}; mend the row or pass --skip-bad")
            journal.add(outcome)
            _require_parsable(member, journal, over=False)
            bar.advance()
    _require_parsable(member, journal, over=True)


def _by_workers(member: Member, groups: Sequence[Any], workers: Workers) -> Iterator[Outcome]:
    """What the judge says of each prompt, in order: said on a cluster, some prompts at a time."""
    work = partial(_of_some, member.judge.one_of(workers.count), member.signed)
    environment = [member.judge.api_key_env] if isinstance(member.judge, ModelJudge) and member.judge.server else []
    found = workers.each(
        work, groups, block=member.judge.block, model=member.judge.runs_a_model, environment=environment
    )
    return (outcome for _, outcome in found)


def _of_some(judge: Judge, signed: str, groups: Sequence[Any]) -> Iterator[tuple[int, Outcome]]:
    return enumerate(judge.judge(groups, signed=signed))


def _require_parsable(member: Member, journal: Journal, *, over: bool) -> None:
    """Raise JudgeError for too many replies without a verdict: at the end, and before as soon as there is no doubt."""
    allowed = getattr(member.judge, "max_unparsable", None)
    bad, asked = journal.counts["unparsable"], journal.counts["asked"]
    if allowed is None or not bad:
        return
    certain = bad >= FEW and rate(bad, asked).low > allowed  # a few at the start are no share yet
    if certain or (over and bad / asked > allowed):
        first = journal.unparsable[0]
        raise JudgeError(
            f"{member.signed}: {bad:,} of {asked:,} replies hold no verdict, more than --max-unparsable {allowed:g}; the first, "
            f"to {first.place}: {first.reason}. Use another judge or form, or raise --max-unparsable: what was asked is kept"
        )


def _rows(journals: Sequence[Journal], name: str) -> Iterator[Row]:
    return (row for journal in journals for row in journal.rows(name))


def _why_nothing(refused: Sequence[Refusal], counts: dict[str, dict[str, int]]) -> str:
    """The most frequent reasons of those that refused a row (with the first place) or abstained."""
    first = {refusal.reason: refusal.place for refusal in reversed(refused)}
    reasons = Counter(refusal.reason for refusal in refused)
    for said in counts.values():
        reasons.update(
            {name.removeprefix("abstained: "): n for name, n in said.items() if name.startswith("abstained")}
        )
    if not reasons:
        return "no prompt has two answers"
    placed = {reason: f"{first[reason]}: {reason}" if reason in first else reason for reason in reasons}
    return ", ".join(f"{placed[reason]} ({count:,})" for reason, count in reasons.most_common(3))


def _kept(out: Path) -> Judged:
    known = read_manifest(out)
    return Judged(out / JUDGMENTS, known["counts"], known["refused"])
