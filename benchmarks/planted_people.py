"""Habits of people and judges in a made crowd: the share is how strong the habit is."""

from __future__ import annotations

import random
from collections.abc import Callable

from benchmarks.planting import Defect, Plant
from rather.auditing import AuditInput
from rather.records import Judgment, Pair
from tests.auditing.crowd import PERSON, SPAMMER, Crowd, Habit

MODEL = Habit(right=0.88, ties=0.05)


def careful(seed: int) -> list[Judgment]:
    """Eight careful people and two models."""
    return Crowd(seed).people([PERSON] * 8).models([MODEL, MODEL]).judgments


def _heard(judge: Callable[[Crowd, float], Crowd]) -> Plant:
    def plant(pairs: list[Pair], share: float, draw: random.Random) -> AuditInput:
        return AuditInput(records=[], judgments=judge(Crowd(draw.randrange(2**32)), share).judgments)

    return plant


def _person(habit: Callable[[float], Habit]) -> Plant:
    """One with a habit, p7, behind seven careful people."""
    return _heard(lambda crowd, share: crowd.people([PERSON] * 7 + [habit(share)]))


def _guessers(crowd: Crowd, share: float) -> Crowd:
    count = round(8 * share)
    return crowd.people([SPAMMER] * count + [PERSON] * (8 - count))


def _mixed(common: float, rare: float) -> Callable[[float], float]:
    return lambda share: (1 - share) * common + share * rare


_right, _contrary, _again, _seconds = _mixed(0.85, 0.5), _mixed(0.85, 0.15), _mixed(0.97, 0.2), _mixed(25.0, 1.2)

PEOPLE: dict[str, Defect] = {
    "spammer": Defect(
        _person(lambda share: Habit(right=_right(share), again=_again(share), share=1.0)),
        "reliability",
        (0.3, 0.9, 1.0),
        "p7 (",
    ),
    "contrary judge": Defect(
        _person(lambda share: Habit(right=_contrary(share))), "reliability", (0.2, 0.7, 1.0), "p7 ("
    ),
    "person always left": Defect(_person(lambda share: Habit(side=share)), "side_bias", (0.1, 0.5, 1.0), "p7 ("),
    "person who never decides": Defect(
        _person(lambda share: Habit(ties=0.12 + 0.88 * share)), "tie_rate", (0.1, 0.6, 0.9), "p7 ("
    ),
    "fast clicker": Defect(_person(lambda share: Habit(seconds=_seconds(share))), "speed", (0.3, 0.95, 1.0), "p7 ("),
    "forgetful person": Defect(
        _person(lambda share: Habit(again=_again(share), share=1.0)), "self_consistency", (0.1, 0.8, 1.0), "p7 ("
    ),
    "person who judges by length": Defect(
        _person(lambda share: Habit(longer=share, share=1.0)), "length_preference", (0.1, 0.5, 0.8), "p7 ("
    ),
    "judge that follows the order": Defect(
        _heard(lambda crowd, share: crowd.people([PERSON] * 5).models([MODEL, Habit(right=0.9, flips=share)])),
        "swap_flips",
        (0.05, 0.25, 0.6),
        "m1 (",
    ),
    "judge worse than another": Defect(
        _heard(
            lambda crowd, share: crowd.people([Habit(share=1.0)] * 5).models(
                [Habit(right=0.95, ties=0), Habit(right=_mixed(0.95, 0.5)(share), ties=0)]
            )
        ),
        "agreement_with_people",
        (0.1, 0.5, 1.0),
        "m1",
    ),
    "a crowd of guessers (share of the people)": Defect(_heard(_guessers), "agreement", (0.25, 0.75, 1.0)),
}
