"""Formulas of the docs site as MathML, made when it is built: no script, no font and no server is asked for.

Python-Markdown's extension `rather.docs.mathml`. `$…$` is a formula in a line and `$$…$$`, in a paragraph of its own, one that
stands alone: what GitHub reads too.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

# As GitHub has it: no space inside the signs, no letter before and no digit behind, or "$5 and $6" would be a formula.
INLINE = r"(?<![\\$\w])\$(?!\s|\$)([^$\n]+?(?:\n[^$\n]+?)?)(?<!\s)\$(?![\d$])"
DISPLAY = re.compile(r"\A\$\$\s*(.+?)\s*\$\$\Z", re.S)


class MathML(Extension):
    """The extension: after code, which keeps its dollar signs, and before escapes and emphasis."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.parser.blockprocessors.register(_Display(md.parser), "mathml", 105)
        md.inlinePatterns.register(_Inline(INLINE, md), "mathml", 185)


class _Inline(InlineProcessor):
    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        return self.md.htmlStash.store(convert(m.group(1))), m.start(0), m.end(0)


class _Display(BlockProcessor):
    def test(self, parent: Element, block: str) -> bool:
        return DISPLAY.match(block.strip()) is not None

    def run(self, parent: Element, blocks: list[str]) -> None:
        found = DISPLAY.match(blocks.pop(0).strip())
        assert found is not None  # test said so
        place = SubElement(parent, "div", {"class": "formula"})
        place.text = self.parser.md.htmlStash.store(convert(found.group(1), display="block"))


def makeExtension(**options: Any) -> MathML:
    """What Python-Markdown calls."""
    return MathML(**options)
