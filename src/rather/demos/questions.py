"""The demo's questions and wordings, from the TOML files beside this one."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from rather.errors import InputError
from rather.records import Message, Question

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


def wordings(use: Literal["correct", "leak"]) -> dict[str, list[str]]:
    """Templates by language: of corrected answers, or of ordinary answers that leak the identity."""
    return _toml("answers.toml")[use]


@cache
def _toml(name: str) -> dict[str, Any]:
    return tomllib.loads(files("rather.demos").joinpath(name).read_text(encoding="utf-8"))


def asked(file: Path | None, *, identity: bool) -> list[Question]:
    """What an evaluation asks: the lines of a text file, and with `identity` the demo's held-out questions.

    Raises InputError where the file cannot be read or holds no question.
    """
    found = questions("identity", "heldout") + questions("general", "heldout") if identity else []
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise InputError(f"{file}: is not UTF-8; save it as UTF-8") from error
        except OSError as error:
            raise InputError(f"{file}: cannot be read ({error.strerror or error})") from error
        texts = [line.strip() for line in lines if line.strip()]
        if not texts:
            raise InputError(f"{file}: holds no question; write one a line")
        found += [Question(prompt=(Message(role="user", content=text),), tags={"kind": "asked"}) for text in texts]
    return found
