"""The docs site: it builds without a warning, asks no other place for anything, and writes formulas as MathML."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("zensical")
markdown = pytest.importorskip("markdown")

ROOT = Path(__file__).parents[1]

# What a browser fetches by itself; a link that a reader follows may lead anywhere.
FETCHED = re.compile(
    r"""<(?:script|img|link|iframe|source|video)\b[^>]*?(?:src|href|srcset)\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
)
STYLED = re.compile(r"""(?:@import\s+|url\(\s*)["']?((?:https?:)?//[^"')\s]+)""")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built from a copy so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


def test_every_page_is_built(site: Path) -> None:
    pages = {path.relative_to(ROOT / "docs").with_suffix("") for path in (ROOT / "docs").rglob("*.md")}
    assert pages == {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")} - {Path("404")}


def test_every_page_is_in_the_menu() -> None:
    menu = set(re.findall(r"(\S+\.md)$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), flags=re.M))
    assert menu == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def test_no_page_asks_another_place_for_anything(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert len(pages) > 20
    asked = {(page.name, url) for page in pages for url in FETCHED.findall(page.read_text(encoding="utf-8"))}
    styles = {
        (sheet.name, url) for sheet in site.rglob("*.css") for url in STYLED.findall(sheet.read_text(encoding="utf-8"))
    }
    assert asked | styles == set()


def test_what_would_be_fetched_is_found() -> None:
    for tag in (
        '<script src="https://unpkg.com/x">',
        "<link rel=stylesheet href=//fonts.example/x.css>",
        '<img alt="" src="http://a/b.png">',
    ):
        assert FETCHED.findall(tag), tag
    assert not FETCHED.findall('<a href="https://arxiv.org/abs/2305.18290">')
    assert STYLED.findall("@import 'https://a/b.css'")


def test_every_fence_is_a_block_of_code(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert "```" not in text, page


def test_formulas_become_mathml(site: Path) -> None:
    with_formulas = [page for page in site.rglob("*.html") if "<math" in page.read_text(encoding="utf-8")]
    assert {page.name for page in with_formulas} >= {"bradley-terry-to-dpo.html"}
    for page in with_formulas:
        text = re.sub(r"<(pre|code|script)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.S)
        assert "$$" not in text, page
        assert not re.search(r"\\(frac|log|pi|beta|sigma|mathbb)\b", text), page  # LaTeX that nobody turned


def html(text: str) -> str:
    return markdown.markdown(text, extensions=["fenced_code", "rather.docs.mathml"])


@pytest.mark.parametrize(
    "text",
    ["it costs $5 and $6", "`$x$`", "```\n$x$\n```", r"\$x\$", "a $ b $ c", "US$5 is a$", "$$", "$ $"],
)
def test_other_dollars_stay(text: str) -> None:
    assert "<math" not in html(text)
    assert html(text).count("$") == text.count("$")


@pytest.mark.parametrize(
    ("text", "count", "display"),
    [
        ("$x$", 1, 0),
        ("a $x_c$, $y_r$ b", 2, 0),
        ("$$\n\\frac{a}{b}\n$$", 1, 1),
        ("over\n\n$$\nx\n$$\n\nunder $y$.", 2, 1),
        ("| a |\n|---|\n| $x$ |", 1, 0),
    ],
)
def test_formulas_are_found(text: str, count: int, display: int) -> None:
    written = html(text)
    assert written.count("<math") == count
    assert written.count('display="block"') == display
    assert "_c" not in written.replace("x_c", "") or "<msub>" in written
