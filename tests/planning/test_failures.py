"""Checkpoints, failures and stragglers: by hand, and against dice."""

from __future__ import annotations

import math
import random

import pytest

from rather.planning.failures import GPU_HOURS, Failures, failures_of
from rather.planning.stragglers import fullest, slowest


def test_youngs_interval_by_hand() -> None:
    """A checkpoint of 18 s, a failure every 10,000 s: √(2·18·10,000) = 600 s."""
    assert Failures(10_000, 18, 0).young == pytest.approx(600)


def test_dalys_interval_by_hand() -> None:
    """The same: 600·(1 + √0.0009/3 + 0.0009/9) − 18 = 600·1.0101 − 18 = 588.06."""
    assert Failures(10_000, 18, 0).daly == pytest.approx(588.06)
    assert Failures(10, 30, 0).daly == 10


def test_the_expected_time_by_hand() -> None:
    """A stretch of 100 s and a checkpoint of 0, failures every 100 s, no restart: 100·(e − 1) = 171.8 s."""
    assert Failures(100, 0, 0).expected(1000, 100) == pytest.approx(1000 * (math.e - 1))
    assert Failures(100, 0, 100).expected(1000, 100) == pytest.approx(1000 * (math.e - 1) * math.e)
    assert Failures(1, 0, 0).expected(1e6, 1e6) == math.inf


def test_without_failures_checkpoints_alone_cost() -> None:
    assert Failures(1e15, 10, 300).expected(1000, 100) == pytest.approx(1100, rel=1e-3)


@pytest.mark.parametrize(("between", "checkpoint"), [(5_000, 20), (20_000, 5), (1_000, 60)])
def test_dalys_interval_costs_least(between: float, checkpoint: float) -> None:
    failures = Failures(between, checkpoint, 60)
    best = min(failures.expected(1e6, interval) for interval in range(5, 20_000, 5))
    assert failures.expected(1e6, failures.daly) == pytest.approx(best, rel=2e-3)


def _diced(failures: Failures, training: float, interval: float, draw: random.Random) -> float:
    """A run, event by event: stretches that end, failures that undo them, restarts that may fail too."""
    clock, done = 0.0, 0
    failure = draw.expovariate(1 / failures.between)
    while done < round(training / interval):
        end = clock + interval + failures.checkpoint
        if end <= failure:
            clock, done = end, done + 1
            continue
        clock = failure
        while True:
            failure = clock + draw.expovariate(1 / failures.between)
            if failure >= clock + failures.restart:
                clock += failures.restart
                break
            clock = failure
    return clock


@pytest.mark.parametrize(("between", "checkpoint", "restart"), [(2_000, 20, 60), (500, 30, 100), (10_000, 5, 300)])
def test_the_expected_time_is_that_of_dice(between: float, checkpoint: float, restart: float) -> None:
    failures, draw = Failures(between, checkpoint, restart), random.Random(0)
    interval, training = failures.daly, 40 * failures.daly
    runs = [_diced(failures, training, interval, draw) for _ in range(1500)]
    mean = sum(runs) / len(runs)
    deviation = math.sqrt(sum((run - mean) ** 2 for run in runs) / len(runs) / len(runs))
    assert failures.expected(training, interval) == pytest.approx(mean, abs=4 * deviation)


def test_failures_come_as_often_as_there_are_gpus() -> None:
    one, many = failures_of(1, checkpoint=10), failures_of(1024, checkpoint=10)
    assert one.between == pytest.approx(1024 * many.between)
    assert pytest.approx(50_676, abs=2) == GPU_HOURS
    assert many.between / 3600 == pytest.approx(49.5, abs=0.1)


@pytest.mark.parametrize("ranks", [2, 8, 64, 1024])
def test_the_slowest_is_as_slow_as_dice_say(ranks: int) -> None:
    draw = random.Random(ranks)
    seen = [max(draw.gauss(1, 0.1) for _ in range(ranks)) for _ in range(1_000 if ranks > 64 else 8_000)]
    assert slowest(ranks, 0.1) == pytest.approx(sum(seen) / len(seen), abs=0.01)
    assert slowest(1, 0.1) == 1


def test_the_fullest_rank_by_hand() -> None:
    assert fullest([5, 4, 3, 3, 3], 2) == pytest.approx(10 / 9)  # 5 + 3 and 4 + 3 + 3
    assert fullest([1] * 8, 8) == 1
    assert fullest([7], 4) == 4
