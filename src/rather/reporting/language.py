"""A page in another language than the code's: its sentences looked up in a table, by pattern where a part of them changes.

The code says everything in English, and that sentence is the key. `say` looks for it whole, then for the clauses that ";", ":" or
"," part, and for what stands in brackets behind it. What no table has stays as it is: not lost, only untranslated.
To add a language, write a table like zh.toml and a line in `LANGUAGES`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files

from rather.config import did_you_mean
from rather.errors import ConfigError
from rather.records import Bars, Curves, Histogram, Plot

LANGUAGES = {"en": "en", "zh": "zh-CN"}
"""What a user calls a language → what HTML calls it."""

_SLOT = re.compile(r"\{(\w+)\}")
# What parts clauses in English, outside of quotation marks and brackets, and what does here.
_OUTSIDE = r"(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)(?![^()]*\))"
_PARTS = ((re.compile(f"; {_OUTSIDE}"), "；"), (re.compile(f": {_OUTSIDE}"), "："), (re.compile(f", {_OUTSIDE}"), "，"))
_BRACKETS = re.compile(r"(.+) \(([^()]*)\)", re.DOTALL)
_INSIDE = re.compile(r" \(([^()]*)\)")
_ANY = r'(?:"[^"]*"|[^;])+?'
_MORE = re.compile(r" and ([\d,]+) more$")


@dataclass(frozen=True)
class Language:
    """How a page speaks.

    exact     English → the same in this language
    patterns  what a sentence with changing parts looks like, and what it becomes; those with the most fixed letters first
    names     what may be translated where it stands alone as a name in a plot; other names are data
    """

    code: str
    exact: Mapping[str, str] = field(default_factory=dict)
    patterns: tuple[tuple[re.Pattern[str], str], ...] = ()
    names: frozenset[str] = frozenset()

    def say(self, text: str, /, **parts: object) -> str:
        """A sentence of the code, with `parts` in its slots."""
        if parts:
            template = self.exact.get(text, text)
            return _SLOT.sub(lambda slot: self._part(slot[1], str(parts[slot[1]])), template)
        return text if not self.exact else self._known(text) or self._in_clauses(text)

    def _known(self, text: str) -> str | None:
        """The sentence, if the table has it whole."""
        if text in self.exact:
            return self.exact[text]
        for pattern, template in self.patterns:
            if found := pattern.fullmatch(text):
                return _SLOT.sub(lambda slot, found=found: self._part(slot[1], found[slot[1]]), template)
        return None

    def _part(self, slot: str, text: str) -> str:
        """What stands in a slot: `text` and `data` are data, `list` names things of the data and says in brackets what of each."""
        if slot.startswith(("text", "data")):
            return text
        if slot.startswith("list"):
            items = [self._known(item) for item in _PARTS[2][0].split(text)]
            if None not in items:
                return "，".join(map(str, items))
            listed = _INSIDE.sub(lambda found: f"（{self._known(found[1]) or found[1]}）", text)
            listed = listed.replace("）, ", "），")
            return _MORE.sub(lambda found: f" {self.exact.get('and more', '…')} {found[1]}", listed)
        return self._known(text) or text

    def _in_clauses(self, text: str) -> str:
        for between, here in _PARTS:
            clauses = between.split(text)
            # What commas part may be a list of data: it is left alone if not all of it is known.
            if len(clauses) > 1 and (here != "，" or all(map(self._known, clauses))):
                return here.join(self._known(clause) or self._in_clauses(clause) for clause in clauses)
        if bracketed := _BRACKETS.fullmatch(text):
            before, inside = bracketed.groups()
            return f"{self._known(before) or self._in_clauses(before)}（{self._known(inside) or self._in_clauses(inside)}）"
        return text

    def plot(self, plot: Plot) -> Plot:
        """A plot with its titles, units and groups in this language; names that are data stay."""
        if not self.exact:
            return plot
        changed: dict[str, object] = {"title": self.say(plot.title)}
        if isinstance(plot, Histogram):
            changed |= {"unit": self.say(plot.unit), "groups": {self.say(name): n for name, n in plot.groups.items()}}
        elif isinstance(plot, Curves):
            lines = {self.say(name): points for name, points in plot.lines.items()}
            bands = {self.say(name): band for name, band in plot.bands.items()}
            changed |= {"x": self.say(plot.x), "y": self.say(plot.y), "lines": lines, "bands": bands}
        elif isinstance(plot, Bars):
            names = tuple(map(self.say, plot.names)) if self.names.issuperset(plot.names) else plot.names
            changed |= {"unit": self.say(plot.unit), "names": names}
        return plot.model_copy(update=changed)


ENGLISH = Language("en")


@cache
def language(name: str) -> Language:
    """The language that a user named. Raises ConfigError for one that there is no table of."""
    if name not in LANGUAGES:
        raise ConfigError(f"--lang {name}: there is {' and '.join(LANGUAGES)}{did_you_mean(name, list(LANGUAGES))}")
    if name == "en":
        return ENGLISH
    table = tomllib.loads(files("rather.reporting").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    exact = {english: said for section in table.values() for english, said in section.items()}
    slotted = sorted((key for key in exact if _SLOT.search(key)), key=lambda key: -len(_SLOT.sub("", key)))
    return Language(
        LANGUAGES[name], exact, tuple((_pattern(key), exact[key]) for key in slotted), frozenset(table["features"])
    )


def _pattern(english: str) -> re.Pattern[str]:
    """What matches the sentence with anything in its slots; a ";" only in data, and in quotation marks of a text or list."""
    pieces = _SLOT.split(english)
    for place in range(1, len(pieces), 2):
        name = pieces[place]
        what = ".+?" if name.startswith("data") else _ANY if name.startswith(("text", "list")) else "[^;]+?"
        pieces[place] = f"(?P<{name}>{what})"
    return re.compile("".join(re.escape(p) if n % 2 == 0 else p for n, p in enumerate(pieces)), re.DOTALL)
