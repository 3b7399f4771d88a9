"""Options of the command line as users write them: those in a config file, and what is said of a wrong one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

from cyclopts import App, ArgumentCollection, CycloptsError, Parameter, Token
from cyclopts.config import Dict
from cyclopts.exceptions import CoercionError, MissingArgumentError, UnknownOptionError
from pydantic import ValidationError

from rather.config import did_you_mean, read_toml, reason_of
from rather.errors import ConfigError

Allow = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]
Words = Annotated[list[str] | None, Parameter(negative="", consume_multiple=False)]


def positive(flag: str, value: int | None) -> int | None:
    """The value, if it is 1 or more or was not given. Raises ConfigError."""
    if value is not None and value < 1:
        raise ConfigError(f"{flag} {value}: must be 1 or more")
    return value


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
    """A config file's options.

    Raises ConfigError for a table, which would be taken for a command and passed over, and for two spellings of one option.
    """
    values = read_toml(file)
    seen: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            raise ConfigError(f"{file}: [{key}] is a table; options stand at the top, under no heading")
        other = seen.setdefault(key.replace("_", "-"), key)
        if other != key:
            raise ConfigError(f"{file}: {other} and {key} are one option; leave one of them out")
    return Dict(values, source=str(file), use_commands_as_keys=False)


def require_as_written(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """A source of options, to stand behind all others, that gives none: it refuses values that would be taken for others.

    cyclopts rounds 1.5 to a whole number, and a path of no letters is the folder in which the command runs.
    Raises ConfigError.
    """
    for argument in arguments:
        kinds = _kinds_in(argument.hint)
        for token in argument.tokens:
            text = token.value
            if int in kinds and float not in kinds and _has_fraction(text):
                raise ConfigError(
                    f"{_place(token)}{argument.name} {_shown(text)}: {reason_of({'type': 'int_parsing'})}"
                )
            if Path in kinds and not text.strip():
                raise ConfigError(
                    f"{_place(token)}{argument.name} {_shown(text)}: {reason_of({'type': 'string_too_short'})}"
                )


def _kinds_in(hint: object) -> set[object]:
    """A type and all that stand inside it: of `list[Path] | None` also Path."""
    return {hint}.union(*(_kinds_in(inner) for inner in get_args(hint)))


def _has_fraction(text: str) -> bool:
    try:
        return not float(text).is_integer()
    except ValueError:  # what is no number has its own complaint
        return False


def complaint(error: CycloptsError) -> str:
    """What is wrong with an option, in one form for the command line and for a config file."""
    match error:
        case UnknownOptionError() if error.token.source not in ("", "cli"):
            return _unknown_key(error)
        case CoercionError() if error.token is not None and error.token.keyword and error.msg is None:
            flag = error.argument.name if error.argument else error.token.keyword
            kind = _kind(error.target_type)
            return f"{_place(error.token)}{flag} {_shown(error.token.value)}: input should be {kind}"
        case MissingArgumentError():
            return f"{error}{_swallowed(error)}"
    if not isinstance(error.__cause__, ValidationError):
        return str(error)
    first = error.__cause__.errors()[0]
    flag = "-".join(part for part in first["loc"] if isinstance(part, str)).replace("_", "-")  # not a place in a list
    fields = error.argument.children if error.argument else []
    tokens = [token for field in fields if f"--{flag}" in field.names for token in field.tokens]
    return f"{_place(tokens[0]) if tokens else ''}--{flag} {_shown(first.get('input'))}: {reason_of(first)}"


def _kind(wanted: object) -> str:
    """A type in a user's words."""
    if get_origin(wanted) is Literal:
        *others, last = (repr(value) for value in get_args(wanted))
        return f"{', '.join(others)} or {last}" if others else last
    return _KINDS.get(wanted, f"a {getattr(wanted, '__name__', 'value')}")


_KINDS: dict[object, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    Path: "a path",
}


def _unknown_key(error: UnknownOptionError) -> str:
    key = (error.token.keyword or error.token.value).strip("[]")
    where = f'{error.token.source}: unknown key "{key}"'
    if key.upper() in {argument.name for argument in error.argument_collection if not argument.name.startswith("-")}:
        return f"{where}; it has no name: put it on the command line"
    known = [
        name.removeprefix("--")
        for argument in error.argument_collection
        for name in argument.names
        if name.startswith("--") and name not in argument.negatives
    ]
    if not known:
        return f"{where}; this command has no options"
    return f"{where}{did_you_mean(key.replace('_', '-'), known)}"


def _swallowed(error: MissingArgumentError) -> str:
    """A hint if the word that is missing stands behind an option that takes every word up to the next option."""
    if error.argument is None or error.argument.name.startswith("-"):
        return ""
    option, taken = "", 0
    for word in error.root_input_tokens or ():
        option, taken = (word, 0) if word.startswith("--") else (option, taken + 1)
        if option and "=" not in option and taken > 1:
            return f" {option} takes all words behind it, also {_shown(word)}: put {error.argument.name} before it."
    return ""


def _place(token: Token) -> str:
    return "" if token.source in ("", "cli") else f"{token.source}: "


def _shown(value: object) -> str:
    """A value in a complaint; blanks would not be seen without quotes."""
    text = str(value)
    return f"{text:.60}" if text.strip() else f'"{text:.60}"'
