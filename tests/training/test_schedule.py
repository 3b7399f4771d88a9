"""Learning rates, by hand."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.training.config import TrainConfig
from rather.training.schedule import SCHEDULES, learning_rate


def rates(schedule: str, steps: int = 10, *, peak: float = 8.0, warmup: float = 0.2) -> list[float]:
    return [learning_rate(step, steps, peak=peak, warmup=warmup, schedule=schedule) for step in range(steps)]


def test_linear() -> None:
    # 10 updates, a fifth of them warm-up: 1/2 and 1, then 8/8, 7/8, … 1/8 of the peak.
    assert rates("linear") == [4.0, 8.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]


def test_cosine() -> None:
    # 6 updates without warm-up, x = 0, 1/6, … 5/6: cos πx = 1, √3/2, 1/2, 0, −1/2, −√3/2.
    root = 3**0.5 / 2
    by_hand = [2.0, 1 + root, 1.5, 1.0, 0.5, 1 - root]
    assert rates("cosine", 6, peak=2.0, warmup=0.0) == pytest.approx(by_hand, abs=1e-12)


def test_constant() -> None:
    assert rates("constant") == [4.0, *[8.0] * 9]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_one_update_is_made_at_the_peak(schedule: str) -> None:
    assert rates(schedule, 1, peak=2.0, warmup=0.0) == [2.0]


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 500), st.floats(0, 0.9))
def test_it_rises_to_the_peak_and_never_again(schedule: str, steps: int, warmup: float) -> None:
    found, rising = rates(schedule, steps, peak=1.0, warmup=warmup), round(warmup * steps)
    assert found[:rising] == sorted(found[:rising])
    assert found[rising:] == sorted(found[rising:], reverse=True)
    assert max(found) == pytest.approx(1.0)
    assert min(found) > 0, "no update is made for nothing"


def test_the_config_knows_them_all() -> None:
    assert get_args(TrainConfig.model_fields["schedule"].annotation) == tuple(SCHEDULES)
