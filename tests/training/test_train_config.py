from __future__ import annotations

from typing import Any

import pytest

from rather.errors import ConfigError
from rather.losses import LOSSES, SCORE_LOSSES
from rather.training.config import BETA_LOSSES, TrainConfig


def refusal(**values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        TrainConfig.build(values)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "peak"),
    [
        ({}, 1e-6),
        ({"lora_rank": 8}, 1e-4),
        ({"lr": 3e-5}, 3e-5),
        ({"lr": 3e-5, "lora_rank": 8}, 3e-5),
    ],
)
def test_the_learning_rate_depends_on_what_is_trained(values: dict[str, Any], peak: float):
    assert TrainConfig(**values).peak_lr == peak


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ({}, 0.1),
        ({"beta": 0.5}, 0.5),
        ({"loss": "ipo"}, 0.1),
        ({"loss": "ipo", "beta": 2}, 2.0),
        ({"loss": "sft"}, 1.0),
        ({"loss": "logp_gap"}, 1.0),
        ({"loss": "logp_ratio"}, 1.0),
    ],
)
def test_rewards_are_scaled_by_beta_where_there_is_one(values: dict[str, Any], scale: float):
    assert TrainConfig(**values).reward_scale == scale


@pytest.mark.parametrize("loss", sorted(set(LOSSES) - SCORE_LOSSES))
def test_beta_is_refused_where_it_does_nothing(loss: str):
    if loss in BETA_LOSSES:
        assert TrainConfig.build({"loss": loss, "beta": 0.3}).beta == 0.3
    else:
        assert refusal(loss=loss, beta=0.3) == f"--beta does nothing in the loss {loss}; losses that use it: dpo, ipo"


def test_an_sft_term_beside_the_sft_loss_is_refused():
    assert refusal(loss="sft", sft_weight=0.5) == "--sft-weight does nothing beside --loss sft; leave one of them out"
    assert TrainConfig(loss="dpo", sft_weight=0.5).sft_weight == 0.5


@pytest.mark.parametrize(
    ("key", "inside", "outside"),
    [
        ("beta", [0.001, 100], [0, -1, 101]),
        ("sft_weight", [0, 100], [-0.1, 101]),
        ("batch_pairs", [1, 100_000], [0, 1.5, 100_001]),
        ("lr", [1e-9, 1], [0, -1, 1.1]),
        ("epochs", [1, 1000], [0, 1001]),
        ("warmup", [0, 0.9], [-0.1, 0.91, 1]),
        ("max_grad_norm", [1e-3, 1e9], [0, -1]),
        ("weight_decay", [0, 1], [-0.1, 1.1]),
        ("max_length", [8, 10_000_000], [7, 10_000_001]),
        ("lora_rank", [1, 4096], [0, 4097]),
        ("seed", [0, 2**31 - 1], [-1, 2**31]),
        ("save_every", [1], [0]),
    ],
)
def test_ranges(key: str, inside: list[float], outside: list[float]):
    for value in inside:
        assert getattr(TrainConfig.build({key: value}), key) == value
    for value in [*outside, float("nan"), float("inf")]:
        assert refusal(**{key: value}).startswith(f"{key} = {value!r}: input should be ")


@pytest.mark.parametrize("key", ["loss", "dtype"])
def test_choices_are_named(key: str):
    choices = {"loss": "'dpo', 'ipo', 'sft', 'logp_gap' or 'logp_ratio'", "dtype": "'fp32' or 'bf16'"}
    assert refusal(**{key: "x"}) == f"{key} = 'x': input should be {choices[key]}"


def test_every_knob_has_its_help():
    assert [name for name, field in TrainConfig.model_fields.items() if not field.description] == []
