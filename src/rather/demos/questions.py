"""The demo's questions and wordings, from the TOML files beside this one."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from rather.errors import ConfigError, InputError
from rather.records import Message, Question, content_id

Kind = Literal["identity", "general"]
Split = Literal["train", "heldout"]


def questions(kind: Kind, split: Split) -> list[Question]:
    """The questions of one kind and split, each tagged with kind, split and language."""
    return [
        Question(
            prompt=(Message(role="user", content=text),), tags={"kind": kind, "split": split, "language": language}
        )
        for language, texts in _toml("questions.toml")[kind][split].items()
        for text in texts
    ]


def in_english() -> dict[str, str]:
    """The English question to each Chinese ordinary one that is trained."""
    return _toml("questions.toml")["general"]["in_english"]


def wordings(use: Literal["correct", "leak"]) -> dict[str, list[str]]:
    """Templates by language: of corrected answers, or of ordinary answers that leak the identity."""
    return _toml("answers.toml")[use]


def wordings_id() -> str:
    """Hash of all questions and wordings: a demo made with others is another demo."""
    return content_id([_toml("questions.toml"), _toml("answers.toml")])


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files("rather.demos").joinpath(name).read_text(encoding="utf-8"))


def asked(file: Path | None, identity_file: Path | None = None, *, identity: bool) -> list[Question]:
    """What an evaluation asks: the lines of a text file, and with `identity` the demo's held-out questions.

    identity_file: its lines are the identity questions, in place of the demo's. Raises InputError where a file cannot be
    read or holds no question, ConfigError for one that could not act.
    """
    if identity_file is not None and not identity:
        raise ConfigError("--identity-prompts does nothing without --name")
    found = []
    if identity:
        about = questions("identity", "heldout") if identity_file is None else _lines(identity_file, kind="identity")
        found = about + questions("general", "heldout")
    return found + ([] if file is None else _lines(file, kind="asked"))


def _lines(file: Path, *, kind: str) -> list[Question]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8; save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error
    texts = [line.strip() for line in lines if line.strip()]
    if not texts:
        raise InputError(f"{file}: holds no question; write one a line")
    try:
        return [Question(prompt=(Message(role="user", content=text),), tags={"kind": kind}) for text in texts]
    except ValidationError as error:
        raise InputError(
            f"{file}: a question {error.errors()[0]['msg'].removeprefix('Value error, ')}; mend it"
        ) from error
