"""Curves of a training run as inline SVG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rather.reporting.words import Words

# Okabe–Ito: told apart by people who see fewer colours, and in grey.
BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"

STYLE = {
    "svg.hashsalt": "rather",  # the same curve gives the same file
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}

# Of metrics.jsonl: what was trained on, and beside it what was held out.
HELD_OUT = {"loss": "heldout_loss", "margin": "heldout_margin", "accuracy": "heldout_accuracy"}


@dataclass(frozen=True)
class Curve:
    """One figure: the question that it answers, what its axis counts, and (key, label, colour) of its lines."""

    question: str
    unit: str
    lines: tuple[tuple[str, str, str], ...]


def curves_of(words: Words) -> tuple[Curve, ...]:
    """What is drawn of a run."""
    margin = "score margin" if words.reward == "score" else "implicit reward margin, nats"
    return (
        Curve(
            "Does the loss fall?", f"loss a{'n' * (words.one == 'answer')} {words.one}", (("loss", "trained on", BLUE),)
        ),
        Curve(words.told_apart, margin, (("margin", "trained on", BLUE),)),
        Curve("How often is it right?", words.right, (("accuracy", "trained on", BLUE),)),
        Curve(
            "Where does the margin come from?",
            words.reward,
            (("chosen_reward", words.better, BLUE), ("rejected_reward", words.worse, ORANGE)),
        ),
        Curve(
            words.stays_likely,
            "change, nats a token",
            (("chosen_logp_change_per_token", words.better, GREEN),),
        ),
    )


def training_curves(metrics: Sequence[dict[str, Any]], words: Words) -> list[tuple[str, str]]:
    """(question, SVG) for each curve of which there is anything; metrics are the rows of metrics.jsonl.

    Held-out pairs stand on the same axes as those trained on, a point for each time they were measured.
    """
    metrics[0]["loss"]  # a row without one is no row of a run
    drawn = []
    for curve in curves_of(words):
        if any(key in row for row in metrics for key, *_ in curve.lines):
            with matplotlib.rc_context(STYLE):
                drawn.append((curve.question, _svg(_drawn(curve, metrics))))
    return drawn


def _drawn(curve: Curve, metrics: Sequence[dict[str, Any]]) -> Figure:
    figure = Figure(figsize=(4.6, 2.6), layout="constrained")
    axes = figure.subplots()
    steps = [row["step"] for row in metrics]
    point = "o" if len(steps) == 1 else None  # a line of one point would not be seen
    labels = len(curve.lines)
    for key, label, colour in curve.lines:
        values = [row.get(key, nan) for row in metrics]
        axes.plot(steps, values, color=colour, label=label, linewidth=1.6, marker=point)
        held_out = [(row["step"], row[other]) for row in metrics if (other := HELD_OUT.get(key, "")) in row]
        if held_out:
            labels += 1
            axes.plot(
                *zip(*held_out, strict=True), color=ORANGE, label="held out", linewidth=1.2, marker="o", markersize=4
            )
    keys = {key for key, *_ in curve.lines}
    if "accuracy" in keys:
        axes.set_ylim(-0.03, 1.03)
        axes.axhline(0.5, color="#888888", linewidth=0.8)
    elif "loss" not in keys:
        axes.axhline(0, color="#888888", linewidth=0.8)
    if labels > 1:
        axes.legend(frameon=False, loc="lower right" if "accuracy" in keys else "best")
    _count_updates(axes)
    axes.set_ylabel(curve.unit)
    return figure


# Behind the three above; runs beyond are drawn again from the first, and the legend says so by order.
MANY = (BLUE, ORANGE, GREEN, "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6d00")


def comparison_curves(runs: Mapping[str, Sequence[dict[str, Any]]], words: Words) -> list[tuple[str, str]]:
    """(question, SVG): one line a run. Losses of different objectives do not compare, so they have no curve here."""
    drawn = []
    for title, unit, key in (
        (words.told_apart, words.right, "accuracy"),
        (f"And of {words.many} that were held out?", words.right, "heldout_accuracy"),
        (words.stays_likely, "change, nats a token", "chosen_logp_change_per_token"),
        (words.fall, "change, nats a token", "rejected_logp_change_per_token"),
    ):
        if not any(key in row for rows in runs.values() for row in rows):
            continue
        with matplotlib.rc_context(STYLE):
            figure = Figure(figsize=(4.6, 2.9), layout="constrained")
            axes = figure.subplots()
            for number, (name, rows) in enumerate(runs.items()):
                seen = [(row["step"], row[key]) for row in rows if key in row]
                axes.plot(
                    *zip(*seen or [(nan, nan)], strict=True), color=MANY[number % len(MANY)], label=name, linewidth=1.4,
                    linestyle=("-", "--", ":")[number // len(MANY) % 3], marker="o" if len(seen) == 1 else None,
                )  # fmt: skip
            axes.legend(frameon=False, fontsize=7)
            if "accuracy" in key:
                axes.set_ylim(-0.03, 1.03)
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
