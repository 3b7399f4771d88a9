"""Curves of a training run as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from math import nan
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Okabe–Ito: told apart by people who see fewer colours, and in grey.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

_STYLE = {
    "svg.hashsalt": "rather",  # the same curve gives the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}

CURVES: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...] = (
    ("Loss", "nats a pair", (("loss", "loss", BLUE),)),
    ("Does it tell chosen from rejected?", "implicit reward margin, nats", (("margin", "margin", BLUE),)),
    ("Where does the margin come from?", "implicit reward, nats",
     (("chosen_reward", "chosen", BLUE), ("rejected_reward", "rejected", ORANGE))),
    ("Does the chosen answer stay likely?", "change since the start, nats a token",
     (("chosen_logp_change_per_token", "chosen", GREEN),)),
)  # fmt: skip


def training_curves(metrics: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """(question, SVG) for each curve; metrics are the rows of metrics.jsonl."""
    steps = [row["step"] for row in metrics]
    drawn = []
    for title, unit, series in CURVES:
        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(4.6, 2.6), layout="constrained")
            axes = figure.subplots()
            for key, label, colour in series:
                axes.plot(steps, [row.get(key, nan) for row in metrics], color=colour, label=label, linewidth=1.6)
            if "loss" not in {key for key, *_ in series}:
                axes.axhline(0, color="#888888", linewidth=0.8)
            if len(series) > 1:
                axes.legend(frameon=False)
            _count_updates(axes)
            axes.set_ylabel(unit)
            drawn.append((title, _svg(figure)))
    return drawn


# Behind the three above; runs beyond are drawn again from the first, and the legend says so by order.
MANY = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d00")


def comparison_curves(runs: Mapping[str, Sequence[dict[str, Any]]]) -> list[tuple[str, str]]:
    """(question, SVG): one line a run. Losses of different objectives do not compare, so they have no curve here."""
    drawn = []
    for title, unit, key in (
        ("Does it tell chosen from rejected?", "share of pairs won", "accuracy"),
        ("Does the chosen answer stay likely?", "change since the start, nats a token", "chosen_logp_change_per_token"),
        (
            "How far does the rejected one fall?",
            "change since the start, nats a token",
            "rejected_logp_change_per_token",
        ),
    ):
        with matplotlib.rc_context(_STYLE):
            figure = Figure(figsize=(4.6, 2.9), layout="constrained")
            axes = figure.subplots()
            for number, (name, rows) in enumerate(runs.items()):
                values = [row.get(key, nan) for row in rows]
                axes.plot(
                    [row["step"] for row in rows], values, color=MANY[number % len(MANY)], label=name, linewidth=1.4,
                    linestyle=("-", "--", ":")[number // len(MANY) % 3],
                )  # fmt: skip
            axes.legend(frameon=False, fontsize=7)
            _count_updates(axes)
            axes.set_ylabel(unit)
            drawn.append((title, _svg(figure)))
    return drawn


def _count_updates(axes: Axes) -> None:
    """Label the axis of updates, with ticks at whole numbers."""
    axes.set_xlabel("update")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
