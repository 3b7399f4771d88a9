"""`rather signals`: a log of what users did → judgments, with a count of everything that was left out and why."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rather.errors import ConfigError, InputError, RowError
from rather.formats import Refusal, iter_judgments, judgment_rows, require_clean, write_jsonl, write_refused
from rather.formats.sources import parts_of
from rather.formats.values import time_of
from rather.judging.behaviour import Behaviour, Happened
from rather.progress import say, task
from rather.records import Comparison, Event, Judgment, content_id
from rather.rundir import open_run, peak_memory_gb, read_manifest, require_usable, sweep_scratch

JUDGMENTS, REFUSED = "judgments.jsonl", "refused.jsonl"
SIGNED = "behaviour"

# What marks a folder of the collector.
TOKEN = "token"


@dataclass
class Signals:
    """What a log gave. `counts` is the manifest's; `lines` says it to people."""

    judgments: Path
    counts: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        """What was in the log, what was left out, and what came of the rest."""
        c = self.counts
        lines = [
            f"log: {_several(sum(c['events'].values()), 'event')} of {_several(c['users'], 'user')} on "
            f"{_several(c['prompts'], 'prompt')} ({', '.join(f'{count:,} {name}' for name, count in c['events'].items())})"
        ]
        for title, reasons in (("left out", c["left_out"]), ("not compared", c["not_compared"])):
            if reasons:
                lines.append(f"{title}: {sum(reasons.values()):,}")
                lines += [f"  {count:,} × {why}" for why, count in reasons.items()]
        said = f"{_several(c['comparisons'], 'comparison')} and {_several(c['edits'], 'edit')}"
        return [*lines, f"judgments: {c['comparisons'] + c['edits']:,}, of {said}: {self.judgments}"]


@dataclass(frozen=True)
class _Window:
    """Which events are taken: times in seconds since 1970, and names of models."""

    since: float | None
    until: float | None
    models: frozenset[str]

    def why_not(self, event: Event) -> str | None:
        """Why an event lies outside; None for one inside."""
        if self.since is None and self.until is None:
            return None
        if event.at is None:
            return "no time, which --since and --until need"
        if self.since is not None and event.at < self.since:
            return "before --since"
        return "at or after --until" if self.until is not None and event.at >= self.until else None


@dataclass
class _Read:
    """A log as it was read, and what of it was left out."""

    groups: dict[str, list[Event]] = field(default_factory=dict)
    events: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    refused: list[Refusal] = field(default_factory=list)
    unread: list[Refusal] = field(default_factory=list)
    rows: int = 0

    def leave(self, event: Event, why: str) -> None:
        self.left_out[why] += 1
        self.refused.append(Refusal(event.source or event.id, f"{event.event}: {why}"))


def signals(
    logs: str | Path | Sequence[str | Path],
    *,
    out: str | Path,
    since: str | float | None = None,
    until: str | float | None = None,
    model: Sequence[str] = (),
    skip_bad: bool = False,
    config: Behaviour | None = None,
    **options: Any,
) -> Signals:
    """Make judgments of logs of events (files, or folders of `rather signals serve`) under `out`.

    since, until: take what happened from the one to before the other. model: take answers by these models alone. config, options:
    of the judge `behaviour`. Raises InputError for a row that cannot be read (unless `skip_bad`) and where nothing can be judged,
    ConfigError, RunDirError.
    """
    started, out = time.monotonic(), Path(out)
    judge = (config or Behaviour()).changed(options)
    models = (model,) if isinstance(model, str) else tuple(model or ())
    window = _Window(_moment(since, "since"), _moment(until, "until"), frozenset(models))
    if window.since is not None and window.until is not None and window.since >= window.until:
        raise ConfigError(f"--since {since} is not before --until {until}: nothing lies between them")
    require_usable(out)
    read = _read([logs] if isinstance(logs, str | Path) else logs, window)
    if not skip_bad:
        require_clean(read.unread, read.rows)
    groups = [_shown(read, events, window) for events in read.groups.values()]
    groups = [Happened(events[0].prompt, tuple(events)) for events in groups if events]
    if not groups:
        raise InputError(f"nothing can be judged: {_most_common(read.left_out) or 'no event could be read'}")
    plan = {**judge.model_dump(mode="json"), "since": window.since, "until": window.until, "model": sorted(models)}
    inputs = {"events": content_id([happened.id for happened in groups])}
    with open_run(out, step="signals", config=plan, inputs=inputs) as run:
        if run.done:
            say(f"{out}: already made")
            return Signals(out / JUDGMENTS, read_manifest(out)["counts"])
        sweep_scratch(out)
        judgments, said, facts = _judged(judge, groups)
        if not judgments:
            raise InputError(f"nothing can be judged: {_most_common(said) or 'no prompt has two answers'}")
        counts = _counted(read, groups, judgments, said)
        write_jsonl(out / JUDGMENTS, judgment_rows(judgments))
        write_refused(out / REFUSED, [*read.unread, *read.refused])
        run.finish(
            outputs=[JUDGMENTS, REFUSED], counts=counts, facts=facts, seconds=round(time.monotonic() - started, 3),
            peak_memory_gb=peak_memory_gb(),
        )  # fmt: skip
        return Signals(out / JUDGMENTS, counts)


def _read(logs: Sequence[str | Path], window: _Window) -> _Read:
    """The events of all logs by prompt, in the order in which prompts first appear. Equal texts are held once."""
    read = _Read()
    texts: dict[str, str] = {}
    for file in _files_of(logs):
        last: Refusal | None = None
        for found in iter_judgments(file):
            read.rows += 1
            last = found if isinstance(found, Refusal) else None
            if isinstance(found, Refusal):
                read.unread.append(found)
            elif not isinstance(found, Event):
                place = found.source or found.id
                read.unread.append(Refusal(place, f"is a {found.kind}; a log holds events"))
            else:
                read.events[found.event] += 1
                why = window.why_not(found)
                if why is not None:
                    read.leave(found, why)
                    continue
                answer = texts.setdefault(found.answer, found.answer)
                group = read.groups.setdefault(found.prompt_id, [])
                prompt = group[0].prompt if group else found.prompt
                group.append(found.model_copy(update={"prompt": prompt, "answers": (answer,)}))
        if last is not None and _unfinished(file):
            read.unread.pop()
            read.rows -= 1
            read.left_out["the last line of a log, which is not finished yet"] += 1
    return read


def _files_of(logs: Sequence[str | Path]) -> list[str | Path]:
    """The files that are meant: a collector's folder stands for those of its days. Raises InputError for one given twice."""
    files: list[str | Path] = []
    for log in logs:
        days = sorted(Path(log).glob("events-*.jsonl*")) if Path(log).is_dir() else []
        if not any(day.stat().st_size for day in days) and (Path(log) / TOKEN).is_file():
            raise InputError(f"{log}: nothing was collected in this folder yet")
        files += [day for day in days if day.stat().st_size] or parts_of(log, inside=(JUDGMENTS,))
    known = [str(Path(file).resolve()) for file in files]
    twice = next((file for place, file in enumerate(files) if known[place] in known[:place]), None)
    if twice is not None:
        raise InputError(f"{twice}: is given twice; leave one out")
    return files


def _unfinished(file: str | Path) -> bool:
    """True for a file of lines whose last one has no end: a service writes on, or was killed while it wrote."""
    path = Path(file)
    if path.suffix not in (".jsonl", ".ndjson") or not path.stat().st_size:
        return False
    with path.open("rb") as opened:
        opened.seek(-1, 2)
        return opened.read(1) != b"\n"


def _shown(read: _Read, events: list[Event], window: _Window) -> list[Event]:
    """Of one prompt's events those that count, in their order: of answers by the models asked for, to who was shown them."""
    written = _writers(events) if window.models else {}
    shown = {(event.judge, event.answer) for event in events if event.event == "shown"}
    kept = []
    for event in events:
        if window.models and not written.get(event.answer, set()) & window.models:
            read.leave(
                event,
                "of an answer by another model" if event.answer in written else "of an answer by nobody knows whom",
            )
        elif (event.judge, event.answer) not in shown:
            within = " in this time" if window.since is not None or window.until is not None else ""
            read.leave(event, f"of an answer that its user was not shown{within}")
        else:
            kept.append(event)
    if all(event.at is not None for event in kept):  # of several logs
        kept.sort(key=lambda event: event.at or 0.0)
    return kept


def _writers(events: Sequence[Event]) -> dict[str, set[str]]:
    """Who wrote each answer, as any of its events says."""
    written: dict[str, set[str]] = {}
    for event in events:
        if event.models is not None and event.models[0] is not None:
            written.setdefault(event.answer, set()).add(event.models[0])
    return written


def _judged(judge: Behaviour, groups: Sequence[Happened]) -> tuple[list[Judgment], Counter[str], dict[str, Any]]:
    judgments: list[Judgment] = []
    said: Counter[str] = Counter()
    facts: dict[str, Any] = {}
    with task(SIGNED, len(groups)) as bar:
        for outcome in judge.judge(groups, signed=SIGNED):
            judgments += outcome.judgments
            said.update({why.removeprefix("abstained: "): n for why, n in outcome.counts.items()})
            facts |= outcome.facts
            bar.advance()
    return judgments, said, facts


def _counted(
    read: _Read, groups: Sequence[Happened], judgments: Sequence[Judgment], said: Counter[str]
) -> dict[str, Any]:
    edits = sum(isinstance(judgment, Comparison) and judgment.tags.get("event") == "edit" for judgment in judgments)
    two_minds = said.pop("users_of_two_minds", 0)
    left_out = Counter(read.left_out)
    left_out.update(f"cannot be read: {refusal.reason}" for refusal in read.unread)
    return {
        "events": dict(read.events.most_common()), "users": len({event.judge for happened in groups for event in happened.events}),
        "prompts": len(groups), "left_out": dict(left_out.most_common()), "not_compared": dict(said.most_common()),
        "users_of_two_minds": two_minds, "comparisons": len(judgments) - edits, "edits": edits,
    }  # fmt: skip


def _moment(given: str | float | None, name: str) -> float | None:
    try:
        return time_of(given, name)
    except RowError as error:
        raise ConfigError(f"--{name}: {error.reason}") from error


def _most_common(reasons: Counter[str]) -> str:
    return ", ".join(f"{why} ({count:,})" for why, count in itertools.islice(reasons.most_common(), 3))


def _several(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
