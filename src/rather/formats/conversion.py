"""`rather convert`: any form that can be read, as any that can be written, one record in memory at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rather.config import did_you_mean
from rather.errors import ConfigError, InputError, RowError, RunDirError
from rather.formats.examples import READERS, as_chat_turns, no_example
from rather.formats.judgments import JUDGMENT_READERS, no_judgment
from rather.formats.refusals import Refusal, rows_said
from rather.formats.streams import Stream
from rather.formats.targets import JUDGMENTS, PLURALS, TARGETS, Target
from rather.formats.values import Row
from rather.formats.votes import read_votes
from rather.formats.writing import Write, open_rows
from rather.progress import say
from rather.records import By, Example, Judgment
from rather.rundir import disk_error

_Records = Iterable[Example | Judgment | Refusal]


@dataclass
class Converted:
    """What `convert` did.

    unkept   what records say by the way and the form has no place for, and how many say it: tags, confidence, …
    refused  file that lists the refused rows, with skip_bad
    """

    out: Path
    format: str = ""
    written: int = 0
    refusals: int = 0
    unkept: Counter[str] = field(default_factory=Counter)
    refused: Path | None = None
    unread_columns: list[str] = field(default_factory=list)


def convert(
    source: str | Path,
    out: str | Path,
    *,
    to: str,
    format: str | None = None,
    answers: str | Path | None = None,
    judge: str | None = None,
    by: By | None = None,
    limit: int | None = None,
    as_chat: bool = False,
    skip_bad: bool = False,
) -> Converted:
    """Read `source` and write it to `out` in the form `to`; the ending of `out` tells the container. Atomic, in constant memory.

    format    the form of the source, if its first row is not to tell it
    answers   file of the pairs of answers that the votes of `source` name by id; with it, `judge` is who voted and `by` what kind
              of judge that is, if no column says
    limit     stop once so many records are written
    as_chat   make each plain-text prompt a user turn
    skip_bad  leave rows out that cannot be read or written, and list them in OUT.refused.jsonl; without it, the first is the error

    Raises InputError where the source cannot be read, or the form cannot hold its kind of records.
    """
    out = Path(out)
    if to not in TARGETS:
        raise ConfigError(f'no form to write is called "{to}"{did_you_mean(to, list(TARGETS))}')
    if limit is not None and limit < 1:
        raise ConfigError(f"--limit {limit}: must be 1 or more")
    if out.exists():
        raise RunDirError(f"{out} is there already; remove it or choose another name")
    records = _records(source, to, format, answers, judge, by)
    job = _Job(TARGETS[to], to, Converted(out), str(source), as_chat=as_chat, skip_bad=skip_bad)
    try:
        job.run(records, limit)
    except OSError as error:
        raise disk_error(error, out, else_="name another file") from error
    done = job.done
    done.format = records.format if isinstance(records, Stream) else "votes"
    if isinstance(records, Stream):
        done.unread_columns = sorted(records.unread_columns)
    _say(done, to)
    return done


def _records(
    source: str | Path, to: str, format: str | None, answers: str | Path | None, judge: str | None, by: By | None
) -> Stream[Example | Judgment] | _Records:
    """The records of the source; where the same row could be two kinds, that which is wanted is tried first."""
    if answers is not None:
        if format is not None:
            raise ConfigError("--format does nothing with --answers: both files have one form each")
        return read_votes(answers, source, judge=judge, by=by)
    if judge is not None:
        raise ConfigError("--judge does nothing without --answers")
    if by is not None:
        raise ConfigError("--by does nothing without --answers")
    wanted, others, unknown = READERS, JUDGMENT_READERS, no_example
    if not any(kind in PLURALS for kind in TARGETS[to].takes):
        wanted, others, unknown = JUDGMENT_READERS, READERS, no_judgment
    readers = {**wanted, **{name if name not in wanted else f"{name}, the other kind": others[name] for name in others}}
    return Stream(source, readers, unknown, format=format, inside=("pairs.jsonl", "judgments.jsonl"))


@dataclass
class _Job:
    """One conversion while it runs."""

    target: Target
    to: str
    done: Converted
    source: str
    as_chat: bool
    skip_bad: bool
    chats: int = 0

    def run(self, records: _Records, limit: int | None) -> None:
        """Write every record, or raise for the first that cannot be. Nothing is left where it fails."""
        beside = self.done.out.with_name(f"{self.done.out.name}.refused.jsonl")
        with ExitStack() as files:
            write = files.enter_context(open_rows(self.done.out))
            refuse = files.enter_context(open_rows(beside)) if self.skip_bad else None
            for record in records:
                self._take(record, write, refuse)
                if limit is not None and self.done.written >= limit:
                    break
            if self.as_chat and not self.chats:
                raise ConfigError("--as-chat does nothing: no prompt is plain text")
            if not self.done.written:
                raise InputError(f"{self.source}: no usable row; {self.done.refusals:,} were refused")
        self.done.refused = beside if self.skip_bad else None

    def _take(self, record: Example | Judgment | Refusal, write: Write, refuse: Write | None) -> None:
        try:
            if isinstance(record, Refusal):
                raise RowError(record.reason)
            self._require_kind(record)
            write(self._row(record))
            self.done.written += 1
        except RowError as error:
            place = record.place if isinstance(record, Refusal) else record.source or self.source
            if refuse is None:
                raise InputError(f"{place}: {error.reason}; remove the row or pass --skip-bad") from error
            self.done.refusals += 1
            refuse({"place": place, "reason": error.reason})

    def _row(self, record: Example | Judgment) -> Row:
        if self.as_chat and isinstance(record.prompt, str):
            record = as_chat_turns(record)
            self.chats += 1
        row = self.target.row(self.to, record)
        self.done.unkept.update(self.target.unkept(record))
        return row

    def _require_kind(self, record: Example | Judgment) -> None:
        takes = self.target.takes
        if record.kind in takes:
            return
        wanted = " or ".join({**PLURALS, **JUDGMENTS}[name] for name in takes)
        wanted = "judgments" if takes == tuple(JUDGMENTS) else wanted
        if isinstance(record, Judgment) and any(
            name in JUDGMENTS for name in takes
        ):  # other rows may be of another kind
            raise RowError(f"is a {record.kind}, and {self.to} holds {wanted}")
        holds, cure = "judgments", "; `rather pair` makes the one of the other"
        if isinstance(record, Example):
            holds, cure = PLURALS[record.kind], cure if takes[0] in PLURALS else ""
        raise InputError(f"{self.source}: holds {holds}, and {self.to} holds {wanted}{cure}")


def _say(done: Converted, to: str) -> None:
    if done.unread_columns:
        say(f"note: columns not used: {', '.join(done.unread_columns)}")
    if done.unkept:
        what = ", ".join(f"{name} (of {count:,} records)" for name, count in sorted(done.unkept.items()))
        say(f"note: {to} has no place for {what}")
    if done.refusals:
        say(f"note: {rows_said(done.refusals)} refused; listed in {done.refused}")
