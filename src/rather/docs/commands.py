"""docs/cli.md: every command with all its options, read from the command line itself."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from cyclopts import App

from rather.app import app
from rather.cli import VERBS
from rather.errors import RatherError


def page() -> str:
    """The page. Raises RatherError for a command or an option without a word of help."""
    sections = "\n\n".join(_section(path, command) for path, command in commands())
    return f"""# Commands

Written by `make docs` from the code; do not edit.

Every command takes `--config FILE`: TOML that holds its options under their names
([config](config.md)); flags win over it. An error is one line on stderr and exit status 2; Ctrl-C is 130, and the same
command then goes on. `rather --version` says the version.

{sections}
"""


def commands() -> Iterator[tuple[str, App]]:
    """`rather VERB …` and its app, for every verb and what is under it."""
    for module in dict.fromkeys(VERBS.values()):
        import_module(module)
    for verb in sorted(VERBS):
        yield from _under(f"rather {verb}", app[verb])


def _under(path: str, command: App) -> Iterator[tuple[str, App]]:
    yield path, command
    for name in command:
        if not name.startswith("-"):
            yield from _under(f"{path} {name}", command[name])


def _section(path: str, command: App) -> str:
    options = list(rows(path, command)) if command.default_command else []
    needed = [
        _needed(name, default) for name, _, default, _ in options if not name.startswith("-") or default == "required"
    ]
    usage = " ".join([path, *needed, *(["[options]"] if len(needed) < len(options) else [])])
    within = [name for name in command if not name.startswith("-")]
    parts = [f"## `{path}`", _said(path, _help(command))]
    if options:
        table = ["| | takes | default | |", "|---|---|---|---|"]
        table += [f"| `{name}` | {takes} | {default} | {said} |" for name, takes, default, said in options]
        parts += [f"```\n{usage}\n```", "\n".join(table)]
    if within:
        parts.append("Under it: " + ", ".join(f"[`{path} {name}`](#{slug(f'{path} {name}')})" for name in within) + ".")
    return "\n\n".join(parts)


def _needed(name: str, default: str) -> str:
    """How a usage line shows what stands there always, or without a name."""
    if name.startswith("-"):
        return f"{name.split('`')[0]} {name.split('`')[0].lstrip('-').upper()}"
    return name if default == "required" else f"[{name}]"


def slug(path: str) -> str:
    """The anchor of a command's section, as GitHub and the site make it."""
    return path.replace(" ", "-")


def rows(path: str, command: App) -> Iterator[tuple[str, str, str, str]]:
    """Name, what it takes, default ("required", if there is none) and meaning of every argument and option."""
    for argument in command.assemble_argument_collection(parse_docstring=True):
        if argument.name == "*":
            continue  # a config, whose fields follow
        default = argument.field_info.default
        if argument.required:
            shown = "required"
        elif default is None or default is inspect.Parameter.empty or default == ():
            shown = ""
        else:
            shown = f"`{str(default).lower() if isinstance(default, bool) else default}`"
        name = " / ".join(argument.names) if argument.index is None else argument.names[0]
        yield (
            name.replace(" / ", "` / `"),
            _takes(argument.hint),
            shown,
            _said(f"{path} {name}", argument.parameter.help or ""),
        )


def _help(command: App) -> str:
    """A command's help up to the numpydoc sections, or what its app says."""
    told = inspect.getdoc(command.default_command) if command.default_command else command.help
    return (told or "").split("\nParameters\n")[0]


def _said(place: str, text: str) -> str:
    """One line. Raises RatherError where there is none: what nobody explained is not documented."""
    said = " ".join(text.split()).replace("|", "\\|")
    if not said:
        raise RatherError(f"{place}: no word of help; write it into the docstring")
    return said


_WORDS = {int: "whole number", float: "number", str: "text", Path: "path", bool: ""}


def _takes(hint: Any) -> str:
    """What an option takes, in a user's words."""
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _takes(inside[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_takes(each) for each in inside if each is not type(None)))
    if origin is Literal:
        return " \\| ".join(f"`{each}`" for each in inside)
    if origin in (list, tuple):
        several = _takes(inside[0])
        return f"{several}, several"
    return _WORDS.get(hint, "text")
