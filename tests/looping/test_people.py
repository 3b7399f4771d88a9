"""Whom to ask what: places on the data map, and how items are drawn from them."""

from __future__ import annotations

import pytest

from rather.looping.people import ARM, RANDOM, SURE, UNCERTAIN, WHY, WRONG, Place, in_turn, pick
from rather.records import Pair

PAIRS = [Pair(prompt=f"Question {place // 2}?", chosen=f"Yes {place}.", rejected=f"No {place}.") for place in range(12)]


@pytest.mark.parametrize(
    ("mean", "spread", "kind"),
    [
        (-3.0, 1.0, WRONG),
        (-1.4, 1.4, UNCERTAIN),
        (0.2, 0.0, UNCERTAIN),
        (0.9, 2.0, UNCERTAIN),
        (3.0, 1.0, SURE),
        (-0.6, 0.0, WRONG),
    ],
)
def test_where_a_pair_lies(mean: float, spread: float, kind: str) -> None:
    assert Place(mean, spread).kind == kind


def test_the_uncertain_and_the_wrong_take_turns_before_what_is_sure() -> None:
    places = [Place(-3, 0), Place(-5, 0), Place(0.4, 0), Place(0.1, 0), Place(4, 0), Place(2, 0)]
    assert in_turn(places, range(6)) == [3, 1, 2, 0, 5, 4]
    assert in_turn(places, [0, 1, 4]) == [1, 0, 4]


def test_a_share_is_drawn_at_random_whatever_the_map_says() -> None:
    places = [Place(-9.0 if place in (0, 3) else 5.0, 0.0) for place in range(12)]
    picked = pick(PAIRS, places, items=6, share=0.5, seed=0)
    arms = [item.tags[ARM] for item in picked]
    assert arms == [RANDOM] * 3 + ["chosen"] * 3
    texts = [item.chosen for item in picked]
    assert len(set(texts)) == 6
    drawn = {item.chosen for item in picked[:3]}
    assert {PAIRS[0].chosen, PAIRS[3].chosen} <= drawn | {item.chosen for item in picked[3:5]}
    assert all(item.tags[WHY] in (WRONG, SURE) for item in picked)


def test_without_a_map_all_are_drawn_at_random_a_prompt_once_first() -> None:
    picked = pick(PAIRS, [], items=6, share=0.25, seed=1)
    assert {item.tags[ARM] for item in picked} == {RANDOM}
    assert len({item.prompt for item in picked}) == 6
    assert len(pick(PAIRS, [], items=50, share=0.25, seed=1)) == 12, "no more than there are"
    assert picked == pick(PAIRS, [], items=6, share=0.25, seed=1)


def test_the_random_arm_is_the_same_whatever_the_policies_say() -> None:
    one = pick(PAIRS, [Place(float(place), 1.0) for place in range(12)], items=4, share=0.5, seed=2)
    two = pick(PAIRS, [Place(-float(place), 1.0) for place in range(12)], items=4, share=0.5, seed=2)
    assert [item.chosen for item in one[:2]] == [item.chosen for item in two[:2]]
