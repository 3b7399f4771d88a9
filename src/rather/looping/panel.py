"""Who judges in a round, as the panel's file that `rather judge` and `rather evaluate` read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rather.judging.options import members_of_entries
from rather.rundir import atomic_file


def signed(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names under which these judges' judgments stand."""
    return [member.signed for member in members_of_entries(entries, where="judge ")]


def together(one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """All judges of both, one that is in both once."""
    return [*one, *(entry for entry in other if entry not in one)]


def write_panel(path: Path, entries: Sequence[Mapping[str, Any]]) -> Path:
    """The file for `panel`, written only where it would say something else: a step's folder may name it."""
    text = "\n".join(f"[[judges]]\n{_table(entry)}" for entry in entries)
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(text)
    return path


def _table(entry: Mapping[str, Any]) -> str:
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in entry.items())


def _value(value: Any) -> str:
    """As TOML: its texts, numbers and lists are JSON's, but for tables and DEL."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
