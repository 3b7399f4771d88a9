"""The interface's languages say the same things."""

from __future__ import annotations

import re
import string
from itertools import chain
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("nh3", reason="pip install 'rather[annotate]'")

import rather.annotation.web as web
from rather.annotation.accounts import ROLES
from rather.annotation.settings import Asking
from rather.annotation.tasks import ItemKind, ItemRole
from rather.annotation.web.owner.project import FIELDS
from rather.annotation.web.texts import LANGUAGES, language_for, texts
from rather.auditing import JUDGMENT_CHECKS
from rather.errors import RequestError

_FOLDER = Path(web.__file__).parent


def _holes(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_no_key_is_missing_and_none_is_left_over(language: str) -> None:
    english, other = texts("en").said, texts(language).said
    assert other.keys() == english.keys()
    for key, text in english.items():
        assert other[key].strip(), key
        assert _holes(other[key]) == _holes(text), key


def test_every_text_that_a_page_asks_for_is_there() -> None:
    keys = texts("en").said
    for template in sorted((_FOLDER / "templates").rglob("*.html")):
        found = re.findall(r'\bt(?:\.of)?\("([\w.]+)"(?: if [^"]+ else "([\w.]+)")?', template.read_text())
        for asked in filter(None, chain(*found)):
            whole = asked in keys
            assert whole or any(key.startswith(asked) for key in keys), f"{template.name}: {asked}"
    script = "".join(file.read_text() for file in (_FOLDER / "static").glob("*.js"))
    for asked in [*re.findall(r"\btexts\.(\w+)", script), *re.findall(r'\bsay\("(\w+)"', script)]:
        assert f"work.{asked}" in keys, asked


def test_what_pages_list_has_texts() -> None:
    lists = {
        "owner.role_": ROLES, "board.check_": JUDGMENT_CHECKS, "board.arm_": get_args(Asking), "setup.ask_": get_args(Asking),
        "setup.": FIELDS, "help.": FIELDS, "items.kind_": get_args(ItemKind), "items.role_": get_args(ItemRole),
    }  # fmt: skip
    for head, names in lists.items():
        for name in names:
            assert f"{head}{name}" in texts("en").said
    assert (texts("zh-Hant").of("log.action", "changed settings"), texts("en").of("log.action", "x y")) == (
        "更改組態",
        "x y",
    )


def test_a_browser_is_answered_in_its_language() -> None:
    asked = {
        "": "en",
        "de-DE,de;q=0.9": "en",
        "de,zh-TW;q=0.8,en;q=0.5": "zh-Hant",
        "zh": "zh-Hans",
        "zh-CN,zh;q=0.9": "zh-Hans",
        "zh-Hant-HK": "zh-Hant",
        "zh-HK": "zh-Hant",
        "en-GB,zh;q=0.9": "en",
        ";;,,-": "en",
    }
    assert {header: language_for(header) for header in asked} == asked


def test_an_error_is_said_in_the_readers_language() -> None:
    known = RequestError("there is no item 7", status=404, code="no_item")
    other = RequestError("something of its own", status=418, code="teapot")
    assert texts("en").error(known) == "there is no item 7"
    assert texts("zh-Hans").error(known) == "没有这个任务。"
    assert texts("zh-Hant").error(other) == "請求被拒絕。"
