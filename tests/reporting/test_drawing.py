"""The plots of findings: everything named is there as text, and names from the data are text and nothing else."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from rather.records import Bars, Curves, Histogram, Map, Plot
from rather.reporting import drawing
from rather.reporting.drawing import MOST_BARS, MOST_POINTS, UNMEASURED, draw, label

HOSTILE = '<script>alert("$x_1$")</script>'
HISTOGRAM = Histogram(title="t", unit="words", edges=(0, 1, 2), groups={"chosen": (3, 1), "_rejected": (0, 4)}, mark=0)
CURVES = Curves(title="t", x="false", y="true", lines={"长度": ((0, 0), (0.2, 0.9), (1, 1))}, diagonal=True)
BARS = Bars(
    title="t", unit="share", names=("好的", HOSTILE), values=(0.9, 0.2), low=(0.8, 0.1), high=(1, 0.3), mark=0.5
)
PLANE = Map(title="t", points=((0, 0), (1, 1), (1, 2)), groups=("cooking", "cooking", "$\\frac"))


def texts(svg: str) -> list[str]:
    """The texts of an SVG, which must be well formed."""
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(
    ("plot", "names"),
    [
        (HISTOGRAM, ["words", "how many", "chosen", " _rejected"]),
        (CURVES, ["false", "true", "长度", "chance"]),
        (BARS, ["share", "好的", label(HOSTILE)]),
        (PLANE, ["cooking", "$\\frac"]),
    ],
)
def test_names_and_axes_are_there_as_text(plot: Plot, names: list[str]) -> None:
    drawn = draw(plot)
    found = texts(drawn.svg)
    assert [name for name in names if name not in found] == []
    assert "<script" not in drawn.svg
    assert drawn.title == "t"
    assert draw(plot) == drawn, "the same plot gives the same bytes"


def test_what_is_left_out_is_said() -> None:
    many = MOST_BARS + 6
    bars = Bars(title="t", unit="u", names=tuple(f"word {n}" for n in range(many)), values=(1.0,) * many)
    assert draw(bars).note == f"The first {MOST_BARS} of {many}."
    points = tuple((float(n), 0.0) for n in range(3 * MOST_POINTS))
    drawn = draw(Map(title="t", points=points, groups=("a",) * len(points)))
    assert drawn.note == "One point in 3 is drawn, of 6,000."
    assert len(re.findall("<use ", drawn.svg)) == MOST_POINTS


def test_letters_that_no_font_here_has_are_said_and_still_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_fonts", lambda: {"font.family": ["DejaVu Sans"], "text.parse_math": False})
    drawn = draw(BARS)
    assert drawn.note == UNMEASURED
    assert "好的" in texts(drawn.svg)
    assert draw(HISTOGRAM).note == ""


def test_empty_plots_are_drawn() -> None:
    assert texts(draw(Histogram(title="t", unit="words", edges=(0, 1), groups={"a": (0,)})).svg)
    assert texts(draw(Bars(title="t", unit="share", names=(), values=())).svg)
    assert texts(draw(Curves(title="t", x="x", y="y", lines={"a": ()})).svg)
    assert texts(draw(Map(title="t", points=(), groups=())).svg)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a\n b", "a b"), ("", "(empty)"), ("x" * 40, "x" * 31 + "…"), ("_a", " _a"), ("a\u202eb", "a⟨U+202E⟩b")],
)
def test_a_label_is_one_short_visible_line(text: str, shown: str) -> None:
    assert label(text) == shown
