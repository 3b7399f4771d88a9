"""Checks of how somebody judges, person or model: sides, changes of mind with the order, length, and agreement with people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from rather.auditing.findings import AuditInput
from rather.auditing.naming import bars, count, examples, interval, names, plain, table, worst_votes
from rather.auditing.panel import Panel
from rather.auditing.people_limits import LIMITS
from rather.records import Finding
from rather.stats.agreement import cohen
from rather.stats.bootstrap import clustered_share
from rather.stats.proportions import (
    false_discovery,
    mcnemar,
    sign_test,
    smallest_mean,
    smallest_share,
    wilson,
)
from rather.stats.votes import FIRST, SECOND, TIE, Bools, Floats, Ints

_ROWS = 10
_SIDES = {FIRST: "first", SECOND: "second"}


def side_bias(given: AuditInput) -> list[Finding]:
    """Who names the answer shown first too often, or too rarely, by a binomial test for each judge."""
    panel = given.panel
    if not len(panel):
        return []
    mask = panel.apart & panel.votes.sided & (panel.votes.outcome != TIE) & ~panel.of_judges(panel.gold)
    named, first = panel.count(mask), panel.count(mask & (panel.votes.outcome == FIRST))
    if not named.any():
        return []
    known = np.flatnonzero(named >= LIMITS.least_votes)
    share, low, high = wilson(first, named)
    p = sign_test(first, named)
    q = np.full(len(named), np.nan)
    q[known] = false_discovery(p[known])
    found = known[(q[known] <= LIMITS.false_discoveries) & (np.abs(share[known] - 0.5) >= LIMITS.side)]
    found = found[np.argsort(-np.abs(share[found] - 0.5), kind="stable")]
    sought = smallest_share(named, LIMITS.false_discoveries / max(len(known), 1)) - 0.5
    blind = (named > 0) & ~np.isin(np.arange(len(named)), found) & ~(sought <= LIMITS.side_sought)
    judged = named > 0
    draws = 2000 if judged.sum() <= 1000 else 200
    alone = judged.sum() == 1
    together = (
        tuple(float(part[judged][0]) for part in (share, low, high))
        if alone
        else clustered_share(first[judged].astype(float), named[judged].astype(float), draws=draws)
    )
    all_lean = not alone and (together[1] > 0.5 + LIMITS.side or together[2] < 0.5 - LIMITS.side)
    about = [f"first in {share[j]:.0%} of {named[j]:,}" for j in found]
    if len(found):
        message = f"{len(found):,} of {count(len(known))} favour a side: {names(panel, found.tolist(), about)}"
    else:
        message = f"no side bias found in {count(len(known))} with {LIMITS.least_votes} votes for an answer or more"
    message += f"; all together name the answer shown first in {together[0]:.0%} (95 % interval {together[1]:.0%} to {together[2]:.0%})"
    message += _could_not(int(blind.sum()), f"a bias of {LIMITS.side_sought * 100:.0f} points")
    order = known[np.argsort(-share[known], kind="stable")].tolist()
    favoured = np.where(share > 0.5, FIRST, SECOND)
    rows = worst_votes(
        panel, mask & np.isin(panel.votes.judge, found) & (panel.votes.outcome == favoured[panel.votes.judge])
    )
    return [
        Finding(
            check="side_bias",
            verdict="warn" if len(found) or all_lean else "pass",
            message=message,
            cure="show every pair in both orders, or in an order drawn by chance; leave out who takes one side always" if len(found) or all_lean else "",
            count=len(found),
            total=len(known),
            examples=examples(panel, rows, [f"took the answer shown {_SIDES[int(panel.votes.outcome[row])]}" for row in rows[:_ROWS]]),
            evidence={
                "together": interval(*together),
                "could_not_find": int(blind.sum()),
                "sought": LIMITS.side_sought,
                "judges": table(panel, order, {
                    "named": named, "first": lambda j: interval(share[j], low[j], high[j]), "p": p, "q": q,
                    "smallest_found": sought,
                }),
            },
            plots=(bars(panel, "How often the answer shown first is named", "of votes for an answer",
                        _extremes(order), (share, low, high), 0.5),),
        )
    ]  # fmt: skip


def swap_flips(given: AuditInput) -> list[Finding]:
    """How often a judge changes its verdict when the same two answers are shown in the other order."""
    panel = given.panel
    swaps = _Swaps.of(panel)
    if not len(swaps.judge):
        return []
    size = len(panel.judges)
    pairs = np.bincount(swaps.judge, minlength=size)
    changed = np.bincount(swaps.judge, swaps.changed, size)
    share, low, high = wilson(changed, pairs)
    to_first = np.bincount(swaps.judge, swaps.to_first, size)
    to_second = np.bincount(swaps.judge, swaps.to_second, size)
    known = np.flatnonzero(pairs >= LIMITS.least_repeats)
    q = np.full(size, np.nan)
    q[known] = false_discovery(sign_test(to_first, to_first + to_second)[known])
    found = known[low[known] > LIMITS.flips]
    found = found[np.argsort(-share[found], kind="stable")]
    order = known[np.argsort(-share[known], kind="stable")].tolist()
    said = [
        f"{share[j]:.0%} of {count(int(pairs[j]), 'pair')}{_towards(to_first[j], to_second[j], q[j])}" for j in order
    ]
    message = "shown in both orders, the verdict changes: " + names(panel, order, said)
    rows = swaps.row[(swaps.changed == 1) & (np.isin(swaps.judge, found) | (len(found) == 0))]
    could_not = known[(low[known] <= LIMITS.flips) & (high[known] > 2 * LIMITS.flips)]
    return [
        Finding(
            check="swap_flips",
            verdict="warn" if len(found) else "pass",
            message=(message if order else "too few pairs were shown in both orders to say how often verdicts change")
            + _could_not(len(could_not), f"flips in {LIMITS.flips:.0%} of pairs"),
            cure="count a pair only where both orders say the same (`rather judge --by pairwise` does), or take another judge" if len(found) else "",
            count=len(found),
            total=len(known),
            examples=examples(panel, rows, ["said otherwise when the two were exchanged"] * _ROWS),
            evidence={
                "warn_above": LIMITS.flips,
                "judges": table(panel, order, {
                    "pairs": pairs, "flips": lambda j: interval(share[j], low[j], high[j]),
                    "both_times_the_first": to_first, "both_times_the_second": to_second, "q": q,
                }),
            },
            plots=(bars(panel, "Verdicts that change with the order of the answers", "of pairs shown in both orders", order,
                        (share, low, high), LIMITS.flips),) if order else (),
        )
    ]  # fmt: skip


def _towards(to_first: float, to_second: float, q: float) -> str:
    if not q <= LIMITS.false_discoveries:
        return ""
    return f", to the answer shown {'first' if to_first > to_second else 'second'} in {max(to_first, to_second):.0f} of {to_first + to_second:.0f}"


@dataclass(frozen=True)
class _Swaps:
    """One row for each judge and pair shown in both orders: whether the verdict changed, and to which side both times."""

    judge: Ints
    row: Ints
    changed: Ints
    to_first: Ints
    to_second: Ints

    @classmethod
    def of(cls, panel: Panel) -> _Swaps:
        votes = panel.votes
        rows = (
            np.flatnonzero(votes.sided & panel.compared & ~panel.of_judges(panel.gold))
            if len(panel)
            else np.zeros(0, np.int64)
        )
        keys = panel.unit[rows] * max(len(panel.judges), 1) + votes.judge[rows]
        turned = votes.first[rows] > votes.second[rows]
        one, other = (rows[mask][np.unique(keys[mask], return_index=True)[1]] for mask in (~turned, turned))
        keys_one, keys_other = (np.unique(keys[mask]) for mask in (~turned, turned))
        both = np.intersect1d(keys_one, keys_other)
        one, other = one[np.isin(keys_one, both)], other[np.isin(keys_other, both)]
        first, second = votes.outcome[one], votes.outcome[other]
        return cls(
            votes.judge[one],
            other,
            (first != SECOND - second).astype(np.int64),
            ((first == FIRST) & (second == FIRST)).astype(np.int64),
            ((first == SECOND) & (second == SECOND)).astype(np.int64),
        )


def length_preference(given: AuditInput) -> list[Finding]:
    """Who names the longer answer more (or less) often than others do on the same pairs, or than half without others."""
    panel = given.panel
    if not len(panel):
        return []
    lengths = _Lengths.of(panel)
    if not len(lengths.judge):
        return []
    size = len(panel.judges)
    pairs = np.bincount(lengths.judge, minlength=size)
    longer = np.bincount(lengths.judge, lengths.longer, size)
    share, low, high = wilson(longer, pairs)
    above = [_above(lengths, judge) for judge in range(size)]
    compared = np.array([pair_count for pair_count, *_ in above])
    with_others = np.flatnonzero(compared >= LIMITS.least_votes)
    alone = np.flatnonzero((pairs >= LIMITS.least_votes) & (compared < LIMITS.least_votes))
    p = np.full(size, np.nan)
    p[with_others] = [above[judge][3] for judge in with_others]
    p[alone] = sign_test(np.round(longer), pairs)[alone]
    q = false_discovery(p)
    sure = q <= LIMITS.false_discoveries
    excess, theirs = np.array([row[1] for row in above]), np.array([row[4] for row in above])
    more = sure & (np.abs(excess) >= LIMITS.length_above) & (np.abs(share - 0.5) > np.abs(theirs - 0.5))
    far = sure & (np.abs(share - 0.5) >= LIMITS.length_alone)
    found = np.r_[with_others[more[with_others]], alone[far[alone]]]
    found = found[np.argsort(-np.abs(share[found] - 0.5), kind="stable")]
    tests = len(with_others) + len(alone)
    sought = np.full(size, np.nan)
    level = LIMITS.false_discoveries / max(tests, 1)
    sought[with_others] = [smallest_mean(above[judge][2], above[judge][0], level) for judge in with_others]
    sought[alone] = (smallest_share(pairs, level) - 0.5)[alone]
    known = np.union1d(with_others, alone)
    allowed = np.where(np.isin(np.arange(size), alone), LIMITS.length_alone, LIMITS.length_above)
    blind = (pairs > 0) & ~np.isin(np.arange(size), found) & ~(sought <= 1.5 * allowed)
    about = [
        f"the longer in {share[j]:.0%} of {pairs[j]:,}" + (f", others on the same in {theirs[j]:.0%}" if compared[j] >= LIMITS.least_votes else "")
        for j in found
    ]  # fmt: skip
    if len(found):
        message = f"{len(found):,} of {count(len(known))} judge by length: {names(panel, found.tolist(), about)}"
    else:
        message = f"no preference for length found in {count(len(known))}"
    total = wilson(lengths.longer.sum(), np.array(len(lengths.longer)))
    message += f"; all together name the longer answer in {float(total[0]):.0%}"
    message += _could_not(int(blind.sum()), f"one of {1.5 * LIMITS.length_above * 100:.0f} points")
    order = known[np.argsort(-share[known], kind="stable")].tolist()
    taken = (
        np.isin(panel.votes.judge, found) & lengths.counted & (lengths.names_longer == (share > 0.5)[panel.votes.judge])
    )
    rows = worst_votes(panel, taken)
    return [
        Finding(
            check="length_preference",
            verdict="warn" if len(found) else "pass",
            message=message,
            cure="say in the instructions (or the rubric) that length is no merit, or show judges answers of like length" if len(found) else "",
            count=len(found),
            total=len(known),
            examples=examples(panel, rows, [_of_length(panel, row) for row in rows[:_ROWS]]),
            evidence={
                "longer": interval(*(float(part) for part in total)),
                "could_not_find": int(blind.sum()),
                "judges": table(panel, order, {
                    "pairs": pairs, "longer": lambda j: interval(share[j], low[j], high[j]), "others": theirs,
                    "above_others": excess, "p": p, "q": q, "smallest_found": sought,
                }),
            },
            plots=(bars(panel, "How often the longer answer is named", "of votes for one of two unlike in length",
                        _extremes(order), (share, low, high), 0.5),) if order else (),
        )
    ]  # fmt: skip


def _of_length(panel: Panel, row: int) -> str:
    named, other = panel.length[panel.votes.first[row]], panel.length[panel.votes.second[row]]
    if panel.votes.outcome[row] == SECOND:
        named, other = other, named
    return f"took {named:,} characters over {other:,}"


@dataclass(frozen=True)
class _Lengths:
    """One row for each judge and pair of answers unlike in length: how often the judge named the longer, and the others did.

    counted       votes that are counted [V]; `names_longer` those that name the longer answer
    """

    judge: Ints
    longer: Floats
    others: Floats
    counted: Bools
    names_longer: Bools

    @classmethod
    def of(cls, panel: Panel) -> _Lengths:
        votes = panel.votes
        first, second = panel.length[votes.first], panel.length[votes.second]
        counted = panel.apart & (votes.outcome != TIE) & (first != second) & (first >= 0) & (second >= 0)
        names_longer = (votes.outcome == FIRST) == (first > second)
        rows = np.flatnonzero(counted & ~panel.of_judges(panel.gold))
        width = len(panel.judges)
        keys, place = np.unique(panel.unit[rows] * width + votes.judge[rows], return_inverse=True)
        place = place.reshape(-1)
        unit, judge = keys // width, keys % width
        own = np.bincount(place, minlength=len(keys))
        own_longer = np.bincount(place, names_longer[rows], len(keys))
        # Held against gold and people, or everybody where there are none of them.
        truth = panel.gold | panel.people
        truth = truth if truth.any() else np.ones(width, bool)
        held = np.flatnonzero(counted & panel.of_judges(truth))
        units = int(panel.unit.max()) + 1
        others = np.bincount(panel.unit[held], minlength=units)[unit] - own * truth[judge]
        others_longer = np.bincount(panel.unit[held], names_longer[held], units)[unit] - own_longer * truth[judge]
        share = np.where(others > 0, others_longer / np.maximum(others, 1), np.nan)
        return cls(judge, own_longer / np.maximum(own, 1), share, counted, names_longer)


def _above(lengths: _Lengths, judge: int) -> tuple[int, float, float, float, float]:
    """Pairs that others judged too, by how much the judge names the longer more often, its deviation, p, and the others' share."""
    mine = (lengths.judge == judge) & ~np.isnan(lengths.others)
    n = int(mine.sum())
    if n < 2:
        return n, np.nan, np.nan, np.nan, np.nan
    difference = lengths.longer[mine] - lengths.others[mine]
    mean, deviation = float(difference.mean()), float(difference.std(ddof=1))
    if deviation == 0:
        return n, mean, deviation, 1.0 if mean == 0 else 0.0, float(lengths.others[mine].mean())
    p = 2 * float(student.sf(abs(mean) / deviation * np.sqrt(n), n - 1))
    return n, mean, deviation, p, float(lengths.others[mine].mean())


def agreement_with_people(given: AuditInput) -> list[Finding]:
    """How often each judging model says what people (or gold labels) say of the same pair, and whether one does so better."""
    panel = given.panel
    machines = np.flatnonzero(panel.machines)
    if not len(machines) or not len(panel):
        return []
    unit, judge, verdict = panel.settled
    truth = _reference(panel)
    known = truth[unit] >= 0
    unit, judge, verdict = unit[known], judge[known], verdict[known]
    right = verdict == truth[unit]
    size = len(panel.judges)
    pairs = np.bincount(judge, minlength=size)
    hits = np.bincount(judge, right, size)
    share, low, high = wilson(hits, pairs)
    judged = machines[pairs[machines] >= LIMITS.least_pairs]
    if not len(judged):
        return []
    whom = "gold labels" if panel.gold.any() else "the majority of people"
    order = judged[np.argsort(-share[judged], kind="stable")].tolist()
    kappa = {j: _kappa_with(unit[judge == j], verdict[judge == j], truth) for j in order}
    poor = [j for j in order if high[j] < LIMITS.with_people]
    rivals = _rivals(panel, judged, unit, judge, right)
    beaten = [row for row in rivals if row["sure"]]
    said = [f"{share[j]:.0%} of {count(int(pairs[j]), 'pair')}, κ {kappa[j]['value']:.2f}" for j in order]
    message = f"judges say what {whom} say: {names(panel, order, said)}"
    if beaten:
        best = beaten[0]
        message += (
            f"; {best['better']} is better than {best['worse']} ({best['only_better']} pairs against {best['only_worse']} "
            f"on which only one is right, McNemar q {best['q']:.2g})"
        )
    unsure = [row for row in rivals if not row["sure"]]
    if unsure:
        least = [row["smallest_found"] for row in unsure if row["smallest_found"] is not None]
        message += f"; of {count(len(unsure), 'pair')} of judges no difference was found"
        message += (
            f", and one below {min(least) * 100:.0f} points could not have been"
            if least
            else ", nor could any have been"
        )
    worst = poor or [row["worse_number"] for row in beaten]
    rows = _wrong(panel, truth, np.isin(np.arange(size), worst if worst else judged))
    bad = bool(poor or beaten)
    for row in rivals:
        row.pop("worse_number")
    return [
        Finding(
            check="agreement_with_people",
            verdict="warn" if bad else "pass",
            message=message,
            cure="take the better judge, or weigh them by what people say: `rather pair --reliability … --gold …`" if bad else "",
            count=len({row["worse"] for row in beaten} | {panel.judges[j] for j in poor}),
            total=len(judged),
            examples=examples(panel, rows, [f"{whom} say otherwise"] * _ROWS),
            evidence={
                "against": whom,
                "warn_below": LIMITS.with_people,
                "judges": table(panel, order, {
                    "pairs": pairs, "right": lambda j: interval(share[j], low[j], high[j]), "kappa": lambda j: kappa[j],
                }),
                "people_themselves": _people_themselves(panel),
                "mcnemar": rivals,
            },
            plots=(bars(panel, f"How often judges say what {whom} say", "of pairs", order, (share, low, high), None),),
        )
    ]  # fmt: skip


def _reference(panel: Panel) -> Ints:
    """What gold labels say of each pair, or else what more people say than anything else; −1 where nobody does [U]."""
    unit, judge, verdict = panel.settled
    held = np.isin(judge, np.flatnonzero(panel.gold if panel.gold.any() else panel.people))
    counts = np.zeros((int(panel.unit.max(initial=-1)) + 1, 3))
    np.add.at(counts, (unit[held], verdict[held]), 1)
    return _plurality(counts)


def _plurality(counts: Floats) -> Ints:
    """The value with most votes, −1 where two have as many [U]."""
    ranked = np.sort(counts, axis=1)
    return np.where(ranked[:, 2] > ranked[:, 1], counts.argmax(axis=1), -1)


def _people_themselves(panel: Panel) -> dict[str, object] | None:
    """How often a person says what the majority of the other people says: what a judge can be expected to reach."""
    unit, judge, verdict = panel.settled
    people = np.isin(judge, np.flatnonzero(panel.people))
    unit, verdict = unit[people], verdict[people]
    counts = np.zeros((int(panel.unit.max(initial=-1)) + 1, 3))
    np.add.at(counts, (unit, verdict), 1)
    rest = counts[unit]
    rest[np.arange(len(unit)), verdict] -= 1
    others = _plurality(rest)
    if not (others >= 0).any():
        return None
    share = wilson((others == verdict)[others >= 0].sum(), np.array((others >= 0).sum()))
    return {**interval(*(float(part) for part in share)), "votes": int((others >= 0).sum())}


def _kappa_with(unit: Ints, verdict: Ints, truth: Ints) -> dict[str, object]:
    both = np.r_[unit, unit]
    found = cohen(both, np.repeat([0, 1], len(unit)), np.r_[verdict, truth[unit]], categories=3)
    row = interval(float(found.value[0]), float(found.low[0]), float(found.high[0]))
    return {**row, "value": row["value"] if row["value"] is not None else float("nan")}


def _rivals(panel: Panel, judged: Ints, unit: Ints, judge: Ints, right: Bools) -> list[dict]:
    """McNemar between every two judges on the pairs that both judged, the surest difference first."""
    by_judge = {j: (unit[judge == j], right[judge == j]) for j in judged.tolist()}
    rows = []
    for place, one in enumerate(judged.tolist()):
        for other in judged.tolist()[place + 1 :]:
            shared, here, there = np.intersect1d(by_judge[one][0], by_judge[other][0], return_indices=True)
            if len(shared) < LIMITS.least_pairs:
                continue
            a, b = by_judge[one][1][here], by_judge[other][1][there]
            only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
            better, worse = (one, other) if only_a >= only_b else (other, one)
            rows.append({
                "better": panel.judges[better], "worse": panel.judges[worse], "worse_number": worse, "pairs": len(shared),
                "only_better": max(only_a, only_b), "only_worse": min(only_a, only_b),
                "difference": plain((max(only_a, only_b) - min(only_a, only_b)) / len(shared)),
                "p": float(np.nan_to_num(mcnemar(only_a, only_b), nan=1.0)),
            })  # fmt: skip
    q = false_discovery(np.array([row["p"] for row in rows]))
    level = LIMITS.false_discoveries / max(len(rows), 1)
    for row, adjusted in zip(rows, q.tolist(), strict=True):
        differ = row["only_better"] + row["only_worse"]
        least = float(smallest_share(np.array([differ]), level)[0])
        row["q"] = adjusted
        row["smallest_found"] = plain((2 * least - 1) * differ / row["pairs"])
        row["sure"] = bool(adjusted <= LIMITS.false_discoveries and row["difference"] >= LIMITS.better_by)
    return sorted(rows, key=lambda row: row["p"])


def _wrong(panel: Panel, truth: Ints, judges: Bools) -> Ints:
    """Votes of these judges that say otherwise than the reference."""
    of = truth[panel.unit]
    return np.flatnonzero(panel.of_judges(judges) & (of >= 0) & (panel.said != of))


def _could_not(judges: int, what: str) -> str:
    return f"; in {judges:,} {what} could not have been found, for want of votes" if judges else ""


def _extremes(order: list[int]) -> list[int]:
    """Both ends of a long order."""
    return order if len(order) <= 30 else [*order[:15], *order[-15:]]
