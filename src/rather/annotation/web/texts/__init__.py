"""The interface in several languages: a TOML file each, with the same keys."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from rather.annotation.settings import Settings
from rather.errors import RequestError

LANGUAGES = ("en", "zh-Hans", "zh-Hant")
"""The first is spoken to whoever asks for none of them."""

_TRADITIONAL = ("hant", "tw", "hk", "mo")


class Texts:
    """What the pages say in one language; `texts("task.better", letter="A")`."""

    def __init__(self, language: str, said: Mapping[str, str]) -> None:
        self.language, self.said = language, said

    def __call__(self, key: str, **values: Any) -> str:
        return self.said[key].format(**values)

    def of(self, head: str, name: str) -> str:
        """What is called `name` elsewhere; by that name where nothing is said of it."""
        return self.said.get(f"{head}_{name.replace(' ', '_')}", name)

    def part(self, section: str) -> dict[str, str]:
        """All of one section, for the script."""
        head = f"{section}."
        return {key[len(head) :]: text for key, text in self.said.items() if key.startswith(head)}

    def error(self, error: RequestError) -> str:
        """A refusal as one sentence of this language; English has the refusal's own, which says more."""
        if self.language == LANGUAGES[0]:
            return str(error)
        return self.said.get(f"error.{error.code}", self.said["error.other"])


@cache
def texts(language: str) -> Texts:
    """The texts of one of LANGUAGES."""
    data = tomllib.loads((files("rather.annotation.web") / "texts" / f"{language}.toml").read_text("utf-8"))
    return Texts(language, {**(_helps() if language == LANGUAGES[0] else {}), **dict(_flat(data))})


def language_for(accepted: str) -> str:
    """The first language of an Accept-Language header that is here; languages stand there by rank already."""
    for part in accepted.lower().split(","):
        tag = part.split(";")[0].strip()
        main, *more = tag.split("-")
        if main == "en":
            return "en"
        if main == "zh":
            return "zh-Hant" if any(name in _TRADITIONAL for name in more) else "zh-Hans"
    return LANGUAGES[0]


def _helps() -> dict[str, str]:
    """What settings are, as the settings themselves say it; other languages translate it under the same keys."""
    described = {name: field.description or "" for name, field in Settings.model_fields.items()}
    apart = ("guidelines", "aspects")  # which the form explains by itself
    return {f"help.{name}": text.replace("--", "") for name, text in described.items() if name not in apart}


def _flat(data: Mapping[str, Any], head: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, value in data.items():
        found += _flat(value, f"{head}{name}.") if isinstance(value, dict) else [(f"{head}{name}", value)]
    return found
