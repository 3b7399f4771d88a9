"""What a run's own metrics say is going wrong, and what to do about it: each guard speaks once.

To add one, write a function `(rows, updates_of_an_epoch) -> str | None` and one line in `GUARDS`. Rows are the lines of
`metrics.jsonl` so far.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

Row = Mapping[str, float]
Guard = Callable[[Sequence[Row], int], str | None]

# Updates that a judgement is made of: one alone is noise.
WINDOW = 10

# Nats a token. A chosen answer that lost a tenth of a nat on every token is as a whole e^(0.1·|y|) times less likely.
DISPLACED = -0.1
FAR = 3.0

# Of a loss that starts at ln 2 for a coin flip: nothing is left to learn from pairs that are this certain.
CERTAIN = 0.01

# The same of a margin, in units of reward: −log σ(5) is 0.007. It also speaks where an SFT term holds the loss up.
SATURATED = 5.0


def displacement(rows: Sequence[Row], epoch: int) -> str | None:
    """The chosen answers lose probability while the margin grows: both sides are being forgotten, rejected ones faster."""
    if len(rows) < 2 * WINDOW:
        return None
    earlier, recent = rows[-2 * WINDOW : -WINDOW], rows[-WINDOW:]
    change = _mean(recent, "chosen_logp_change_per_token")
    if change < DISPLACED and _mean(recent, "margin") > _mean(earlier, "margin"):
        return (
            f"the chosen answers lose probability ({change:+.2f} nats a token) while the margin grows; keep them likely with "
            "--sft-weight 0.2, with --loss dpop or cal_dpo, or with a lower --lr"
        )
    return None


def far_from_the_reference(rows: Sequence[Row], epoch: int) -> str | None:
    """Answers have become a thousand times likelier or less likely a word: the policy is another model by now."""
    if len(rows) < WINDOW:
        return None
    sides = [abs(_mean(rows[-WINDOW:], f"{side}_logp_change_per_token")) for side in ("chosen", "rejected")]
    if max(sides) > FAR:
        return (
            f"the policy is {max(sides):.1f} nats a token away from its reference on these pairs; raise --beta, lower --lr, or "
            "train for fewer --epochs"
        )
    return None


def nothing_left_to_learn(rows: Sequence[Row], epoch: int) -> str | None:
    """The margins are saturated: what follows only moves the policy further from its reference."""
    recent = rows[-WINDOW:]
    if len(rows) < WINDOW or min(row["accuracy"] for row in recent) < 1.0:
        return None
    margin = min(row.get("margin", 0.0) for row in recent)
    if max(abs(row["loss"]) for row in recent) < CERTAIN:
        seen = f"the loss is below {CERTAIN}"
    elif margin > SATURATED:
        seen = f"the margin is above {margin:.1f}"
    else:
        return None
    return f"{seen} and every one is right: these examples teach nothing more; fewer --epochs, or a smaller --beta for a longer way"


def right_from_the_start(rows: Sequence[Row], epoch: int) -> str | None:
    """Every pair is won before most were seen: something simpler than what was meant tells the sides apart."""
    if len(rows) != WINDOW or epoch < 3 * WINDOW:
        return None
    if min(row["accuracy"] for row in rows[2:]) == 1.0:
        return (
            "every one is right within the first updates, before most were seen: a shortcut tells chosen from rejected; "
            "`rather audit` looks for it"
        )
    return None


GUARDS: dict[str, Guard] = {
    "displacement": displacement,
    "far_from_the_reference": far_from_the_reference,
    "nothing_left_to_learn": nothing_left_to_learn,
    "right_from_the_start": right_from_the_start,
}


class Watch:
    """Runs every guard after each update until it has spoken."""

    def __init__(self, rows: Sequence[Row], updates_of_an_epoch: int) -> None:
        self.rows = list(rows)
        self.epoch = updates_of_an_epoch
        self.said: dict[str, str] = {}

    def after(self, row: Row) -> list[str]:
        """What is to be said after the update that `row` tells of: `name: sentence`."""
        self.rows.append(row)
        new = []
        for name, guard in GUARDS.items():
            sentence = guard(self.rows, self.epoch) if name not in self.said else None
            if sentence:
                self.said[name] = f"update {int(row['step'])}: {sentence}"
                new.append(f"{name}: {self.said[name]}")
        return new


def _mean(rows: Sequence[Row], name: str) -> float:
    """Over the rows that have it; 0, which no guard minds, where none has."""
    return fmean([row[name] for row in rows if name in row] or [0.0])
