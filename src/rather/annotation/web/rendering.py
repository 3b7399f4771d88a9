"""Answers as HTML that can do nothing: Markdown by markdown-it-py, formulas by latex2mathml, and all of it through nh3.

Whatever a model wrote is hostile until shown otherwise. HTML in an answer is shown as text, images as links (no page is fetched
because somebody looks at a task), and what the first two steps give is sanitised as if it were hostile as well. Every block has its
own direction (`dir="auto"`), so that Arabic in one paragraph does not turn the next.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any
from xml.etree import ElementTree

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from markupsafe import Markup, escape

MOST_RENDERED = 30_000
"""Longer texts are shown as they are: Markdown of that length is no answer, and takes long."""

MOST_SHOWN = 20_000
"""Of a text that is not rendered, so much is seen at once; the rest waits behind one click, whole."""

MOST_FORMULAS = 200
_LONGEST_FORMULA = 2_000

_SLOW = 4_000  # longer texts are rendered beside the event loop

_BLOCKS = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "td", "th", "blockquote")
_OWN_DIRECTION = {
    "paragraph_open",
    "heading_open",
    "list_item_open",
    "td_open",
    "th_open",
    "blockquote_open",
    "bullet_list_open",
    "ordered_list_open",
    "table_open",
}
_MATHML: dict[str, set[str]] = {
    "math": {"display"},
    "mrow": set(),
    "mi": {"mathvariant"},
    "mn": set(),
    "mo": {"stretchy", "fence", "form", "separator", "lspace", "rspace", "minsize", "maxsize", "movablelimits"},
    "mtext": set(),
    "mspace": {"width", "linebreak"},
    "msup": set(),
    "msub": set(),
    "msubsup": set(),
    "mfrac": {"linethickness"},
    "msqrt": set(),
    "mroot": set(),
    "mover": {"accent"},
    "munder": {"accentunder"},
    "munderover": set(),
    "mtable": {"columnalign", "rowspacing", "columnspacing", "displaystyle", "columnlines", "rowlines"},
    "mtr": set(),
    "mtd": {"columnalign"},
    "mstyle": {"displaystyle", "scriptlevel"},
    "mpadded": {"width", "height", "depth", "lspace", "voffset"},
    "mphantom": set(),
    "menclose": {"notation"},
}
_TAGS = {
    "a", "b", "strong", "em", "s", "del", "code", "pre", "p", "br", "hr", "blockquote", "ul", "ol", "li", "table", "thead", "tbody",
    "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6", "span", "div",
}  # fmt: skip
_CLASSES = {"code": {"math-source"}, "div": {"table", "formula"}, "span": {"image"}}
_SCHEMES = ("http", "https", "mailto")
_ADDRESSES = ("http://", "https://", "mailto:")
_ALIGN = re.compile(r"text-align:(left|right|center)")


def rendered(text: str) -> Markup:
    """A text as HTML to be put into a page; a very long one as it is, since reading it as Markdown would keep everybody waiting."""
    return _markdown_html(text) if not is_long(text) else Markup('<p class="asis" dir="auto">{}</p>').format(text)


def is_long(text: str) -> bool:
    """True for a text that is shown as it is, in parts."""
    return len(text) > MOST_RENDERED


async def render_all(texts: Sequence[str]) -> None:
    """Render texts ahead, beside the event loop where that takes long; `rendered` then finds them."""
    for text in texts:
        if _SLOW < len(text) <= MOST_RENDERED:
            await asyncio.to_thread(_markdown_html, text)


@lru_cache(maxsize=256)
def _markdown_html(text: str) -> Markup:
    tokens = _parser().parse(text)
    html = Markup(_cleaner().clean(_parser().renderer.render(tokens, _parser().options, {})))
    if not html.striptags().strip() and "<hr" not in html:  # Markdown that says nothing is shown as it was written
        return Markup('<p class="asis" dir="auto">{}</p>').format(text)
    return html


def _without_own_addresses(tag: str, attribute: str, value: str) -> str | None:
    """An answer links to the world, never to a page of this site."""
    return value if attribute != "href" or value.lower().startswith(_ADDRESSES) else None


@cache
def _cleaner() -> nh3.Cleaner:
    attributes: dict[str, set[str]] = {name: {"dir"} for name in (*_BLOCKS, "ul", "ol", "pre", "code", "table", "span")}
    attributes["ol"] |= {"start"}
    attributes["a"] = {"href", "title"}
    attributes["pre"] |= {"tabindex"}
    attributes["div"] = {"tabindex"}
    attributes["td"] = attributes["th"] = {"dir", "align"}
    attributes |= _MATHML
    return nh3.Cleaner(
        tags=_TAGS | set(_MATHML),
        attributes=attributes,
        allowed_classes=_CLASSES,
        url_schemes=set(_SCHEMES),
        attribute_filter=_without_own_addresses,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
        generic_attribute_prefixes=set(),
        strip_comments=True,
    )


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": 60}).enable(
        ["table", "strikethrough"]
    )
    parser.disable("reference")  # a definition would be swallowed, and what is not seen cannot be judged
    parser.inline.ruler.before("escape", "formula", _formula_inline)
    parser.block.ruler.before("fence", "formula", _formula_block, {"alt": ["paragraph", "blockquote", "list"]})
    parser.core.ruler.push("directions", _directions)
    for name, rule in {
        "formula": _write_formula,
        "image": _write_image,
        "table_open": _write_table_open,
        "table_close": _write_table_close,
        "fence": _write_code,
        "code_block": _write_code,
    }.items():
        parser.add_render_rule(name, rule)
    return parser


def _directions(state: Any) -> None:
    for token in state.tokens:
        if token.type in _OWN_DIRECTION:
            token.attrSet("dir", "auto")
        if token.type in ("td_open", "th_open"):
            align = _ALIGN.fullmatch(str(token.attrGet("style") or ""))
            if align:
                token.attrSet("align", align[1])


def _write_image(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    token = tokens[place]
    source = str(token.attrGet("src") or "")
    name = self.renderInlineAsText(token.children, options, env) or source
    return f'<span class="image"><a href="{escape(source)}">{escape(name)}</a></span>'


def _write_table_open(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return '<div class="table" tabindex="0"><table dir="auto">'


def _write_table_close(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return "</table></div>"


def _write_code(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: Any) -> str:
    return f'<pre dir="ltr" tabindex="0"><code>{escape(tokens[place].content)}</code></pre>'


def _write_formula(self: RendererHTML, tokens: Sequence[Token], place: int, options: Any, env: dict[str, Any]) -> str:
    token = tokens[place]
    env["formulas"] = env.get("formulas", 0) + 1
    mathml = mathml_of(token.content, block=token.block) if env["formulas"] <= MOST_FORMULAS else None
    if mathml is None:
        mathml = f'<code class="math-source" dir="ltr">{escape(token.markup)}</code>'
    return f'<div class="formula" tabindex="0">{mathml}</div>' if token.block else mathml


def mathml_of(formula: str, *, block: bool) -> str | None:
    """LaTeX as MathML; None where that cannot be made of it, and its source is to be shown."""
    from latex2mathml.converter import convert

    if len(formula) > _LONGEST_FORMULA:
        return None
    for name, known in _KNOWN_AS.items():
        formula = formula.replace(f"{{{name}}}", f"{{{known}}}")
    try:
        mathml = convert(formula, display="block" if block else "inline")
        tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(mathml).iter()}
    except Exception:  # the library raises whatever went wrong inside it; the source is shown instead
        return None
    return mathml if tags <= set(_MATHML) else None


_KNOWN_AS = {"aligned": "align*", "gathered": "gather*", "align": "align*", "equation": "align*", "equation*": "align*"}
_CLOSING = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}


def _formula_inline(state: StateInline, silent: bool) -> bool:
    opening = _opening(state.src, state.pos, ("$$", "$", "\\(", "\\["))
    if opening is None:
        return False
    start = state.pos + len(opening)
    end = _end_of_formula(state.src, start, opening, min(state.posMax, start + _LONGEST_FORMULA))
    if end is None:
        return False
    after = end + len(_CLOSING[opening])
    if not silent:
        token = state.push("formula", "", 0)
        token.content, token.markup = state.src[start:end].strip(), state.src[state.pos : after]
    state.pos = after
    return True


def _opening(text: str, at: int, openings: tuple[str, ...]) -> str | None:
    return next((opening for opening in openings if text.startswith(opening, at)), None)


def _end_of_formula(text: str, start: int, opening: str, limit: int) -> int | None:
    """Where a formula ends. A lone "$" is a price unless it stands close to what it encloses, and no digit follows."""
    closing = _CLOSING[opening]
    end = start
    while True:
        end = text.find(closing, end, limit + len(closing))
        if end < 0:
            return None
        if text[end - 1] != "\\" or closing != "$":
            break
        end += 1
    inside = text[start:end]
    if not inside.strip() or "\n\n" in inside:
        return None
    if opening == "$" and (
        inside[0].isspace() or inside[-1].isspace() or text[end + 1 : end + 2].isdigit() or "\n" in inside
    ):
        return None
    return end


def _formula_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """`$$` or `\\[` at the start of a line, up to the line that ends with its other half."""
    if state.is_code_block(first):
        return False
    begin = state.bMarks[first] + state.tShift[first]
    opening = _opening(state.src, begin, ("$$", "\\["))
    if opening is None:
        return False
    closing = _CLOSING[opening]
    lines = [state.src[begin + len(opening) : state.eMarks[first]]]
    line = first
    while not lines[-1].rstrip().endswith(closing):
        line += 1
        if line >= last or state.isEmpty(line) or sum(map(len, lines)) > _LONGEST_FORMULA:
            return False
        lines.append(state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]])
    content = "\n".join(lines).rstrip()[: -len(closing)].strip()
    if not content or closing in content:
        return False
    if silent:
        return True
    state.line = line + 1
    token = state.push("formula", "", 0)
    token.block, token.content = True, content
    token.markup = f"{opening}{content}{closing}"
    token.map = [first, state.line]
    return True


def first_part(text: str) -> str:
    """What is seen at once of a long text."""
    return text[:MOST_SHOWN]


def rest(text: str) -> str:
    """What follows it."""
    return text[MOST_SHOWN:]


_HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u200b\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


def hidden_in(text: str) -> int:
    """How many characters a reader does not see, or is misled by."""
    return len(_HIDDEN.findall(text))


def shown_source(text: str) -> str:
    """A text as it was written, with those characters written out."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)
