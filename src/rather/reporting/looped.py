"""What the page of a loop shows: round by round who wins by which judge, how far the model has moved, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from rather.records import Curves
from rather.reporting.drawing import Drawn, draw
from rather.reporting.evaluated import Section, detail, sections, share

LOOP = "loop.json"

Facts = Mapping[str, Any]


def headline(figures: Facts) -> list[str]:
    """What a reader needs first."""
    rounds, best = figures["rounds"], figures["best"]
    if not rounds:
        return ["No round is done yet."]
    said = []
    if best is None:
        said.append(
            f"None of {_count(rounds)} won more held-out questions over the first model than it lost: the first model stays."
        )
    else:
        facts = rounds[best - 1]
        rates = "; ".join(f"{name}: {_wins(facts['judged'][name])}" for name in facts["held_out"])
        said.append(f"Round {best} of {len(rounds)} is the result. Over the first model it wins, by {rates}.")
        moved = "; ".join(f"{name} {_moved(row)}" for name, row in facts["scores"].items() if _known(row))
        if moved:
            said.append(f"Mean scores on {figures['heldout_questions']} held-out questions: {moved}.")
        said.append(f"KL to the first model: {_kl(facts)} nats an answer.")
    if figures["stopped"]:
        said.append(f"It stopped because {figures['stopped']}.")
    if not figures["held_out_judge"]:
        said.append(
            "No held-out judge was named: the judges that made the pairs also chose the round, on questions that were not "
            "trained on."
        )
    return said


def round_sections(figures: Facts) -> list[Section]:
    """Rounds, judges, drift, people, and what else was measured of the result."""
    rounds = figures["rounds"]
    if not rounds:
        return []
    made = [_overview(figures), _judges(figures), _drift(rounds), _steps(rounds)]
    if any(facts.get("people") for facts in rounds):
        made.append(_people(figures))
    return [*made, *sections(figures["result"])]


def _overview(figures: Facts) -> Section:
    head = [
        "round",
        "begins as",
        "stays near to",
        "answers",
        "pairs trained on",
        "audit",
        "held-out judges, over the first",
    ]
    rows = []
    for facts in figures["rounds"]:
        mark = " (the result)" if facts["round"] == figures["best"] else ""
        rows.append([
            f"{facts['round']}{mark}", _model(facts["trained_from"], figures), _model(facts["reference"], figures),
            f"{facts['generated']['answers']:,} to {facts['generated']['questions']:,} questions",
            f"{facts['trained_pairs']:,}", f"{facts['audit']}{': ' if facts['doubts'] else ''}{', '.join(facts['doubts'])}",
            "; ".join(_wins(facts["judged"][name]) for name in facts["held_out"]),
        ])  # fmt: skip
    return Section("What happened, round by round?", [], [(head, rows)], [], list(figures["warnings"]))


def _judges(figures: Facts) -> Section:
    rounds = figures["rounds"]
    names = list(dict.fromkeys(name for facts in rounds for name in facts["judged"]))
    tables = []
    for name in names:
        own = [facts for facts in rounds if name in facts["judged"]]
        rows = [
            [f"{facts['round']}", _wins(facts["judged"][name]), _wins(facts["against"][name]), _moved(facts["scores"].get(name))]
            for facts in own
        ]  # fmt: skip
        tables.append(
            ([f"{name} ({_role(name, own[-1])})", "over the first model", "over the round before", "mean score"], rows)
        )
    said = [
        "Win rates on held-out questions, a tie half, with 95 % intervals by drawing questions. The judge whose pairs were learned "
        "may be won over while what it stands for is lost: it is the held-out judge that chooses the round."
    ]
    return Section("Does it get better, and by whose word?", said, tables, _plots(rounds, names))


def _plots(rounds: Sequence[Facts], names: Sequence[str]) -> list[Drawn]:
    wins = Curves(
        title="Win rate over the first model",
        x="round",
        y="share of held-out questions",
        lines={name: ((0.0, 0.5), *_line(rounds, partial(_won, name, "rate"))) for name in names},
        bands={name: _band(rounds, partial(_won, name)) for name in names},
    )
    rated = [name for name in names if any(_known(facts["scores"].get(name)) for facts in rounds)]
    plots = [draw(wins)]
    for name in rated:
        first = next(facts["scores"][name]["before"]["value"] for facts in rounds if _known(facts["scores"].get(name)))
        mean = Curves(
            title=f"Mean score by {name}",
            x="round",
            y="mean score",
            lines={name: ((0.0, first), *_line(rounds, partial(_scored, name, "value")))},
            bands={name: _band(rounds, partial(_scored, name))},
        )
        plots.append(draw(mean))
    return plots


def _won(name: str, figure: str, facts: Facts) -> float | None:
    return facts["judged"].get(name, {}).get(figure)


def _scored(name: str, figure: str, facts: Facts) -> float | None:
    return facts["scores"].get(name, {}).get("after", {}).get(figure)


def _drifted(figure: str, facts: Facts) -> float | None:
    return facts["kl_detail"][f"exact_{figure}"]


def _drift(rounds: Sequence[Facts]) -> Section:
    head = ["round", "KL, nats an answer", "entropy, nats a token", "words an answer", "ends its turn", "goes round in circles",
            "changes the language"]  # fmt: skip
    before = rounds[0]["answers_before"]
    rows = [["first model", "0", "–", *_looks(before)]]
    rows += [
        [
            f"{facts['round']}",
            _kl(facts),
            f"{facts['kl_detail']['entropy_per_token']:.2f}",
            *_looks(facts["answers_after"]),
        ]
        for facts in rounds
    ]
    plot = draw(Curves(title="How far from the first model?", x="round", y="KL, nats an answer", lines={
        "KL": ((0.0, 0.0), *_line(rounds, lambda facts: facts["kl_detail"]["exact"])),
    }, bands={"KL": _band(rounds, _drifted)}))  # fmt: skip
    return Section("How far has it moved, and what do its answers look like?", [], [(head, rows)], [plot])


def _steps(rounds: Sequence[Facts]) -> Section:
    names = list(dict.fromkeys(name for facts in rounds for name in facts["seconds"]))
    rows = [
        [f"{facts['round']}", *(f"{facts['seconds'].get(name, 0):.1f}" for name in names), f"{sum(facts['seconds'].values()):.1f}"]
        for facts in rounds
    ]  # fmt: skip
    total = sum(sum(facts["seconds"].values()) for facts in rounds)
    return Section(
        "What did it cost?", [f"{total:.0f} seconds in all rounds."], [(["round", *names, "together"], rows)]
    )


def _people(figures: Facts) -> Section:
    head = [
        "round",
        "asked",
        "of them at random",
        "votes",
        "say otherwise, chosen",
        "say otherwise, random",
        "difference",
    ]
    rows = []
    for facts in figures["rounds"]:
        found = facts.get("people")
        if found:
            gain = found.get("gain")
            rows.append([
                f"{facts['round']}", f"{found['items']:,}", f"{found['random']:,}", f"{found['votes']:,}",
                *(("–", "–", "–") if gain is None else (
                    detail(gain["chosen"]), detail(gain["random"]),
                    f"{gain['value']:+.1%} ({gain['low']:+.1%} to {gain['high']:+.1%})",
                )),
            ])  # fmt: skip
    said = [
        "Chosen are pairs of whose order the policies of earlier rounds are sure against the judges, or not sure at all. A vote "
        "gains where it says otherwise than the judges did: how much oftener it does on chosen items than on random ones is what "
        "choosing gained, with a 95 % interval (Newcombe 1998)."
    ]
    return Section("Were people asked where it matters?", said, [(head, rows)])


def _line(rounds: Sequence[Facts], value: Any) -> tuple[tuple[float, float], ...]:
    return tuple((float(facts["round"]), float(found)) for facts in rounds if (found := value(facts)) is not None)


def _band(rounds: Sequence[Facts], figure: Any) -> tuple[tuple[float, float, float], ...]:
    """(round, low, high) of every round whose interval is known."""
    ends = ((facts["round"], figure("low", facts), figure("high", facts)) for facts in rounds)
    return tuple((float(number), low, high) for number, low, high in ends if low is not None and high is not None)


def _role(name: str, facts: Facts) -> str:
    held, near = name in facts["held_out"], name in facts["proxy"]
    return "made the pairs" if near and not held else "held out" if held and not near else "made the pairs and verifies"


def _wins(row: Facts) -> str:
    return share({**row, "value": row["rate"]})


def _known(row: Facts | None) -> bool:
    return row is not None and None not in (row["before"]["value"], row["after"]["value"])


def _moved(row: Facts | None) -> str:
    if row is None or not _known(row):
        return "–"
    after = row["after"]
    within = "" if after["low"] is None else f" ({after['low']:.3g} to {after['high']:.3g})"
    return f"{row['before']['value']:.3g} → {after['value']:.3g}{within}"


def _kl(facts: Facts) -> str:
    found = facts["kl_detail"]
    within = "" if found["exact_low"] is None else f" ({found['exact_low']:.2f} to {found['exact_high']:.2f})"
    return f"{found['exact']:.2f}{within}"


def _looks(looks: Facts) -> list[str]:
    traits = looks["traits"]
    return [
        f"{looks['mean_words']:.1f}",
        *(detail(traits[name]) for name in ("ends_its_turn", "loops", "changes_language")),
    ]


def _model(name: str, figures: Facts) -> str:
    number = next((facts["round"] for facts in figures["rounds"] if facts["policy"] == name), None)
    return "the first model" if number is None else f"round {number}"


def _count(rounds: Sequence[Facts]) -> str:
    return "one round" if len(rounds) == 1 else f"{len(rounds)} rounds"
