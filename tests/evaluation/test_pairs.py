"""Held-out pairs: a model beside itself, and beside what it was trained from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rather.evaluation.pairs import score_pairs
from rather.model import Renderer, TokenPair, load
from rather.records import Message, Pair
from rather.training.config import TrainConfig
from rather.training.run import train


def pairs(numbers: range) -> list[Pair]:
    return [
        Pair(prompt=(Message(role="user", content=f"What is {i}?"),), chosen=f"It is {i}.", rejected=f"Ask {i + 1}!")
        for i in numbers
    ]


def tokenised(renderer: Renderer, numbers: range) -> list[TokenPair]:
    return [renderer.pair(pair) for pair in pairs(numbers)]


def test_a_model_gains_nothing_over_itself(tiny: Path) -> None:
    loaded = load(str(tiny))
    held_out = tokenised(Renderer(loaded.tokenizer), range(20))
    score = score_pairs(loaded, loaded, held_out, dtype=torch.float32)
    assert (score.margin, score.chosen_change_per_token) == (0.0, 0.0)
    assert (score.accuracy, score.ties, score.wins.hits) == (0.5, 20, 0)  # a tie is half right, and no win


def test_a_trained_model_prefers_what_it_was_taught(tiny: Path, tmp_path: Path) -> None:
    config = TrainConfig(lr=1e-3, epochs=3, batch_pairs=4)
    result = train(pairs(range(16)), model=str(tiny), out=tmp_path / "out", config=config)
    policy, reference = load(str(result.model)), load(str(tiny))
    held_out = tokenised(Renderer(policy.tokenizer), range(100, 120))
    score = score_pairs(policy, reference, held_out, dtype=torch.float32)
    assert score.accuracy > 0.9
    assert score.margin > 0.5
    back = score_pairs(reference, policy, held_out, dtype=torch.float32)
    assert back.margin == pytest.approx(-score.margin, rel=1e-5)
    assert back.chosen_change_per_token == pytest.approx(-score.chosen_change_per_token, rel=1e-5)
    assert back.accuracy < 0.1
