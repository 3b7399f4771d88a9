"""Options of the command line as users write them: those in a config file, and what is said of a wrong one."""

from __future__ import annotations

import argparse
from pathlib import Path

from cyclopts import CycloptsError
from cyclopts.config import Dict
from cyclopts.exceptions import UnknownOptionError
from pydantic import ValidationError

from rather.config import did_you_mean, read_toml
from rather.errors import ConfigError


def without_config(arguments: list[str]) -> tuple[list[str], Path | None]:
    """The arguments without `--config FILE`, and the file."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--config", type=Path, action="append", default=[])
    try:
        found, rest = parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise ConfigError("--config takes a TOML file") from error
    if len(found.config) > 1:
        raise ConfigError("--config is given twice; put the options into one file")
    return rest, found.config[0] if found.config else None


def in_config_file(file: Path) -> Dict:
    """A config file's options. Raises ConfigError for a table, which would be taken for a command and passed over."""
    values = read_toml(file)
    table = next((key for key, value in values.items() if isinstance(value, dict)), None)
    if table is not None:
        raise ConfigError(f"{file}: [{table}] is a table; options stand at the top, under no heading")
    return Dict(values, source=str(file), use_commands_as_keys=False)


def complaint(error: CycloptsError) -> str:
    """What is wrong with an option, in one form for the command line and for a config file."""
    if isinstance(error, UnknownOptionError) and error.token.source not in ("", "cli"):
        key = (error.token.keyword or error.token.value).strip("[]")
        names = [name.lstrip("-") for argument in error.argument_collection for name in argument.names]
        return f'{error.token.source}: unknown key "{key}"{did_you_mean(key.replace("_", "-"), names)}'
    if not isinstance(error.__cause__, ValidationError):
        return str(error)
    first = error.__cause__.errors()[0]
    flag = "-".join(part for part in first["loc"] if isinstance(part, str)).replace("_", "-")  # not a place in a list
    fields = error.argument.children if error.argument else []
    sources = [token.source for field in fields if f"--{flag}" in field.names for token in field.tokens]
    where = f"{sources[0]}: " if sources and sources[0] != "cli" else ""
    return f"{where}--{flag} {first.get('input')!s:.60}: {first['msg'].lower()}"
