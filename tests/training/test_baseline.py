"""The running level that bco and beta_dpo compare with."""

from __future__ import annotations

import pytest
import torch

from rather.errors import ConfigError
from rather.losses import PairLogps
from rather.training.baseline import Baseline
from rather.training.config import TrainConfig
from rather.training.objective import objective_of


def update(chosen: list[float], rejected: list[float]) -> PairLogps:
    zero = torch.zeros(len(chosen))
    return PairLogps(torch.tensor(chosen), torch.tensor(rejected), zero, zero)


def kept(loss: str) -> Baseline:
    return Baseline.of(objective_of(TrainConfig(loss=loss)))


def test_bco_keeps_the_mean_of_all_pairs_so_far() -> None:
    level = kept("bco")
    assert level.value(torch.device("cpu")) is None
    level.seen(update([2.0, 4.0], [0.0, -2.0]))  # (3 − 1) / 2
    assert level.level == pytest.approx(1.0)
    level.seen(update([7.0], [1.0]))  # (1 + 1 + 4) / 3
    assert (level.level, level.pairs) == (pytest.approx(2.0), 3)
    value = level.value(torch.device("cpu"))
    assert value is not None
    assert value.item() == pytest.approx(2.0)


def test_beta_dpo_keeps_a_moving_average_of_the_margins() -> None:
    level = kept("beta_dpo")
    level.seen(update([3.0, 1.0], [1.0, -1.0]))
    assert level.level == pytest.approx(2.0)
    level.seen(update([5.0], [-7.0]))
    assert level.level == pytest.approx(0.9 * 2 + 0.1 * 12)


def test_other_losses_keep_nothing_and_two_levels_cannot_be_kept() -> None:
    level = kept("dpo:0.5,sft:0.5")
    level.seen(update([3.0], [1.0]))
    assert (level.level, level.pairs) == (None, 0)
    with pytest.raises(ConfigError, match="bco and beta_dpo each compare with a level of their own"):
        kept("bco,beta_dpo")
