"""Which judges a run has, from names and options: `--by NAME[:VALUE]`, once or several times, or a list of them in a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, create_model

from rather.config import Config, did_you_mean, read_toml
from rather.errors import ConfigError
from rather.judging import JUDGES, Judge

By = str | tuple[str, Judge]
"""A judge by name (NAME or NAME:VALUE), or one that is made already with the name that it signs with."""


@dataclass(frozen=True)
class Member:
    """A judge of a panel, and the name under its judgments."""

    signed: str
    key: str
    judge: Judge

    @property
    def config(self) -> dict[str, Any]:
        """What its judgments depend on, for the run's identity."""
        options = self.judge.model_dump(exclude=set(self.judge.neutral), mode="json")
        return {"by": self.key, "signed": self.signed, **options}


def _all_options() -> dict[str, Any]:
    """Every judge's options together; one that several have is one option and reaches each of them."""
    fields: dict[str, Any] = {}
    for name, field in ((n, f) for judge in JUDGES.values() for n, f in judge.model_fields.items()):
        takers = [key for key, judge in JUDGES.items() if name in judge.model_fields]
        text = f"{' '.join((field.description or '').split())} [{', '.join(takers)}]"
        fields.setdefault(name, (field.annotation | None, Field(default=None, description=text)))  # pyright: ignore
    return fields


JudgeOptions: type[Config] = create_model("JudgeOptions", __base__=Config, **_all_options())
JudgeOptions.__doc__ = "Options of all judges. Each reaches every judge of the run that has it."


def members_of(by: Sequence[By], options: Mapping[str, Any], file: Path | None = None) -> list[Member]:
    """The judges of a run. Raises ConfigError for an unknown one, an option that reaches none, and two under one name."""
    options = {name: value for name, value in options.items() if value is not None}
    members = [_member(entry, options) for entry in by]
    made = [type(member.judge) for entry, member in zip(by, members, strict=True) if isinstance(entry, str)]
    for name in options:
        if not any(name in kind.model_fields for kind in made):
            takers = [key for key, judge in JUDGES.items() if name in judge.model_fields]
            if not takers:
                raise ConfigError(f'unknown option "{name}"{did_you_mean(name, list(JudgeOptions.model_fields))}')
            given = ", ".join(member.key for member in members) or "no --by"
            raise ConfigError(
                f"--{name.replace('_', '-')} does nothing with {given}; it belongs to {', '.join(takers)}"
            )
    members += _from_file(file) if file is not None else []
    if not members:
        raise ConfigError(f"nobody judges: give --by NAME; known are {', '.join(JUDGES)}")
    if len({member.judge.reads for member in members}) > 1:
        raise ConfigError("behaviour reads a log of events and the other judges responses; run it by itself")
    names = [member.signed for member in members]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f'two judges sign as "{twice}"; give one of them a name of its own in a --panel file')
    return members


def _member(entry: By, options: Mapping[str, Any], *, signed: str | None = None, where: str = "") -> Member:
    if not isinstance(entry, str):
        return Member(entry[0], entry[0], entry[1])
    key, _, value = entry.partition(":")
    if key not in JUDGES:
        raise ConfigError(f'{where}--by {entry}: no judge is called "{key}"{did_you_mean(key, list(JUDGES))}')
    kind = JUDGES[key]
    own = {name: given for name, given in options.items() if name in kind.model_fields}
    if value:
        if kind.subject is None:
            raise ConfigError(f"{where}--by {entry}: {key} takes no value behind a colon")
        if kind.subject in own:
            raise ConfigError(
                f"{where}--by {entry}: --{kind.subject.replace('_', '-')} says the same again; leave one out"
            )
        own[kind.subject] = value
    missing = [name for name, field in kind.model_fields.items() if field.is_required() and name not in own]
    if missing:
        how = f"{key}:VALUE or --{missing[0].replace('_', '-')} VALUE" if missing[0] == kind.subject else missing[0]
        raise ConfigError(f"{where}--by {key} needs {how}")
    judge = kind.build(own, where=f"{where}{key}: ")
    return Member(signed or _signature(key, judge), key, judge)


def _signature(key: str, judge: Judge) -> str:
    """NAME, or NAME:WHAT for one of many: a model is told by the last part of its path."""
    if judge.subject is None:
        return key
    subject = str(getattr(judge, judge.subject))
    return f"{key}:{subject.rstrip('/').rpartition('/')[-1] or subject}"


def _from_file(file: Path) -> list[Member]:
    """[[judges]] tables: `by`, `name` (what it signs with) and the judge's options."""
    given = read_toml(file)
    if set(given) != {"judges"} or not isinstance(given["judges"], list) or not given["judges"]:
        raise ConfigError(f'{file}: a panel is a list of [[judges]], each with a "by" and options, and nothing else')
    return members_of_entries(given["judges"], where=f"{file}: judge ")


def members_of_entries(entries: Sequence[Any], *, where: str) -> list[Member]:
    """The judges of tables, each with `by`, perhaps a `name`, and options. where: what stands before its number in a complaint."""
    members = []
    for number, entry in enumerate(entries, start=1):
        place = f"{where}{number}: "
        if not isinstance(entry, Mapping) or not isinstance(entry.get("by"), str):
            raise ConfigError(f'{place}has no "by"; known are {", ".join(JUDGES)}')
        name = entry.get("name")
        if name is not None and (not isinstance(name, str) or not name.strip()):
            raise ConfigError(f'{place}"name" is no text')
        options = {key.replace("-", "_"): value for key, value in entry.items() if key not in ("by", "name")}
        key = entry["by"].partition(":")[0]
        unknown = [option for option in options if key in JUDGES and option not in JUDGES[key].model_fields]
        if unknown:
            known = [*JUDGES[key].model_fields, "by", "name"]
            raise ConfigError(f'{place}unknown key "{unknown[0]}"{did_you_mean(unknown[0], known)}')
        members.append(_member(entry["by"], options, signed=name, where=place))
    return members
