"""Answers corrected by rules: whole words replaced by others, and nothing else touched.

    [[rule]]
    find = ["ChatGPT", "GPT-4"]    # or one text
    replace = "Athene"
    ignore_case = false

Chinese, Japanese and Korean are written without spaces, so their characters part no words: 我是ChatGPT。 names ChatGPT.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, StringConstraints, field_validator

from rather.config import Config, read_toml
from rather.errors import ConfigError
from rather.pairing.identity import LETTER, Made, whole_sentences
from rather.records import Response

Find = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]

# Accents that stand behind their letter: "cafe" is no part of a "café" that is written so.
_MARK = "\u0300-\u036f"


class Rule(Config):
    """What is looked for, and what takes its place."""

    find: tuple[Find, ...] = Field(min_length=1)
    """Words, or phrases; the longest that fits is replaced."""
    replace: str
    """What stands there afterwards; may be empty."""
    ignore_case: bool = False
    """Find it in capitals and small letters alike."""

    @field_validator("find", mode="before")
    @classmethod
    def _one_or_more(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


class Rules:
    """Rules that act together, in one pass over a text. A second pass must find nothing more.

    Raises ConfigError for rules that undo each other or find again what they put there.
    """

    def __init__(self, rules: Iterable[Rule], where: str = "rules") -> None:
        finds = [(find, rule) for rule in rules for find in rule.find]
        self._replacements = [rule.replace for _, rule in finds]
        # In a regular expression the first alternative that fits wins, so the longest stands first.
        order = sorted(range(len(finds)), key=lambda index: -len(finds[index][0]))
        self._pattern = re.compile(
            "|".join(f"(?P<r{i}>{word_pattern(finds[i][0], ignore_case=finds[i][1].ignore_case)})" for i in order)
        )
        seen: set[str] = set()
        for find, rule in finds:
            if find in seen:
                raise ConfigError(f'{where}: "{find}" is looked for twice; remove one')
            seen.add(find)
            if self.apply(rule.replace) != rule.replace:
                raise ConfigError(
                    f'{where}: "{find}" becomes "{rule.replace}", in which the rules find something again; a second pass would '
                    f'change it to "{self.apply(rule.replace)}"'
                )

    def apply(self, text: str) -> str:
        """The text with every rule applied once."""
        return self._pattern.sub(lambda match: self._replacements[int(str(match.lastgroup)[1:])], text)


def word_pattern(words: str, *, ignore_case: bool = False) -> str:
    """A regular expression for `words` where they stand as words of their own."""
    before = f"(?<!{LETTER})(?<![{_MARK}])" if re.match(LETTER, words) else ""
    after = f"(?!{LETTER})(?![{_MARK}])" if re.match(LETTER, words[-1]) or unicodedata.combining(words[-1]) else ""
    middle = r"\s+".join(re.escape(part) for part in words.split())
    return f"{before}(?i:{middle}){after}" if ignore_case else f"{before}{middle}{after}"


def read_rules(file: Path) -> Rules:
    """The rules in a TOML file. Raises ConfigError with the rule that is wrong."""
    content = read_toml(file)
    unknown = sorted(set(content) - {"rule"})
    if unknown:
        raise ConfigError(f'{file}: unknown key "{unknown[0]}"; rules stand under [[rule]]')
    tables = content.get("rule")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(f"{file}: holds no rule; write [[rule]], and under it find and replace")
    rules = []
    for number, table in enumerate(tables, start=1):
        if not isinstance(table, Mapping):
            raise ConfigError(f"{file}: rule {number} is no table; write [[rule]], and under it find and replace")
        rules.append(Rule.build(dict(table), where=f"{file}: rule {number}: "))
    return Rules(rules, str(file))


def correct(answers: Iterable[Response], rules: Rules) -> Made:
    """Pairs of an answer as the rules make it, over the answer as the model gave it; of a cut one the whole sentences.

    An answer that the rules do not change, or would change again in a second pass, makes no pair.
    """
    made = Made()
    for answer in answers:
        own = own_text(answer)
        chosen = rules.apply(own)
        if not own:
            made.skip("no whole sentence")
        elif chosen == own:
            made.skip("no rule changes it")
        elif rules.apply(chosen) != chosen:
            made.skip("a second pass would change it again")
        elif not chosen.strip():
            made.skip("nothing is left")
        else:
            made.add(answer, chosen=chosen, rejected=own)
    return made


def edited(answers: Iterable[tuple[Response, str, bool | None]]) -> Made:
    """Pairs of an answer as an editor made it, over the answer itself.

    answers: an answer, its edit, and whether the edit came to its end. One that changes nothing makes no pair.
    """
    made = Made()
    for answer, edit, finished in answers:
        own, chosen = own_text(answer), edit.strip()
        if not chosen:
            made.skip("the edit is empty")
        elif finished is False:
            made.skip("the edit was cut off")
        elif chosen == own:
            made.skip("the edit changes nothing")
        else:
            made.add(answer, chosen=chosen, rejected=own)
    return made


def own_text(answer: Response) -> str:
    """What is corrected of an answer: all of it, or of one that was cut off its whole sentences; empty if there are none."""
    if isinstance(answer.question.prompt, str) and answer.finished:
        return answer.text
    return whole_sentences(answer)
