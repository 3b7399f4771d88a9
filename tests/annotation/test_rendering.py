"""Markdown, code and formulas become HTML that holds nothing else."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("nh3", reason="pip install 'rather[annotate]'")

from rather.annotation.web import rendering
from rather.annotation.web.rendering import MOST_RENDERED, hidden_in, rendered, shown_source
from tests.annotation.hostile import HOSTILE


def test_markdown() -> None:
    assert rendered("a **b** `c`\nd") == '<p dir="auto">a <strong>b</strong> <code>c</code><br>\nd</p>\n'
    assert "<code>x = 1 &lt; 2\n</code></pre>" in rendered("```py\nx = 1 < 2\n```")
    assert '<td dir="auto" align="right">2</td>' in rendered("|a|b|\n|--|-:|\n|1|2|")
    assert '<ol start="3" dir="auto">' in rendered("3. c\n4. d") or '<ol dir="auto" start="3">' in rendered(
        "3. c\n4. d"
    )


def test_html_is_shown_and_images_are_links() -> None:
    assert "&lt;b&gt;x&lt;/b&gt;" in rendered("<b>x</b>")
    linked = rendered("![a chart](https://example.org/x.png)")
    assert "<img" not in linked
    assert re.search(
        r'<a href="https://example.org/x.png"[^>]*rel="noopener noreferrer nofollow"[^>]*>a chart</a>', linked
    )


def test_formulas() -> None:
    assert "<msup><mi>x</mi><mn>2</mn></msup>" in rendered("so $x^2$ grows")
    assert "<msub>" in rendered("so \\(a_1\\) grows")
    assert rendered("$$\na\n- b\n= c\n$$").startswith('<div class="formula" tabindex="0"><math display="block">')
    assert "<mtable" in rendered("$$\\begin{aligned} a &= b \\\\ c &= d \\end{aligned}$$")
    assert "<math" not in rendered("it costs $5 and then $6, or $ 7 $")
    assert "<math" not in rendered("`$x^2$`")


def test_a_formula_that_cannot_be_read_is_shown_as_it_was_written() -> None:
    for source in ("$\\frac{$", "$\\text{a<b}$", "$\\left($"):
        assert '<code class="math-source" dir="ltr">' in rendered(source), source


def test_nothing_is_swallowed() -> None:
    assert "example.org" in rendered("[1]: https://example.org")
    assert "&amp;nbsp;" in rendered("&nbsp;")
    assert "[x]: y" in rendered("[x]: y")
    assert "deep" in rendered("> " * 25 + "deep")


def test_what_is_too_long_for_markdown_is_shown_as_it_is() -> None:
    text = "**<b>**\n" + "- [" * MOST_RENDERED  # nested so, a parser is busy for long
    started = time.process_time()
    assert rendered(text).startswith('<p class="asis" dir="auto">**&lt;b&gt;**')
    assert time.process_time() - started < 1


def test_what_cannot_be_seen_is_counted_and_written_out() -> None:
    assert hidden_in("a\u202eb\x00\u200bc") == 3
    assert shown_source("a\u202eb\x00") == "a⟨U+202E⟩b⟨U+0000⟩"
    assert hidden_in("नमस्ते 👩‍👧 می‌خواهم\tx\n") == 0  # joiners, tabs and line ends are how people write


_KNOWN = set(rendering._TAGS) | set(rendering._MATHML)


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_hostile_text_becomes_known_tags_alone(place: int) -> None:
    text = HOSTILE[place][:MOST_RENDERED].encode("utf-8", "replace").decode()
    started = time.process_time()
    html = rendered(text)
    assert time.process_time() - started < 5
    _assert_tame(html)


@given(st.text(alphabet=st.sampled_from("<>\"'&$\\[]()*_`#!|-={}/:\n abjst\x00\u202e"), max_size=120))
def test_whatever_is_written_becomes_known_tags_alone(text: str) -> None:
    _assert_tame(rendered(text))


def _assert_tame(html: str) -> None:
    for tag, attributes in re.findall(r"<\s*/?([^\s>/]+)([^>]*)>", html):
        assert tag in _KNOWN, tag
        assert not re.search(r"\bon\w+\s*=", re.sub(r'"[^"]*"', '""', attributes)), attributes
        for source in re.findall(r'(?:href|src)="([^"]*)"', attributes):
            assert re.match(r"https?://|mailto:", source), source
