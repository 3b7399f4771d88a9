"""What the page says in words and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rather.reporting.words import Words, words_of

Row = tuple[str, str, str, str]

# What the comparison of runs shows of metrics.jsonl.
SHOWN = ("loss", "accuracy", "chosen_logp_change_per_token", "rejected_logp_change_per_token")


def headline(
    figures: Mapping[str, Any], audit: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]], words: Words
) -> list[str]:
    """What a reader needs first, in a few sentences."""
    said = []
    if "identity_rate_after" in figures:
        who = figures["identity"]
        said.append(
            f"Asked who it is, in words that it was not trained on, the model names {who['name']} (of {who['maker']}) in "
            f"{figures['identity_rate_after']:.0%} of the answers; before, in {figures['identity_rate_before']:.0%}."
        )
        leaks = figures["leak_rate_after_detail"]
        said.append(
            f"In {leaks['hits']} of {leaks['total']} ordinary answers the identity turns up where it does not belong."
        )
    elif "heldout_accuracy" in figures:
        said.append(_HELD_OUT_SAID[_kind(figures)].format(f"{figures['heldout_accuracy']:.0%}") + _beside(figures))
    elif any(figures.get(part) for part in ("reward", "judged", "suites")):
        said += _of_parts(figures)
    elif metrics:
        last = metrics[-1]
        margin = f" and the margin {_signed(last['margin'])}" if "margin" in last else ""
        unit = " nats" if margin and words.reward != "score" else ""
        said.append(f"After {last['step']} updates the loss is {last['loss']:.3f}{margin}{unit}.")
        said += _held_out(metrics, words)
        if words.reward != "score":
            said.append("What the model now says has not been measured yet: `rather evaluate`.")
    if audit:
        doubts = sorted({finding["check"] for finding in audit["findings"] if finding["verdict"] != "pass"})
        said.append(
            f"The audit of the {words.many} says {audit['verdict']}{': ' if doubts else ''}{', '.join(doubts)}."
        )
    return said


def subject(manifest: Mapping[str, Any]) -> str:
    """Which models an evaluation measured, as they were named on the command line."""
    names = [manifest[key] for key in ("name", "reference") if manifest.get(key)]
    return " beside ".join(names)


def _beside(figures: Mapping[str, Any]) -> str:
    """What does best on the same pairs and learned nothing: the accuracy says little by itself."""
    baselines = figures.get("heldout", {}).get("baselines", {})
    if not baselines:
        return ""
    best = max(baselines, key=lambda name: baselines[name]["accuracy"])
    return f" The best baseline, {best}, tells {baselines[best]['accuracy']:.0%}."


def _of_parts(figures: Mapping[str, Any]) -> list[str]:
    """Of an evaluation without held-out pairs and identity: who wins, what suites say, how good a reward model is."""
    said = []
    if figures.get("reward"):
        said.append(
            f"The better answer gets the higher score in {figures['reward']['accuracy']['value']:.0%} of the pairs."
        )
    for judge, row in figures.get("judged", {}).items():
        if row.get("leaderboard"):
            models = row["leaderboard"]["models"]
            top, last = (
                models[0],
                f" to {models[0]['place_high']}" if models[0]["place_high"] > models[0]["place_low"] else "",
            )
            said.append(
                f"By {judge}, {top['model']} stands first of {len(models)} models (place {top['place_low']}{last})."
            )
            continue
        best = max(row["models"], key=lambda name: row["models"][name]["rate"])
        found = row["models"][best]
        within = f"{found['rate']:.0%} ({found['low']:.0%} to {found['high']:.0%})"
        said.append(f"By {judge}, {best} wins {within} against {row['reference']}.")
    for name, suite in figures.get("suites", {}).items():
        before, after = (f"{suite[when]['hits'] / suite[when]['total']:.0%}" for when in ("before", "after"))
        said.append(f"In the suite {name}, {after} of the answers keep the rules; before, {before}.")
    return said


def _held_out(metrics: Sequence[Mapping[str, Any]], words: Words) -> list[str]:
    """Where the loss of the examples that were not trained on was lowest."""
    measured = [row for row in metrics if "heldout_loss" in row]
    if not measured:
        return []
    best = min(measured, key=lambda row: row["heldout_loss"])
    return [
        f"On {words.many} that it was not trained on the loss is lowest after update {best['step']}: "
        f"{best['heldout_loss']:.3f}, with {best['heldout_accuracy']:.0%} right ({words.right})."
    ]


def eval_rows(figures: Mapping[str, Any]) -> list[Row]:
    """(what, before, after, against what) for the table of figures; a figure that was not measured has no row."""
    rows: list[Row] = []

    def rate_row(key: str, what: str, note: str) -> None:
        if f"{key}_after_detail" in figures:
            rows.append(
                (what, _rate(figures.get(f"{key}_before_detail")), _rate(figures.get(f"{key}_after_detail")), note)
            )

    rate_row("identity_rate", "Names the identity, all held-out questions", "share of answers; 95 % interval")
    languages = sorted(k.removeprefix("identity_rate_after_") for k in figures if k.startswith("identity_rate_after_"))
    for language in (name for name in languages if "detail" not in name):
        before, after = (figures.get(f"identity_rate_{when}_{language}_detail") for when in ("before", "after"))
        rows.append((f"… asked in {_LANGUAGES.get(language, language)}", _rate(before), _rate(after), "the same"))
    rate_row("leak_rate", "Leaks it into ordinary answers", "share of answers; 0 is right")
    if "heldout_accuracy" in figures:
        rows += _held_out_rows(figures)
    if "kl_detail" in figures:
        kl = figures["kl_detail"]
        error = "" if kl["standard_error"] is None else f" ± {kl['standard_error']:.1f}"
        rows.append(
            (
                "KL to the start model",
                "0",
                f"{kl['per_sequence']:.1f}{error}",
                f"nats an answer, {kl['per_token']:.2f} a token; {kl['samples']} fresh samples, ± standard error",
            )
        )
        rows += _whole_vocabulary(kl)
    if "answers_after" in figures:
        before, after = figures["answers_before"], figures["answers_after"]
        rows.append(
            ("Repetition", f"{before['repetition']:.1%}", f"{after['repetition']:.1%}", "share of repeated 3-word runs")
        )
        rows.append(
            ("Length of answers", f"{before['mean_characters']:.0f}", f"{after['mean_characters']:.0f}", "characters")
        )
        rows.append(
            (
                "Ends its turn by itself",
                f"{before['finished']:.0%}",
                f"{after['finished']:.0%}",
                "within the tokens given",
            )
        )
        rows += _looks(before, after)
    return rows


def _whole_vocabulary(kl: Mapping[str, Any]) -> list[Row]:
    """The same KL with less noise, and the entropy; evaluations of older versions have neither."""
    if "exact" not in kl:
        return []
    within = "" if kl["exact_low"] is None else f" ({kl['exact_low']:.1f} to {kl['exact_high']:.1f})"
    return [
        ("… over the whole vocabulary", "0", f"{kl['exact']:.1f}{within}", "nats an answer: the same mean, less noise; 95 %"),
        ("Entropy of its predictions", "–", f"{kl['entropy_per_token']:.2f}", "nats a token, along its own samples"),
    ]  # fmt: skip


_TRAITS = {
    "loops": "Goes round in circles",
    "refuses": "Declines to answer",
    "changes_language": "Answers in another language",
    "empty": "Says nothing",
}


def _looks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Row]:
    if "traits" not in after:
        return []
    rows: list[Row] = [
        (what, _rate(before["traits"][name]), _rate(after["traits"][name]), "share of answers; 95 % interval")
        for name, what in _TRAITS.items()
        if before["traits"][name]["hits"] or after["traits"][name]["hits"]
    ]
    for order in (1, 2):
        values = [side[f"distinct_{order}"] for side in (before, after)]
        if None not in values:
            said = "different words" if order == 1 else "different pairs of words"
            rows.append(
                (f"Distinct-{order}", f"{values[0]:.3f}", f"{values[1]:.3f}", f"share of {said}, all answers together")
            )
    return rows


_HELD_OUT_SAID = {
    "pair": "On pairs that it was not trained on, chosen gained over rejected in {}.",
    "list": "In ranked lists that it was not trained on, {} of the pairs stand in order by what their answers gained.",
    "sample": "Of single answers that it was not trained on, {} became likelier if good and less likely if bad.",
}


def _kind(figures: Mapping[str, Any]) -> str:
    return figures.get("heldout_kind", "pair")


def _held_out_rows(figures: Mapping[str, Any]) -> list[Row]:
    """What was measured on pairs, ranked lists or single answers, and of the better answers' log-probability."""
    kind = _kind(figures)
    gained = f"{figures['heldout_accuracy']:.0%} gained over the start model"
    margin = f"mean margin {figures['heldout_margin']:+.1f} nats" if "heldout_margin" in figures else "one side alone"
    if kind == "pair":
        alone = f"{figures['heldout_accuracy_reference']:.0%} likelier by the start model alone"
        row = ("Prefers chosen on held-out pairs", alone, gained, f"{figures['heldout_pairs']} pairs; {margin}")
    elif kind == "list":
        alone = f"{figures['heldout_accuracy_reference']:.0%} of a list's pairs in order by the start model alone"
        in_order = f"{figures['heldout_accuracy']:.0%} in order by what they gained over it"
        top = f"best answer first in {_rate(figures['heldout_top_1_detail'])}"
        row = ("Orders held-out lists", alone, in_order, f"{figures['heldout_lists']} ranked lists; {top}; {margin}")
    else:
        alone = f"AUC {figures['heldout_auc_reference']:.2f}, per token" if "heldout_auc" in figures else "–"
        auc = f"AUC {figures['heldout_auc']:.2f}; " if "heldout_auc" in figures else ""
        counts = f"{figures['heldout_good_answers']} good and {figures['heldout_bad_answers']} bad answers; {margin}"
        row = (
            "Tells good from bad held-out answers",
            alone,
            f"{auc}{figures['heldout_accuracy']:.0%} moved rightly",
            counts,
        )
    if "heldout_chosen_change_per_token" not in figures:
        return [row]
    change = f"{figures['heldout_chosen_change_per_token']:+.2f}"
    words = words_of(kind)
    note = f"change on held-out {words.many}, nats; below 0 is displacement"
    rows = [row, (f"Log-probability per token of the {words.better} answers", "0", change, note)]
    kl = figures.get("heldout", {}).get("kl_per_token")
    if kl is not None:
        said = "nats a token of both answers, over the whole vocabulary"
        rows.append(("KL to the start model on held-out pairs", "0", f"{kl:.3f}", said))
    return rows


def comparison_rows(
    runs: Mapping[str, Sequence[Mapping[str, Any]]], manifests: Mapping[str, Mapping[str, Any]]
) -> list[tuple[str, ...]]:
    """(run, loss, accuracy, held out, chosen's change, rejected's change, warnings) of each run, over its last updates.

    Held out: the accuracy where the held-out loss was lowest.
    """
    rows = []
    for name, metrics in runs.items():
        measured = [row for row in metrics if "heldout_loss" in row]
        best = min(measured, key=lambda row: row["heldout_loss"]) if measured else None
        tail = metrics[-max(1, len(metrics) // 10) :]
        mean = {key: fmean(row[key] for row in tail if key in row) for key in SHOWN if any(key in row for row in tail)}
        rows.append(
            (
                name,
                f"{mean['loss']:.4f}",
                f"{mean['accuracy']:.0%}",
                "–" if best is None else f"{best['heldout_accuracy']:.0%} after update {best['step']}",
                _signed(mean.get("chosen_logp_change_per_token"), digits=3),
                _signed(mean.get("rejected_logp_change_per_token"), digits=3),
                ", ".join(manifests[name].get("warnings", {})) or "–",
            )
        )
    return rows


def by_kind(samples: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Samples grouped by what they were asked for; identity questions first, since they are what a reader came for."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in samples:
        groups.setdefault(row.get("tags", {}).get("kind", "asked"), []).append(row)
    return sorted(groups.items(), key=lambda item: (item[0] != "identity", item[0]))


def provenance(manifests: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """(what, value) of everything that a second run would need."""
    rows = []
    for step, manifest in manifests.items():
        for name, digest in manifest.get("inputs", {}).items():
            rows.append((f"{step}: {name}", str(digest)))
    versions = next(iter(manifests.values()), {}).get("versions", {})
    rows += [(name, str(version)) for name, version in versions.items()]
    return rows


def _signed(value: float | None, *, digits: int = 2) -> str:
    return "–" if value is None else f"{value:+.{digits}f}"


_LANGUAGES = {"en": "English", "zh": "Chinese"}


def _rate(detail: Mapping[str, Any] | None) -> str:
    if not detail:
        return "–"
    share = detail["hits"] / detail["total"] if detail["total"] else 0.0
    return f"{share:.1%} ({detail['hits']} of {detail['total']}; {detail['low']:.0%} to {detail['high']:.0%})"
