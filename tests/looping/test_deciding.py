"""Which round is best, when there is no next one, and what is said of a proxy that was won over: on figures made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from rather.looping.config import StopConfig
from rather.looping.deciding import best_of, over_optimised, reason_to_stop, worth

Rate = tuple[float, float, float]


def win(rate: Rate) -> dict[str, float]:
    return dict(zip(("rate", "low", "high"), rate, strict=True))


def facts(number: int, gold: Rate, against: Rate = (0.6, 0.55, 0.7), proxy: Rate = (0.7, 0.6, 0.8), **more: Any) -> Any:
    return {
        "round": number, "held_out": ["gold"], "proxy": ["reward model"],
        "judged": {"gold": win(gold), "reward model": win(proxy)},
        "against": {"gold": win(against), "reward model": win(proxy)},
        "kl_detail": {"exact": float(number)}, "seconds": {"train": 60.0}, **more,
    }  # fmt: skip


def test_the_best_round_is_not_the_last_and_of_equals_the_earlier() -> None:
    rounds = [
        facts(1, (0.6, 0.5, 0.7)),
        facts(2, (0.8, 0.7, 0.9)),
        facts(3, (0.8, 0.7, 0.9)),
        facts(4, (0.4, 0.3, 0.5)),
    ]
    assert best_of(rounds, StopConfig()) is rounds[1]
    assert best_of(rounds, StopConfig(kl=1.5)) is rounds[0], "rounds over the budget do not count"
    assert best_of(rounds, StopConfig(kl=0.5)) is None
    assert best_of([facts(1, (0.5, 0.4, 0.6))], StopConfig()) is None, "no better than the first model"
    assert best_of([], StopConfig()) is None


def test_several_held_out_judges_count_alike() -> None:
    both = facts(1, (0.6, 0.5, 0.7), held_out=["gold", "reward model"])
    assert worth(both) == pytest.approx((0.6 + 0.7) / 2)


@pytest.mark.parametrize(
    ("stop", "most", "reason"),
    [
        ({}, 3, None),
        ({}, 2, "2 rounds are done"),
        ({"kl": 1.9}, 3, "KL 2.00 nats an answer in round 2, over the budget of 1.9"),
        ({"kl": 2.0}, 3, None),
        ({"no_gain": True}, 3, None),
        ({"minutes": 3.0}, 4, None),
        ({"minutes": 2.9}, 4, "2.0 minutes are spent, and another round like the last would pass 2.9"),
    ],
)
def test_rules_that_stop(stop: dict[str, Any], most: int, reason: str | None) -> None:
    rounds = [facts(1, (0.6, 0.5, 0.7)), facts(2, (0.8, 0.7, 0.9))]
    assert reason_to_stop(rounds, most, StopConfig(**stop)) == reason


def test_a_round_that_is_not_surely_better_than_the_one_before_is_the_last() -> None:
    rounds = [facts(1, (0.6, 0.5, 0.7)), facts(2, (0.8, 0.7, 0.9), against=(0.55, 0.5, 0.6))]
    said = reason_to_stop(rounds, 9, StopConfig(no_gain=True))
    assert said == "round 2 is not surely better than the one before: win rate 55% (50% to 60%)"
    assert reason_to_stop(rounds, 9, StopConfig()) is None
    assert reason_to_stop([], 9, StopConfig(no_gain=True, kl=1e-9)) is None


def test_a_proxy_that_rises_while_the_held_out_judge_falls_is_a_warning() -> None:
    assert over_optimised(facts(1, (0.6, 0.5, 0.7))) is None
    sure = over_optimised(facts(2, (0.6, 0.5, 0.7), against=(0.3, 0.2, 0.4)))
    assert sure is not None
    assert sure.startswith(
        "round 2 is better than the one before by reward model and worse by gold: it may have learned"
    )
    unsure = over_optimised(facts(2, (0.6, 0.5, 0.7), against=(0.45, 0.3, 0.6)))
    assert unsure is not None
    assert "within what chance does" in unsure
    assert over_optimised(facts(2, (0.6, 0.5, 0.7), against=(0.3, 0.2, 0.4), proxy=(0.4, 0.3, 0.6))) is None
    same = facts(2, (0.6, 0.5, 0.7), against=(0.3, 0.2, 0.4), proxy=(0.7, 0.6, 0.8)) | {"proxy": ["gold"]}
    assert over_optimised(same) is None, "a judge that verifies its own pairs cannot be told from what it stands for"
