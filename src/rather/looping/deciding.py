"""Which round is the best, whether there is a next one, and whether what is learned is still what is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from rather.looping.config import StopConfig

Facts = Mapping[str, Any]

# A round whose held-out answers are exactly as good as the first model's.
EVEN = 0.5


def worth(facts: Facts) -> float:
    """Win rate over the first model by the held-out judges; of several their mean."""
    return fmean(facts["judged"][name]["rate"] for name in facts["held_out"])


def kl(facts: Facts) -> float:
    """KL(policy ‖ first model), nats an answer."""
    return facts["kl_detail"]["exact"]


def best_of(rounds: Sequence[Facts], stop: StopConfig) -> Facts | None:
    """The round that wins most over the first model, of equals the earlier; None where none wins more than it loses."""
    allowed = [facts for facts in rounds if stop.kl is None or kl(facts) <= stop.kl]
    found = max(allowed, key=lambda facts: (worth(facts), -facts["round"]), default=None)
    return found if found is not None and worth(found) > EVEN else None


def reason_to_stop(rounds: Sequence[Facts], most: int, stop: StopConfig) -> str | None:
    """Why no round is begun behind these; None where one is."""
    if not rounds:
        return None
    last = rounds[-1]
    number = last["round"]
    if stop.kl is not None and kl(last) > stop.kl:
        return f"KL {kl(last):.2f} nats an answer in round {number}, over the budget of {stop.kl:g}"
    if stop.no_gain:
        found = [last["against"][name] for name in last["held_out"]]
        if all(row["low"] <= EVEN for row in found):
            said = ", ".join(f"{row['rate']:.0%} ({row['low']:.0%} to {row['high']:.0%})" for row in found)
            return f"round {number} is not surely better than the one before: win rate {said}"
    if number >= most:
        return f"{most:,} rounds are done"
    if stop.minutes is not None:
        spent = [sum(facts["seconds"].values()) / 60 for facts in rounds]
        if sum(spent) + spent[-1] > stop.minutes:
            return f"{sum(spent):.1f} minutes are spent, and another round like the last would pass {stop.minutes:g}"
    return None


def over_optimised(facts: Facts) -> str | None:
    """What to say of a round that its pairs' judges find better than the one before, and the held-out judges worse."""
    held = [facts["against"][name] for name in facts["held_out"]]
    near = [facts["against"][name] for name in facts["proxy"] if name not in facts["held_out"]]
    if not near or not held:
        return None
    rising, falling = fmean(row["rate"] for row in near) > EVEN, fmean(row["rate"] for row in held) < EVEN
    if not (rising and falling):
        return None
    sure = all(row["low"] > EVEN for row in near) and all(row["high"] < EVEN for row in held)
    return (
        f"round {facts['round']} is better than the one before by {', '.join(facts['proxy'])} and worse by "
        f"{', '.join(facts['held_out'])}{'' if sure else ', within what chance does'}: it may have learned the judge and not what "
        "the judge stands for"
    )
