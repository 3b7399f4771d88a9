"""Closed configs: frozen, typed, and deaf to no misspelt key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from rather.errors import ConfigError


class Config(BaseModel):
    """Base of all configs. Field docstrings become the help text."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)

    @classmethod
    def build(cls, values: dict[str, Any], *, where: str = "") -> Self:
        """Validate `values`; every complaint becomes one ConfigError that names the key and the cure."""
        unknown = sorted(set(values) - set(cls.model_fields))
        if unknown:
            hint = did_you_mean(unknown[0].replace("-", "_"), list(cls.model_fields))
            raise ConfigError(f'{where}unknown key "{unknown[0]}"{hint}')
        try:
            return cls.model_validate(values)
        except ConfigError as error:  # from a config's own check of its options against each other
            raise ConfigError(f"{where}{error}") from error
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{where}{key} = {first.get('input')!r:.60}: {reason_of(first)}") from error

    def changed(self, options: Mapping[str, Any]) -> Self:
        """This config with some fields set anew, and checked as a whole."""
        if not options:
            return self
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).build({**given, **options})


# pydantic speaks of types as Python does; these are a user's words for them.
_REASONS = {
    "int_parsing": "input should be a whole number",
    "int_parsing_size": "input should be a whole number",
    "int_from_float": "input should be a whole number",
    "int_type": "input should be a whole number",
    "float_parsing": "input should be a number",
    "float_type": "input should be a number",
    "bool_parsing": "input should be true or false",
    "bool_type": "input should be true or false",
    "string_type": "input should be text",
    "string_too_short": "input should not be empty",
    "list_type": "input should be a list",
    "tuple_type": "input should be a list",
    "dict_type": "input should be a table",
}


def reason_of(error: Mapping[str, Any]) -> str:
    """What is wrong with a value, from one entry of pydantic's `ValidationError.errors()`."""
    return _REASONS.get(error["type"]) or str(error["msg"]).removeprefix("Value error, ").lower()


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """The end of a complaint about an unknown word: the one that was meant, or all that there are."""
    close = difflib.get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else f"; known are {', '.join(known)}"


def read_toml(file: Path) -> dict[str, Any]:
    """A TOML file as a dict. Raises ConfigError with the line where it is broken."""
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{file}: no such file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: is not UTF-8; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror or error})") from error
