"""What an evaluation's page shows beyond its first table: tables and plots of pairs, suites, judges, drift and reward models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rather.records import Bars, Curves
from rather.reporting.drawing import Drawn, draw
from rather.stats.proportions import false_discovery


@dataclass(frozen=True)
class Section:
    """A part of the page: a question, what is said in a sentence or more, tables, and plots."""

    title: str
    said: list[str] = field(default_factory=list)
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    plots: list[Drawn] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def sections(figures: Mapping[str, Any]) -> list[Section]:
    """Of eval.json; a part that was not measured has no section."""
    made: list[Section] = []
    for key, build in _SECTIONS.items():
        if figures.get(key):
            made += build(figures[key])
    return made


def _held_out(figures: Mapping[str, Any]) -> list[Section]:
    accuracy = figures["accuracy"]
    rows = [["the model", share(accuracy), "–", "–"]]
    rows += [
        [name, share({**row, "value": row["accuracy"]}), signed(row, "above"), f"{row['p']:.2g}"]
        for name, row in figures["baselines"].items()
    ]
    against = Section(
        "Has it learned more than what can be seen without reading?",
        ["Accuracy on the same held-out pairs, with 95 % intervals by drawing prompts. What tells the better answer unread is "
         "no preference learned."],
        [(["what", "accuracy", "the model above it", "p"], rows)],
        [draw(Bars(
            title="Accuracy", unit="share of held-out pairs", mark=0.5,
            names=("the model", *figures["baselines"]),
            values=(accuracy["value"], *(row["accuracy"] for row in figures["baselines"].values())),
            low=(accuracy["low"], *(row["low"] for row in figures["baselines"].values())),
            high=(accuracy["high"], *(row["high"] for row in figures["baselines"].values())),
        ))],
        figures["warnings"],
    )  # fmt: skip
    gone = figures["displacement"]
    moved = Section(
        "Did the chosen answers become likelier?",
        [f"Chosen fell in {detail(gone['share'])} of the pairs, by more than {-gone['far_below']:g} nats a token in "
         f"{detail(gone['far'])}. Rejected changed by {gone['rejected_mean']:+.3f} nats a token on average."],
        [(["share of pairs below", *(f"{float(at):.0%}" for at in gone["quantiles"])],
          [["chosen's change, nats a token", *(f"{value:+.3f}" for value in gone["quantiles"].values())]])],
    )  # fmt: skip
    return [against, *_calibration(figures), *_slices(figures), moved]


def _calibration(figures: Mapping[str, Any]) -> list[Section]:
    found = figures.get("calibration")
    if not found:
        return []
    bins = found["bins"]
    said = [
        f"Expected calibration error {found['ece']:.3f}; a model that is right exactly as often as it says shows "
        f"{found['ece_chance']:.3f} on so many pairs (95 % of draws below {found['ece_chance_high']:.3f}). Mean confidence less "
        f"share right: {found['over']:+.1%} ({found['over_low']:+.1%} to {found['over_high']:+.1%}).",
    ]  # fmt: skip
    if found["slope"]:
        value, low, high = found["slope"]
        said.append(
            f"Its logits would be calibrated on average if multiplied by {value:.2f} ({low:.2f} to {high:.2f})."
        )
    table = [
        [f"{row['confidence']:.0%}", f"{row['right']:.0%} ({row['low']:.0%} to {row['high']:.0%})", f"{row['pairs']:,}"]
        for row in bins
    ]
    diagram = Curves(
        title="Reliability", x="how sure it is, σ(β·h) of the preferred answer", y="how often it is right",
        lines={
            "the model": tuple((row["confidence"], row["right"]) for row in bins),
            "as often as it says": ((0.5, 0.5), (1.0, 1.0)),
        },
        bands={"the model": tuple((row["confidence"], row["low"], row["high"]) for row in bins)},
    )  # fmt: skip
    return [Section("Is it right as often as it is sure?", said,
                    [(["sure", "right", "pairs"], table)], [draw(diagram)])]  # fmt: skip


def _slices(figures: Mapping[str, Any]) -> list[Section]:
    rows = figures["slices"]
    if not rows:
        return []
    apart = figures.get("slices_apart", [])
    said = "Slices that certainly differ from the rest (false discoveries held at 5 %): " + (
        "; ".join(apart) if apart else "none."
    )
    table = [
        [row["by"], row["name"], f"{row['pairs']:,}", share({**row, "value": row["accuracy"]}), f"{row['q']:.2g}"]
        for row in rows
    ]
    return [Section("Where is it right, and where not?", [said], [(["by", "slice", "pairs", "accuracy", "q"], table)])]


def _reward(figures: Mapping[str, Any]) -> list[Section]:
    accuracy = figures["accuracy"]
    said = [f"The better answer gets the higher score in {share(accuracy)} of {figures['pairs']:,} pairs."]
    tables = [(["told without reading", "accuracy"],
               [[name, f"{value:.1%}"] for name, value in figures["baselines"].items()])]  # fmt: skip
    if "rewardbench" in figures:
        bench = figures["rewardbench"]
        rows = [[name, f"{value:.1%}"] for name, value in bench["sections"].items()]
        tables.append((["RewardBench", "accuracy"], [*rows, ["mean", f"{bench['score']:.1%}"]]))
        if not bench["complete"]:
            said.append("The mean is over the sections that are here, and no score of the leaderboard.")
    return [Section("Does it score the better answer higher?", said, tables), *_calibration(figures), *_slices(figures)]


def _suites(figures: Mapping[str, Any]) -> list[Section]:
    rows = []
    for name, suite in figures.items():
        rows.append([name, "all", detail(suite["before"]), detail(suite["after"]), f"{suite['p']:.2g}"])
        for group, form in (("by_kind", "{}"), ("by_language", "asked in {}")):
            rows += [
                ["", form.format(kind), detail(row["before"]), detail(row["after"]), f"{row['p']:.2g}"]
                for kind, row in suite.get(group, {}).items()
            ]
    return [Section(
        "How does it behave?",
        ["Shares of questions whose answer keeps every rule, with 95 % intervals; p of McNemar's exact test. Rules read words, not "
         "meaning: suites.jsonl has each answer and the first rule that it breaks."],
        [(["suite", "questions", "before", "after", "p"], rows)],
    )]  # fmt: skip


def _forgetting(figures: Mapping[str, Any]) -> list[Section]:
    rows = [("all", figures), *figures["by_language"].items()]
    table = [
        [
            name,
            f"{row['perplexity_before']:.2f}",
            f"{row['perplexity_after']:.2f}",
            signed(row, "change", percent=False),
        ]
        for name, row in rows
    ]
    return [Section(
        "What has it forgotten?", ["Perplexity on texts written for this project, which nobody trained on."],
        [(["texts", "before", "after", "nats a token (95 % interval)"], table)],
    )]  # fmt: skip


def _lm_eval(figures: Mapping[str, Any]) -> list[Section]:
    rows = [
        [task, metric, f"{row['before']:.4f}", f"{row['after']:.4f}",
         signed(row, "difference", percent=False) if "low" in row else f"{row['difference']:+.4f}"]
        for task, metrics in figures.items() for metric, row in metrics.items()
    ]  # fmt: skip
    return [Section("And on public tasks?", [], [(["task", "metric", "before", "after", "difference"], rows)])]


def _judged(figures: Mapping[str, Any]) -> list[Section]:
    return [_by_judge(name, row) for name, row in figures.items()]


def _by_judge(name: str, row: Mapping[str, Any]) -> Section:
    rows, said = [], []
    for model, found in sorted(row["models"].items(), key=lambda item: -item[1]["rate"]):
        even = found.get("length_controlled")
        rows.append([
            model, share({**found, "value": found["rate"]}),
            "–" if even is None else share({**even, "value": even["rate"]}),
            f"{found['wins']:,} / {found['ties']:,} / {found['losses']:,}", detail(found["decided"]),
            "–" if found["p"] is None else f"{found['p']:.2g}",
            "–" if found["smallest"] is None else f"{found['smallest']:.1%}",
        ])  # fmt: skip
        if even is not None and even["extrapolated"]:
            said.append(
                f"Every answer of {model} is longer (or every one shorter): equal lengths lie outside what was judged."
            )
        if found.get("flips"):
            said.append(
                f"Shown in the other order, its verdict on {model} turned in {detail(found['flips'])} of the prompts."
            )
    tables = [(
        ["model", "win rate", "at equal lengths", "won / tied / lost", "of decided prompts", "p", "smallest found"], rows,
    )]  # fmt: skip
    plots = []
    board = row.get("leaderboard")
    if board:
        entries = board["models"]
        tables.append((["model", "score (Elo)", "wins against another", "place", "verdicts"], [
            [each["model"], f"{each['elo']:.0f} ± {each['elo_half']:.0f}", f"{each['chance']:.0%}",
             f"{each['place_low']}" if each["place_low"] == each["place_high"] else f"{each['place_low']} to {each['place_high']}",
             f"{each['verdicts']:,}"] for each in entries
        ]))  # fmt: skip
        tables.reverse()  # all against all says more than each against one
        plots.append(draw(Bars(
            title="Leaderboard", unit="Bradley–Terry score, logits", mark=0.0, names=tuple(each["model"] for each in entries),
            values=tuple(each["score"] for each in entries), low=tuple(each["low"] for each in entries),
            high=tuple(each["high"] for each in entries),
        )))  # fmt: skip
        if board["held"]:
            said.append("A model won or lost everything: a prior keeps its score finite, and its distance says little.")
    said += _sides_said(row["models"])
    who = f"{name}, {row['judges']:,} voters" if row["judges"] > 1 else name
    lead = f"Against {row['reference']}, {row['verdicts']:,} verdicts; every prompt counts the same, a tie half."
    return Section(f"Who wins, by {who}?", [lead, *said], tables, plots)


def _sides_said(models: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """On which models the judge leans to a side; of many models some would seem so by chance (false discoveries held at 5 %)."""
    tested = {model: found for model, found in models.items() if found.get("shown_first_p") is not None}
    q = false_discovery(np.array([found["shown_first_p"] for found in tested.values()]))
    leaning = [
        (found["shown_first_named"], model)
        for (model, found), each in zip(tested.items(), q, strict=True)
        if each < 0.05
    ]
    if not leaning:
        return []
    leaning.sort(key=lambda one: -abs(one[0] - 0.5))
    shown = ", ".join(f"{share:.0%} on {model}" for share, model in leaning[:_MOST_SAID])
    more = f" and {len(leaning) - _MOST_SAID:,} more" if len(leaning) > _MOST_SAID else ""
    return [f"The judge named the answer shown first in {shown}{more}, of its verdicts that name one."]


_MOST_SAID = 5


def _best_of(figures: Mapping[str, Any]) -> list[Section]:
    curve = figures["curve"]
    rows = [
        [f"{row['n']}", f"{row['score']:.4g} ({row['low']:.4g} to {row['high']:.4g})", signed(row, "gain", percent=False),
         f"{row['kl']:.2f}"] for row in curve
    ]  # fmt: skip
    plot = Curves(
        title="Best of n", x="KL of choosing, nats", y=f"score by {figures['gold']}",
        lines={figures["proxy"]: tuple((row["kl"], row["score"]) for row in curve)},
        bands={figures["proxy"]: tuple((row["kl"], row["low"], row["high"]) for row in curve)},
    )  # fmt: skip
    return [Section(
        f"How good is the answer that {figures['proxy']} takes?",
        [f"{figures['proxy']} takes the best of n, {figures['gold']} says how good it is; {figures['prompts']:,} prompts."],
        [(["n", f"score by {figures['gold']}", "gain over one", "KL"], rows)], [draw(plot)],
    )]  # fmt: skip


def _answers(figures: Mapping[str, Any]) -> list[Section]:
    return [Section(
        "How do its answers look?",
        ["Answers that have a trait now and had it not before, the other way round, and p of McNemar's exact test."],
        [(["trait", "gained", "lost", "p"],
          [[name.replace("_", " "), f"{row['gained']}", f"{row['lost']}", "–" if row["p"] is None else f"{row['p']:.2g}"]
           for name, row in figures.items()])],
    )]  # fmt: skip


_SECTIONS: dict[str, Callable[[Mapping[str, Any]], list[Section]]] = {
    "heldout": _held_out, "reward": _reward, "judged": _judged, "best_of_n": _best_of, "suites": _suites,
    "forgetting": _forgetting, "lm_eval": _lm_eval, "answers_changed": _answers,
}  # fmt: skip


# What the comparison shows of each run: (what, where it stands, how it is written).
def comparison_of(runs: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """(what, value of each run) of whatever at least one run measured."""
    rows = [(what, [_at(figures, path, written) for figures in runs]) for what, path, written in _COMPARED]
    for name in dict.fromkeys(name for figures in runs for name in figures.get("suites", {})):
        rows.append((f"suite {name}", [_at(figures, ("suites", name, "after"), detail) for figures in runs]))
    for name in dict.fromkeys(name for figures in runs for name in figures.get("judged", {})):
        rows.append((f"win rate by {name}", [_wins(figures, name) for figures in runs]))
    return [(what, cells) for what, cells in rows if any(cell != "–" for cell in cells)]


def _wins(figures: Mapping[str, Any], judge: str) -> str:
    models = figures.get("judged", {}).get(judge, {}).get("models", {})
    return "; ".join(share({**row, "value": row["rate"]}) for row in models.values()) or "–"


def _at(figures: Mapping[str, Any], path: Sequence[str], written: Callable[[Any], str]) -> str:
    value: Any = figures
    for key in path:
        if not isinstance(value, Mapping) or value.get(key) is None:
            return "–"
        value = value[key]
    return written(value)


def share(row: Mapping[str, Any]) -> str:
    """A value with its interval."""
    return f"{row['value']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


def detail(row: Mapping[str, Any]) -> str:
    """A rate with its counts and its interval."""
    value = row["hits"] / row["total"] if row["total"] else 0.0
    return f"{value:.1%} ({row['hits']} of {row['total']}; {row['low']:.0%} to {row['high']:.0%})"


def signed(row: Mapping[str, Any], name: str, *, percent: bool = True) -> str:
    """A difference with its interval, which stands under NAME_low and NAME_high, or low and high."""
    low, high = (row.get(f"{name}_{side}", row.get(side)) for side in ("low", "high"))
    form = "+.1%" if percent else "+.3f"
    return f"{row[name]:{form}} ({low:{form}} to {high:{form}})"


def _number(form: str) -> Callable[[Any], str]:
    return lambda value: format(value, form)


_COMPARED: tuple[tuple[str, tuple[str, ...], Callable[[Any], str]], ...] = (
    ("accuracy on held-out pairs", ("heldout", "accuracy"), share),
    ("accuracy of the reward model", ("reward", "accuracy"), share),
    ("margin, nats", ("heldout_margin",), _number("+.2f")),
    ("chosen's change, nats a token", ("heldout_chosen_change_per_token",), _number("+.3f")),
    ("expected calibration error", ("heldout", "calibration", "ece"), _number(".3f")),
    ("… by chance alone", ("heldout", "calibration", "ece_chance"), _number(".3f")),
    ("KL to the reference, nats an answer", ("kl_detail", "exact"), _number(".2f")),
    ("entropy, nats a token", ("kl_detail", "entropy_per_token"), _number(".2f")),
    ("names the identity", ("identity_rate_after_detail",), detail),
    ("leaks it", ("leak_rate_after_detail",), detail),
    ("words an answer", ("answers_after", "mean_words"), _number(".1f")),
    ("different words (distinct-1)", ("answers_after", "distinct_1"), _number(".3f")),
    ("goes round in circles", ("answers_after", "traits", "loops"), detail),
    ("declines to answer", ("answers_after", "traits", "refuses"), detail),
    ("changes the language", ("answers_after", "traits", "changes_language"), detail),
    ("ends its turn by itself", ("answers_after", "traits", "ends_its_turn"), detail),
    ("perplexity before", ("forgetting", "perplexity_before"), _number(".2f")),
    ("perplexity after", ("forgetting", "perplexity_after"), _number(".2f")),
)


def short_names(folders: Sequence[Path]) -> list[str]:
    """The last part of each path, and as many before it as tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for size in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-size:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return ["/".join(part) for part in parts]
