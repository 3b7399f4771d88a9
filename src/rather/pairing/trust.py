"""reliability.json: what is known of each judge."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from rather.pairing.aggregates import Aggregated
from rather.pairing.evidence import Evidence
from rather.stats import rate
from rather.stats.judges import counted, first_named
from rather.stats.votes import TIE, Bools, Floats, Votes, total

SKILL = {
    "dawid-skene": "how much likelier the judge names an answer when it is the better one than when it is the worse: 1 of "
    "an expert, 0 of one that does not look, below 0 of one that says the opposite",
    "noisy-bradley-terry": "how strongly the judge's verdicts follow the scores: 1 of the average vote, or of gold where there is "
    "some, 0 of one that does not look, below 0 of one that says the opposite",
}


def reliability(evidence: Evidence, found: Aggregated, method: str | None, gold: tuple[str, ...]) -> dict[str, Any]:
    """Judges by number of votes. Intervals are of 95 %; what cannot be known is null."""
    votes = evidence.votes
    given, ties = counted(votes)
    agreed, named = _agreement(votes, found)
    first, shown = first_named(votes)
    ratings = np.bincount(evidence.ratings.judge, minlength=len(evidence.judges))
    found_of = {} if found.judges is None else asdict(found.judges)
    rows = []
    for number in np.lexsort((np.arange(len(given)), -given)).tolist():
        row: dict[str, Any] = {
            "judge": evidence.judges[number],
            "votes": int(given[number]),
            "ratings": int(ratings[number]),
            "gold": evidence.judges[number] in gold,
            "ties": round(float(ties[number]), 4) if given[number] else None,
            "agrees": _rate(agreed, named, number),
            "names_first": _rate(first, shown, number),
        }
        for name, column in (("skill", "skill"), ("side_bias", "side")) if found_of else ():
            row[name] = _interval(*(float(found_of[f"{column}{end}"][number]) for end in ("", "_low", "_high")))
        rows.append(row)
    return {"reliability": method, "meaning": _meaning(method), "judges": rows, "models": found.models}


def _meaning(method: str | None) -> dict[str, str]:
    said = {
        "votes": "comparisons of two answers, as given or as ratings and rankings imply them",
        "ties": "share of ties among the votes",
        "agrees": "share of its votes for an answer that the aggregate shares; the judge's own votes are among what is aggregated",
        "names_first": "share of its votes for an answer that name the one shown first; ½ without side bias",
    }
    if method is not None:
        said["skill"] = SKILL[method]
        said["side_bias"] = (
            "probability that it names the answer shown first where two are equal and it names one; ½ without bias"
        )
    return said


def _agreement(votes: Votes, found: Aggregated) -> tuple[Floats, Floats]:
    """How often each judge named an answer that the aggregate finds better, and how often it named one of two that differ."""
    if found.odds is not None:
        lead = found.odds(votes.first, votes.second).better - 0.5
    else:
        lead = found.score[votes.first] - found.score[votes.second]
    side = np.sign(np.round(np.nan_to_num(lead), 9))
    counts = (votes.outcome != TIE) & (side != 0)
    agrees = counts & (1 - votes.outcome == side)
    return _sum(votes, agrees), _sum(votes, counts)


def _sum(votes: Votes, mask: Bools) -> Floats:
    return total(votes.judge, mask.astype(np.float64), votes.judges)


def _rate(hits: Floats, counts: Floats, number: int) -> dict[str, Any] | None:
    if not counts[number]:
        return None
    found = rate(int(hits[number]), int(counts[number]))
    return _interval(found.value, found.low, found.high)


def _interval(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": round(value, 4), "interval": None if np.isnan(low) else [round(low, 4), round(high, 4)]}
