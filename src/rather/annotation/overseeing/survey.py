"""The live board's figures: progress, agreement, each person, and the gain of choosing what to ask.

Agreement, reliability and the rest are the audit's and the house's statistics on the votes as they stand; nothing is computed
twice. Votes on gold and qualification items count for who gave them and not for agreement.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from rather.annotation.exporting import iter_votes_with_items
from rather.annotation.overseeing.gain import gain_of_choice
from rather.annotation.settings import load_project
from rather.annotation.store import Store
from rather.auditing import JUDGMENT_CHECKS, AuditInput
from rather.auditing.material.panel import Panel
from rather.auditing.people.naming import contrary
from rather.records import Judgment
from rather.stats.agreement import Agreement, gwet, krippendorff, same_share
from rather.stats.intervals import rate
from rather.stats.judges import first_named
from rather.stats.proportions import wilson

MOST_VOTES = 50_000
"""The figures of people come from so many votes, the latest; the page says so where there are more."""

LEAST_SHARED = 10
"""Nobody's reliability is told before so many of their votes are on pairs that others judged too."""


def survey(store: Store) -> dict[str, Any]:
    """All figures of the board, as JSON has them."""
    project = load_project(store)
    since = store.read(_LATEST, most=MOST_VOTES)[0][0]
    found = iter_votes_with_items(store, since=since, of="task")
    votes = [records for _, kind, _, records in found if kind != "adjudicated"]
    marked: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for of in ("gold", "qualification"):
        for role, _, right, records in iter_votes_with_items(store, of=of):
            marked[records[0].judge, role].append(right)
    judgments = [judgment for records in votes for judgment in records]
    panel = Panel.of(judgments)
    return {
        "at": time.time(),
        "votes": store.read(_COUNTED)[0][0],
        "adjudicated": store.read(_ADJUDICATED)[0][0],
        "read": len(votes),
        "agreement": _agreement(panel),
        "people": _people(panel, marked, store),
        "findings": _findings(judgments),
        "hours": _hours(store),
        "gain": gain_of_choice(store, project),
    }


_LATEST = """
SELECT coalesce(min(id), 0) FROM (
  SELECT id FROM events WHERE kind IN ('voted', 'revised') ORDER BY id DESC LIMIT :most) AS latest
"""

_COUNTED = "SELECT count(*) FROM events e JOIN items i ON i.id = e.item WHERE e.kind = 'voted' AND i.role = 'task'"

_ADJUDICATED = "SELECT count(DISTINCT item) FROM events WHERE kind = 'adjudicated'"


def _agreement(panel: Panel) -> list[dict[str, Any]]:
    """α (and AC1) of comparisons and rankings, and of each aspect that is rated."""
    found: list[dict[str, Any]] = []
    mask = panel.once & panel.compared
    if mask.any():
        unit, said = panel.unit[mask], panel.said[mask]
        found.append({
            "of": "comparisons",
            "alpha": _coefficient(krippendorff(unit, said, categories=3)),
            "ac1": _coefficient(gwet(unit, said, categories=3)),
            "same": _number(same_share(unit, said, categories=3)),
        })  # fmt: skip
    ratings = panel.ratings
    for number, (aspect, low, _high) in enumerate(ratings.scales):
        rows = np.flatnonzero(ratings.scale == number)
        level = np.round(ratings.score[rows] - (low or 0)).astype(np.int64)
        alpha = krippendorff(ratings.item[rows], level, categories=int(level.max()) + 1, metric="ordinal")
        found.append(
            {
                "of": f"ratings of {aspect or 'the whole'}",
                "aspect": aspect,
                "alpha": _coefficient(alpha),
                "ac1": None,
                "same": None,
            }
        )
    return found


def _people(panel: Panel, marked: Mapping[tuple[str, str], list[bool]], store: Store) -> list[dict[str, Any]]:
    """A row for everybody with an account who did something."""
    place = {name: number for number, name in enumerate(panel.judges)}
    votes = panel.count() if len(panel) else np.zeros(len(panel.judges), np.int64)
    first, named = first_named(panel.votes)
    side = wilson(first, named)
    shared = np.bincount(panel.unit)[panel.unit] > 1 if len(panel) else np.zeros(0, bool)
    told = panel.count(shared) if len(panel) else votes
    fit = panel.fit.judges if (told >= LEAST_SHARED).sum() > 1 else None
    against = contrary(panel)
    rows = []
    for id, name, role, active, voted, skipped in store.read(_WHO):
        j = place.get(name)
        row: dict[str, Any] = {
            "id": id, "name": name, "role": role, "active": bool(active), "votes": voted, "skipped": skipped,
            "gold": _rate(marked.get((name, "gold"), [])), "qualification": _rate(marked.get((name, "qualification"), [])),
            "seconds": None, "side": None, "skill": None, "with_others": None,
        }  # fmt: skip
        if j is not None and votes[j]:
            mine = panel.votes.judge == j
            timed = panel.seconds[mine & ~np.isnan(panel.seconds)]
            row["seconds"] = float(np.median(timed)) if len(timed) else None
            row["side"] = _interval(*(part[j] for part in side)) if named[j] else None
            both = mine & shared
            row["with_others"] = (
                {"value": float(1 - against[both].mean()), "of": int(both.sum())} if both.any() else None
            )
            if fit is not None and told[j] >= LEAST_SHARED:
                row["skill"] = _interval(fit.skill[j], fit.skill_low[j], fit.skill_high[j])
        rows.append(row)
    return rows


_WHO = """
SELECT a.id, a.name, a.role, a.active,
  (SELECT count(*) FROM events e WHERE e.account = a.id AND e.kind <> 'viewed' AND e.kind = 'voted'),
  (SELECT count(DISTINCT e.item) FROM events e WHERE e.account = a.id AND e.kind <> 'viewed' AND e.kind = 'skipped'
    AND NOT EXISTS (SELECT 1 FROM events vote WHERE vote.item = e.item AND vote.account = e.account AND vote.kind = 'voted'))
FROM accounts a ORDER BY 5 DESC, a.id
"""


def _findings(judgments: list[Judgment]) -> list[dict[str, Any]]:
    """What the audit's checks of people say in words."""
    if not judgments:
        return []
    given = AuditInput(records=(), judgments=judgments)
    said = [finding for check in JUDGMENT_CHECKS.values() for finding in check(given)]
    return [{"check": one.check, "verdict": one.verdict, "message": one.message, "cure": one.cure} for one in said]


def _hours(store: Store, hours: int = 48) -> list[int]:
    """Votes in each of the last hours, the latest last."""
    now, counts = time.time(), [0] * hours
    rows = store.read(
        "SELECT hour, count(*) FROM (SELECT CAST(:now - at AS bigint) / 3600 AS hour FROM events "
        "WHERE kind = 'voted' AND at > :since) AS lately GROUP BY hour",
        now=now,
        since=now - hours * 3600,
    )
    for hour, votes in rows:
        if 0 <= hour < hours:
            counts[hours - 1 - hour] = votes
    return counts


def _coefficient(found: Agreement) -> dict[str, Any]:
    return {**_interval(found.value, found.low, found.high), "units": found.units}


def _rate(right: list[bool]) -> dict[str, Any] | None:
    if not right:
        return None
    found = rate(sum(right), len(right))
    return {**_interval(found.value, found.low, found.high), "right": found.hits, "asked": found.total}


def _interval(value: Any, low: Any, high: Any) -> dict[str, Any]:
    return {"value": _number(value), "low": _number(low), "high": _number(high)}


def _number(value: Any) -> float | None:
    """A number as JSON has it; None for what cannot be said."""
    return None if np.isnan(value) else float(value)
