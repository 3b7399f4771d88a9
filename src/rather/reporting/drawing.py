"""What findings hold to be drawn, as inline SVG: one function for each kind of plot.

Texts stay text in the SVG, so that the reader's browser draws them with fonts of its own: no letter becomes a box for want of a
font here. Labels come from data: nothing in them is markup, mathematics or layout.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rather.records import Bars, Curves, Histogram, Map, Plot
from rather.reporting.figures import BLUE, GREEN, MANY, ORANGE, STYLE
from rather.reporting.language import ENGLISH, Language
from rather.reporting.visible import visible

WIDTH, HEIGHT = 4.6, 2.7
# Beyond so many a reader sees no more, and the page grows.
MOST_BARS, MOST_POINTS, MOST_LETTERS = 24, 2_000, 32
_GREY = "#767676"
_DASHES = ("-", "--", ":", "-.")
_MARKERS = "osD^vPX*"

# The first that is there is used to measure Chinese, Japanese and Korean words.
_WIDE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC",
    "Hiragino Sans GB", "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS",
)  # fmt: skip
_WIDE_FILES = ("NotoSansCJK-Regular", "NotoSansSC", "SourceHanSans", "wqy-", "simhei")

UNMEASURED = (
    "Some letters of this figure are in no font of the machine that drew it: your browser draws them with its own, and "
    "their spacing may be a little off."
)


@dataclass(frozen=True)
class Drawn:
    """A plot as the page holds it. note: what a reader must know of it; empty if nothing."""

    title: str
    svg: str
    note: str = ""


def draw(plot: Plot, language: Language = ENGLISH) -> Drawn:
    """The plot as SVG, with a note where it does not show everything."""
    plot = language.plot(plot)
    with warnings.catch_warnings(record=True) as said, matplotlib.rc_context({**STYLE, **_fonts()}):
        warnings.simplefilter("always")
        figure, note = _DRAWING[plot.kind](plot, language)
        svg = _svg(figure)
    unmeasured = [warning for warning in said if "missing from" in str(warning.message)]
    for warning in said:
        if warning not in unmeasured:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    notes = [note, language.say(UNMEASURED) if unmeasured else ""]
    return Drawn(plot.title, svg, " ".join(part for part in notes if part))


def histogram(plot: Histogram, language: Language) -> tuple[Figure, str]:
    """Counts as steps, each group with its own line, so that they are told apart in print."""
    figure, axes = _axes(HEIGHT)
    handles = []
    for number, (counts, colour, dash) in enumerate(zip(plot.groups.values(), _colours(), _dashes(), strict=False)):
        axes.stairs(counts, plot.edges, fill=True, color=colour, alpha=0.28 if number == 0 else 0.16)
        handles.append(axes.stairs(counts, plot.edges, color=colour, linewidth=1.5, linestyle=dash))
    if plot.mark is not None:
        axes.axvline(plot.mark, color=_GREY, linewidth=1)
    axes.set_xlabel(plot.unit)
    axes.set_ylabel(language.say("how many"))
    axes.set_ylim(bottom=0)
    _legend(axes, handles, list(plot.groups))
    return figure, ""


def curves(plot: Curves, language: Language) -> tuple[Figure, str]:
    """Lines through points; a diagonal is what chance would give."""
    figure, axes = _axes(HEIGHT + 0.3)
    handles, names = [], list(plot.lines)
    for (name, points), colour, dash in zip(plot.lines.items(), _colours(), _dashes(), strict=False):
        xs, ys = zip(*points, strict=True) if points else ((), ())
        marker = "o" if len(points) <= 12 and (name in plot.bands or not plot.bands) else None
        for x, low, high in plot.bands.get(name, ()):
            axes.plot((x, x), (low, high), color=colour, linewidth=1, marker="_", markersize=5, alpha=0.7)
        handles += axes.plot(xs, ys, color=colour, linestyle=dash, linewidth=1.6, marker=marker, markersize=3.5)
    if plot.diagonal:
        handles += axes.plot((0, 1), (0, 1), color=_GREY, linewidth=1, linestyle=(0, (1, 2)))
        names.append(language.say("chance"))
    if all(float(x).is_integer() for points in plot.lines.values() for x, _ in points):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # rounds and counts: there is no half one
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    _legend(axes, handles, names)
    return figure, ""


def bars(plot: Bars, language: Language) -> tuple[Figure, str]:
    """A bar a name, from the mark where there is one; what lies below it is hatched as well as coloured."""
    total = len(plot.names)
    names, values = plot.names[:MOST_BARS], plot.values[:MOST_BARS]
    figure, axes = _axes(0.75 + 0.21 * max(3, len(names)))
    start = plot.mark or 0.0
    places = range(len(names))
    above = [value >= start for value in values]
    axes.barh(
        places,
        [value - start for value in values],
        left=start,
        color=[BLUE if up else ORANGE for up in above],
        hatch=["" if up else "////" for up in above],
        edgecolor="white",
        linewidth=0,
        height=0.72,
    )
    if plot.low and plot.high:
        low, high = plot.low[:MOST_BARS], plot.high[:MOST_BARS]
        down = [max(0.0, value - least) for value, least in zip(values, low, strict=True)]
        up = [max(0.0, most - value) for value, most in zip(values, high, strict=True)]
        axes.errorbar(values, places, xerr=(down, up), fmt="o", color="#222222", markersize=2.5, linewidth=1, capsize=2)
    axes.axvline(start, color=_GREY, linewidth=1)
    axes.set_yticks(list(places), [label(name) for name in names])
    axes.grid(False, axis="y")
    axes.invert_yaxis()
    axes.set_xlabel(plot.unit)
    return figure, language.say(f"The first {MOST_BARS} of {total:,}.") if total > MOST_BARS else ""


def plane(plot: Map, language: Language) -> tuple[Figure, str]:
    """Points of named groups; each group is named at its middle, and told from its neighbours by colour and shape."""
    figure, axes = _axes(3.8)
    total = len(plot.points)
    every = -(-total // MOST_POINTS) or 1
    by_group: dict[str, list[tuple[float, float]]] = {}
    for point, group in zip(plot.points, plot.groups, strict=True):
        by_group.setdefault(group, []).append(point)
    for number, (group, points) in enumerate(sorted(by_group.items())):
        drawn = points[::every]
        axes.scatter(
            *zip(*drawn, strict=True),
            s=9,
            alpha=0.55,
            linewidths=0,
            color=MANY[number % len(MANY)],
            marker=_MARKERS[number // len(MANY) % len(_MARKERS)],
        )
        xs, ys = zip(*points, strict=True)
        box = {"facecolor": "white", "alpha": 0.8, "linewidth": 0, "pad": 1}
        axes.text(median(xs), median(ys), label(group), fontsize=7.5, ha="center", va="center", bbox=box, clip_on=True)
    axes.margins(0.22, 0.06)  # names at the rim are not cut
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(language.say("near each other = alike; the axes have no unit"), color=_GREY)
    return figure, language.say(f"One point in {every} is drawn, of {total:,}.") if every > 1 else ""


def label(text: str) -> str:
    """A name from the data as a label: one short visible line."""
    line = " ".join(visible(text).split()) or "(empty)"
    line = line if len(line) <= MOST_LETTERS else f"{line[: MOST_LETTERS - 1]}…"
    return f" {line}" if line.startswith("_") else line  # matplotlib leaves names with a first underscore out


_DRAWING: dict[str, Callable[[Any, Language], tuple[Figure, str]]] = {
    "histogram": histogram,
    "curves": curves,
    "bars": bars,
    "map": plane,
}


def _axes(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def _legend(axes: Axes, handles: Sequence[Any], names: Sequence[str]) -> None:
    if len(handles) > 1:
        axes.legend(handles, [label(name) for name in names], frameon=False, fontsize=7.5)


def _colours() -> tuple[str, ...]:
    return (BLUE, ORANGE, GREEN, *MANY[3:]) * 4


def _dashes() -> list[str]:
    return list(_DASHES) * 8


@cache
def _fonts() -> dict[str, Any]:
    # A label is data: a "$" in it begins no formula.
    return {"font.family": ["DejaVu Sans", *_wide_font()], "text.parse_math": False}


def _wide_font() -> list[str]:
    """The name of a font with Chinese letters, if this machine has one; matplotlib's own list may be older than the font."""
    manager = font_manager.fontManager
    known = set(manager.get_font_names())
    if not known & set(_WIDE_FONTS):
        for file in font_manager.findSystemFonts():
            if any(part in Path(file).name for part in _WIDE_FILES):
                with suppress(OSError, RuntimeError):  # not every file is one that matplotlib reads
                    manager.addfont(file)
        known = set(manager.get_font_names())
    return [name for name in _WIDE_FONTS if name in known][:1]


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
