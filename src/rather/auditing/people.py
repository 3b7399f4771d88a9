"""Checks of those who judge: whether they agree, who does not look, who ties, who is too fast, who contradicts themselves."""

from __future__ import annotations

import numpy as np

from rather.auditing.findings import AuditInput
from rather.auditing.naming import (
    agreement_row,
    bars,
    contrary,
    count,
    examples,
    interval,
    names,
    outlying,
    plain,
    shown_vote,
    table,
    worst_votes,
)
from rather.auditing.panel import Panel
from rather.auditing.people_limits import LIMITS
from rather.records import Bars, Finding, Histogram, Verdict
from rather.stats.agreement import Agreement, Kappas, cohen, gwet, krippendorff, same_share
from rather.stats.noisy import noisy_bradley_terry
from rather.stats.proportions import wilson
from rather.stats.votes import FIRST, TIE, Bools, Floats, Ints

OUTCOMES = 3

# Scores of more levels than this are compared by twentieths of their distribution.
LEVELS = 20

KAPPAS = 200


def agreement(given: AuditInput) -> list[Finding]:
    """How far people (and models) agree beyond chance, on comparisons and on each scale of ratings."""
    panel = given.panel
    found = []
    for who, group in (("people", panel.people), ("models", np.array([by == "model" for by in panel.by], bool))):
        if group.sum() < 2:
            continue
        mask = panel.of_judges(group) & panel.once & panel.compared
        found += _agreed(panel, who, mask, group) if mask.any() else []
        for number in range(len(panel.ratings.scales)):
            found += _rated_alike(panel, who, group, number)
    return found


def _agreed(panel: Panel, who: str, mask: Bools, group: Bools) -> list[Finding]:
    unit, said, judge = panel.unit[mask], panel.said[mask], panel.votes.judge[mask]
    nominal = krippendorff(unit, said, categories=OUTCOMES)
    if nominal.units < LIMITS.least_pairs:
        return [_unknown("agreement", f"how far {who} agree cannot be told: two of them or more judged "
                         f"{count(nominal.units, 'pair')}, and it takes {LIMITS.least_pairs}")]  # fmt: skip
    ordinal = krippendorff(unit, said, categories=OUTCOMES, metric="ordinal")
    ac1 = _ac1(unit, said)
    common = np.bincount(said, minlength=OUTCOMES) / len(said)
    skewed = bool(common.max() >= LIMITS.skewed)
    kappas = cohen(unit, judge, said, categories=OUTCOMES, least=LIMITS.least_pairs)
    alike = same_share(unit, said, categories=OUTCOMES)
    verdict, name, read = _by_agreement(nominal, ac1, skewed)
    of = f"{count(nominal.units, 'pair')} that two or more judged ({count(len(said), 'vote')} of {group.sum():,} {who})"
    message = f"{who} agree by {name} {_said(read)} on {of}; ordinal α {ordinal.value:.2f}, two votes on a pair are the same in {alike:.0%}"
    if skewed:
        words = ("the answer first shown", "a tie", "the answer shown second")
        message += f"; labels are skewed ({words[int(common.argmax())]} in {common.max():.0%}), which α ({_said(nominal)}) cannot bear"
    return [
        Finding(
            check="agreement",
            verdict=verdict,
            message=message,
            cure=_DISAGREE if verdict != "pass" else "",
            count=nominal.units,
            total=len(np.unique(panel.unit)),
            examples=_split(panel, mask),
            evidence={
                "who": who,
                "alpha_nominal": agreement_row(nominal),
                "alpha_ordinal": agreement_row(ordinal),
                "ac1": agreement_row(ac1),
                "same": plain(alike),
                "skewed": skewed,
                "shares": {name: plain(share) for name, share in zip(("first", "tie", "second"), common, strict=True)},
                "kappas": _kappa_rows(panel, kappas),
                "warn_below": LIMITS.alpha_warn,
                "stop_below": LIMITS.alpha_stop,
            },
            plots=_agreement_plots(who, {"α nominal": nominal, "α ordinal": ordinal, "AC1": ac1}, kappas),
        )
    ]


def _ac1(unit: Ints, said: Ints) -> Agreement:
    """AC1 of as many values as can be said: without any tie there were two to choose from."""
    if (said == TIE).any():
        return gwet(unit, said, categories=OUTCOMES)
    return gwet(unit, said // 2, categories=2)


_DISAGREE = (
    "write down what a better answer is, with examples; ask more people about each pair; leave out those who do not look "
    "(the check reliability), or let `rather pair --reliability noisy-bradley-terry` weigh them"
)


def _by_agreement(alpha: Agreement, ac1: Agreement, skewed: bool) -> tuple[Verdict, str, Agreement]:
    """The verdict, and the coefficient that it was read from."""
    read, name = (ac1, "AC1") if skewed or not alpha.known else (alpha, "α")
    if not read.known:
        return "pass", name, read
    verdict: Verdict = "stop" if read.high < LIMITS.alpha_stop else "warn" if read.high < LIMITS.alpha_warn else "pass"
    return verdict, name, read


def _rated_alike(panel: Panel, who: str, group: Bools, scale: int) -> list[Finding]:
    """Ordinal α of ratings on one scale of one aspect."""
    ratings = panel.ratings
    rows = np.flatnonzero((ratings.scale == scale) & group[ratings.judge])
    keys = ratings.item[rows] * len(panel.judges) + ratings.judge[rows]
    rows = rows[np.unique(keys, return_index=True)[1]]
    if len(np.unique(ratings.judge[rows])) < 2:
        return []
    aspect = ratings.scales[scale][0]
    of = f"{who}'s ratings" + (f" of {aspect}" if aspect else "")
    levels = _levels(ratings.score[rows])
    found = krippendorff(ratings.item[rows], levels, categories=int(levels.max()) + 1, metric="ordinal")
    if found.units < LIMITS.least_pairs or not found.known:
        return [_unknown("agreement", f"how far {of} agree cannot be told: {count(found.units, 'answer')} "
                         f"rated by two or more, and it takes {LIMITS.least_pairs} of different scores")]  # fmt: skip
    verdict, _, _ = _by_agreement(found, found, False)
    return [
        Finding(
            check="agreement",
            verdict=verdict,
            message=f"{of} agree by ordinal α {_said(found)} on {count(found.units, 'answer')} that two or more rated",
            cure=_DISAGREE if verdict != "pass" else "",
            count=found.units,
            total=len(np.unique(ratings.item[rows])),
            evidence={"who": who, "aspect": aspect, "alpha_ordinal": agreement_row(found)},
        )
    ]


def _levels(score: Floats) -> Ints:
    """Scores as places 0, 1, …; many different ones as twentieths of their distribution."""
    values, level = np.unique(score, return_inverse=True)
    if len(values) <= LEVELS:
        return level.reshape(-1)
    edges = np.unique(np.quantile(score, np.linspace(0, 1, LEVELS + 1)[1:-1]))
    return np.searchsorted(edges, score, side="right")


def _agreement_plots(who: str, found: dict[str, Agreement], kappas: Kappas) -> tuple[Bars | Histogram, ...]:
    known = {name: value for name, value in found.items() if value.known}
    values, low, high = (tuple(getattr(a, part) for a in known.values()) for part in ("value", "low", "high"))
    title = f"How far {who} agree beyond chance"
    plots: list[Bars | Histogram] = []
    if known:
        plots.append(Bars(title=title, unit="0: as by chance, 1: always", names=tuple(known), values=values, low=low, high=high, mark=0.0))  # fmt: skip
    kappa = kappas.value[~np.isnan(kappas.value)]
    if len(kappa) > 1:
        edges = np.linspace(-1, 1, 21)
        counts = tuple(int(n) for n in np.histogram(kappa, edges)[0])
        plots.append(Histogram(title=f"Cohen's κ of every two {who}", unit="κ", edges=tuple(edges.tolist()),
                               groups={f"two {who}": counts}, mark=0.0))  # fmt: skip
    return tuple(plots)


def _kappa_rows(panel: Panel, kappas: Kappas) -> list[dict[str, object]]:
    """The pairwise table, the least agreement first."""
    return [
        {
            "judges": [panel.judges[kappas.first[k]], panel.judges[kappas.second[k]]],
            "pairs": int(kappas.shared[k]),
            "same": plain(kappas.agree[k]),
            "kappa": interval(kappas.value[k], kappas.low[k], kappas.high[k]),
        }
        for k in np.argsort(kappas.value, kind="stable")[:KAPPAS].tolist()
    ]


def _split(panel: Panel, mask: Bools) -> tuple:
    """The pairs on which most votes contradict each other."""
    rows = np.flatnonzero(mask)
    counts = np.zeros((int(panel.unit.max(initial=-1)) + 1, OUTCOMES))
    np.add.at(counts, (panel.unit[rows], panel.said[rows]), 1)
    torn = np.minimum(counts[:, 0], counts[:, 2])
    first = {int(unit): int(row) for unit, row in zip(panel.unit[rows][::-1], rows[::-1], strict=True)}
    units = [unit for unit in np.argsort(-torn, kind="stable")[:10].tolist() if torn[unit] > 0]
    shown = []
    for unit in units:
        a, tie, b = counts[unit].astype(int).tolist()
        row = first[unit]
        vote = shown_vote(panel, row, "")
        # As shown, whatever this one vote says.
        texts = panel.texts[panel.votes.first[row]], panel.texts[panel.votes.second[row]]
        why = f"{a} for the first, {b} for the second, {tie} ties"
        shown.append(vote.model_copy(update={"why": why, "chosen": texts[0][:600], "rejected": texts[1][:600]}))
    return tuple(shown)


def _said(found: Agreement) -> str:
    return f"{found.value:.2f} (95 % interval {found.low:.2f} to {found.high:.2f})" if found.known else "unknown"


def _unknown(check: str, message: str) -> Finding:
    return Finding(check=check, verdict="pass", message=message, evidence={"could_tell": False})


def reliability(given: AuditInput) -> list[Finding]:
    """Who looks at the answers and who does not: each judge's skill by noisy Bradley–Terry, where several judge the same."""
    panel = given.panel
    judged_by_two = _judged_by_several(panel)
    if len(panel.judges) < 3 or not len(panel):
        return []
    if judged_by_two < LIMITS.least_pairs:
        return [_unknown("reliability", f"who can be trusted cannot be told: {count(judged_by_two, 'pair')} judged by two or "
                         f"more, and it takes {LIMITS.least_pairs}")]  # fmt: skip
    fit = noisy_bradley_terry(panel.votes, model=panel.model, gold=panel.gold).judges
    votes = panel.count()
    known = (votes >= LIMITS.least_votes) & ~panel.gold
    blind = np.flatnonzero(known & (fit.skill_high < LIMITS.skill))
    blind = blind[np.argsort(fit.skill[blind] - votes[blind] * 1e-9, kind="stable")]
    lost = int(votes[blind].sum())
    share = lost / max(int(votes[~panel.gold].sum()), 1)
    order = np.lexsort((-votes, fit.skill)).tolist()
    order = [judge for judge in order if known[judge]]
    about = [
        f"skill {fit.skill[j]:.2f} [{fit.skill_low[j]:.2f}, {fit.skill_high[j]:.2f}], {votes[j]:,} votes" for j in blind
    ]
    if len(blind):
        message = (
            f"{len(blind):,} of {count(int(known.sum()))} do not look at the answers, or say the opposite: "
            f"{names(panel, blind.tolist(), about)}; {share:.0%} of all votes are theirs"
        )
    else:
        message = f"each of {count(int(known.sum()))} with {LIMITS.least_votes} votes or more follows the answers"
    message += _few(int((~known & ~panel.gold & (votes > 0)).sum()))
    rows = worst_votes(panel, np.isin(panel.votes.judge, blind) & (panel.votes.outcome != TIE))
    gainsaid = contrary(panel)
    return [
        Finding(
            check="reliability",
            verdict="stop" if share >= LIMITS.unreliable_stop else "warn" if len(blind) else "pass",
            message=message,
            cure="leave their votes out, or let `rather pair --reliability noisy-bradley-terry` weigh them by skill" if len(blind) else "",
            count=len(blind),
            total=int(known.sum()),
            examples=examples(panel, rows, [f"{gainsaid[row]:.0%} of the others' votes say otherwise" for row in rows[:10]]),
            evidence={
                "meaning": "skill 1: the average vote (or gold); 0: does not look; below 0: says the opposite",
                "votes_lost": lost,
                "skill_below": LIMITS.skill,
                "judges": table(panel, order, {
                    "votes": votes,
                    "skill": lambda j: interval(fit.skill[j], fit.skill_low[j], fit.skill_high[j]),
                    "side": lambda j: interval(fit.side[j], fit.side_low[j], fit.side_high[j]),
                    "ties": fit.ties,
                }),
            },
            plots=(bars(panel, "Skill of the judges, lowest first", "0: does not look, 1: the average vote", order,
                        (fit.skill, fit.skill_low, fit.skill_high), 0.0),),
        )
    ]  # fmt: skip


def _judged_by_several(panel: Panel) -> int:
    """How many pairs two judges or more said something of."""
    return int((np.bincount(panel.unit[panel.once]) > 1).sum()) if len(panel) else 0


def _few(judges: int) -> str:
    return f"; of {judges:,} with fewer votes nothing can be said" if judges else ""


def tie_rate(given: AuditInput) -> list[Finding]:
    """Judges who call far more, or far fewer, ties than the others."""
    panel = given.panel
    mask = panel.apart & ~panel.of_judges(panel.gold) if len(panel) else np.zeros(0, bool)
    votes = panel.count(mask) if len(panel) else np.zeros(0, np.int64)
    known = np.flatnonzero(votes >= LIMITS.least_votes)
    if len(known) < 5:  # no crowd to stand out of
        return []
    ties = panel.count(mask & (panel.votes.outcome == TIE))
    share, low, high = wilson(ties, votes)
    # On arcsine's scale the uncertainty depends on the number of votes alone.
    away = outlying(np.arcsin(np.sqrt(share[known])), 0.5 / np.sqrt(votes[known]))
    middle = float(np.median(share[known]))
    far = (np.abs(away) > LIMITS.tie_deviations) & (np.abs(share[known] - middle) > LIMITS.tie_difference)
    outliers = known[far][np.argsort(-np.abs(away[far]), kind="stable")]
    deviations = dict(zip(known.tolist(), away.tolist(), strict=True))
    about = [f"{share[j]:.0%} of {votes[j]:,} votes" for j in outliers]
    if len(outliers):
        message = f"{count(len(outliers))} of {len(known):,} tie unlike the others (median {middle:.0%}): {names(panel, outliers.tolist(), about)}"
    else:
        message = f"ties are {middle:.0%} of a judge's votes in the median, and none of {count(len(known))} stands out"
    order = known[np.argsort(-share[known], kind="stable")].tolist()
    rows = worst_votes(panel, mask & np.isin(panel.votes.judge, outliers))
    return [
        Finding(
            check="tie_rate",
            verdict="warn" if len(outliers) else "pass",
            message=message + _few(int(((votes > 0) & (votes < LIMITS.least_votes)).sum())),
            cure="tell them when two answers are as good as each other, and when not" if len(outliers) else "",
            count=len(outliers),
            total=len(known),
            examples=examples(panel, rows, [f"says {_OUTCOME[int(panel.votes.outcome[row])]}" for row in rows[:10]]),
            evidence={
                "median": middle,
                "judges": table(panel, order, {
                    "votes": votes,
                    "ties": lambda j: interval(share[j], low[j], high[j]),
                    "deviations": lambda j: plain(deviations[j]),
                }),
            },
            plots=(bars(panel, "Share of ties", "of the judge's votes", order, (share, low, high), middle),),
        )
    ]  # fmt: skip


_OUTCOME = {FIRST: "the answer shown first", TIE: "a tie", 2: "the answer shown second"}


def speed(given: AuditInput) -> list[Finding]:
    """People who vote faster than anyone reads, or far faster than the others."""
    panel = given.panel
    timed = ~np.isnan(panel.seconds) & panel.of_judges(panel.people) if len(panel) else np.zeros(0, bool)
    if not timed.any():
        return []
    votes = panel.count(timed)
    known = np.flatnonzero(votes >= LIMITS.least_votes)
    letters = np.maximum(panel.length[panel.votes.first], 0) + np.maximum(panel.length[panel.votes.second], 0)
    needed = np.maximum(LIMITS.fastest_seconds, letters / LIMITS.fastest_reading)
    quick = timed & (panel.seconds < needed)
    share, low, high = wilson(panel.count(quick), votes)
    median, away = _medians(panel, timed, known)
    crowd = float(np.median(median[known])) if len(known) else np.nan
    slow_enough = np.zeros(len(panel.judges), bool)
    if len(known) >= 5:
        slow_enough = (away < -LIMITS.speed_deviations) & (median < crowd / 3)
    found = known[(low[known] > LIMITS.fast_share) | slow_enough[known]]
    found = found[np.argsort(median[found], kind="stable")]
    about = [f"median {median[j]:.1f} s, {share[j]:.0%} of {votes[j]:,} faster than anyone reads" for j in found]
    if len(found):
        message = f"{count(len(found), 'person')} of {len(known):,} vote too fast to have read: {names(panel, found.tolist(), about)}"
    else:
        message = f"none of {count(len(known), 'person')} votes faster than anyone reads"
    message += f"; the median is {crowd:.1f} s" if len(known) else ""
    order = known[np.argsort(median[known], kind="stable")].tolist()
    rows = np.flatnonzero(quick & np.isin(panel.votes.judge, found))
    rows = rows[np.argsort((panel.seconds - needed)[rows], kind="stable")]
    seconds = panel.seconds[timed]
    return [
        Finding(
            check="speed",
            verdict="warn" if len(found) else "pass",
            message=message + _few(int(((votes > 0) & (votes < LIMITS.least_votes)).sum())),
            cure="leave their votes out, and ask again" if len(found) else "",
            count=len(found),
            total=len(known),
            examples=examples(panel, rows, [f"{panel.seconds[r]:.1f} s for {letters[r]:,} characters" for r in rows[:10]]),
            evidence={
                "median": plain(crowd),
                "judges": table(panel, order, {
                    "votes": votes,
                    "median_seconds": median,
                    "too_fast": lambda j: interval(share[j], low[j], high[j]),
                    "deviations": away,
                }),
            },
            plots=_speed_plots(seconds),
        )
    ]  # fmt: skip


def _medians(panel: Panel, timed: Bools, known: Ints) -> tuple[Floats, Floats]:
    """Median seconds of each judge, and how many deviations its logarithm lies from the crowd's [J]."""
    median, deviation = np.full(len(panel.judges), np.nan), np.full(len(panel.judges), np.nan)
    rows = np.flatnonzero(timed)
    rows = rows[np.argsort(panel.votes.judge[rows], kind="stable")]
    judge = panel.votes.judge[rows]
    starts = np.flatnonzero(np.r_[True, judge[1:] != judge[:-1]])
    for part in np.split(rows, starts[1:]):
        logs = np.log(np.maximum(panel.seconds[part], 0.01))
        number = panel.votes.judge[part[0]]
        median[number], deviation[number] = np.exp(np.median(logs)), 1.2533 * logs.std() / np.sqrt(len(part))
    away = np.full(len(panel.judges), np.nan)
    if len(known):
        away[known] = outlying(np.log(median[known]), deviation[known])
    return median, away


def _speed_plots(seconds: Floats) -> tuple[Histogram, ...]:
    edges = np.geomspace(max(0.1, seconds.min()), max(seconds.max(), 1.0) + 1e-6, 25)
    counts = np.histogram(np.clip(seconds, edges[0], edges[-1]), edges)[0]
    return (Histogram(title="How long votes took", unit="seconds", edges=tuple(edges.tolist()),
                      groups={"votes": tuple(int(n) for n in counts)}),)  # fmt: skip


def self_consistency(given: AuditInput) -> list[Finding]:
    """Whether who is asked the same twice says the same twice (in the same order; the other order is `swap_flips`)."""
    panel = given.panel
    judge, same, row = _asked_twice(panel)
    if not len(judge):
        return []
    times = np.bincount(judge, minlength=len(panel.judges))
    agreed = np.bincount(judge, same, len(panel.judges))
    share, low, high = wilson(agreed, times)
    known = np.flatnonzero(times >= LIMITS.least_repeats)
    found = known[high[known] < LIMITS.consistency]
    found = found[np.argsort(share[found], kind="stable")]
    total = wilson(np.array(same.sum()), np.array(len(same)))
    about = [f"the same in {share[j]:.0%} of {times[j]:,}" for j in found]
    message = f"asked the same twice, judges say the same in {float(total[0]):.0%} of {count(len(same), 'case')}"
    if len(found):
        message += f"; {count(len(found))} of {len(known):,} certainly in fewer than {LIMITS.consistency:.0%}: {names(panel, found.tolist(), about)}"
    rows = row[(same == 0) & (np.isin(judge, found) | (len(found) == 0))]
    order = known[np.argsort(share[known], kind="stable")].tolist()
    return [
        Finding(
            check="self_consistency",
            verdict="warn" if len(found) else "pass",
            message=message + _few(int(((times > 0) & (times < LIMITS.least_repeats)).sum())),
            cure="leave them out, or ask them why: who contradicts himself labels by chance" if len(found) else "",
            count=len(found),
            total=len(known),
            examples=examples(panel, rows, ["said otherwise when asked again"] * 10),
            evidence={
                "all": interval(*(float(part) for part in total)),
                "judges": table(panel, order, {"asked_twice": times, "same": lambda j: interval(share[j], low[j], high[j])}),
            },
            plots=(bars(panel, "Said the same when asked again", "of the cases", order, (share, low, high), None),) if order else (),
        )
    ]  # fmt: skip


def _asked_twice(panel: Panel) -> tuple[Ints, Ints, Ints]:
    """Judge, whether the next vote on the same pair in the same order is the same (1, 0), and the vote, of each repetition."""
    rows = np.flatnonzero(panel.compared & ~panel.of_judges(panel.gold)) if len(panel) else np.zeros(0, np.int64)
    votes = panel.votes
    order = np.lexsort((rows, votes.second[rows], votes.first[rows], votes.judge[rows]))
    rows = rows[order]
    here, after = rows[:-1], rows[1:]
    twice = (votes.judge[here] == votes.judge[after]) & (votes.first[here] == votes.first[after])
    twice &= votes.second[here] == votes.second[after]
    here, after = here[twice], after[twice]
    return votes.judge[here], (votes.outcome[here] == votes.outcome[after]).astype(np.int64), after
