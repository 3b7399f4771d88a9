"""KL between policy and reference, against its definition."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rather.errors import InputError
from rather.evaluation.drift import kl_on_samples
from rather.generation import sample
from rather.model import Loaded, Renderer, load
from rather.records import Message, Question, Response
from tests.tiny import make_model

QUESTION = Question(prompt=(Message(role="user", content="Hi"),))


@pytest.fixture(scope="module")
def policy(tiny: Path) -> Loaded:
    return load(str(tiny))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return load(str(make_model(tmp_path_factory.mktemp("models") / "other", seed=1)))


@pytest.fixture(scope="module")
def renderer(policy: Loaded) -> Renderer:
    return Renderer(policy.tokenizer, stop_tokens=policy.stop_tokens)


def distribution(loaded: Loaded, renderer: Renderer) -> torch.Tensor:
    with torch.no_grad():
        return loaded.model(torch.tensor([renderer.prompt_tokens(QUESTION.prompt)])).logits[0, -1].log_softmax(-1)


def test_a_model_is_no_distance_from_itself(policy: Loaded, renderer: Renderer) -> None:
    samples = sample(policy, renderer, [QUESTION] * 20, max_new_tokens=6, temperature=1.0)
    drift = kl_on_samples(policy, policy, renderer, samples, dtype=torch.float32)
    assert (drift.per_sequence, drift.standard_error, drift.per_token, drift.samples) == (0.0, 0.0, 0.0, 20)


def test_each_sample_weighs_its_log_ratio(policy: Loaded, other: Loaded, renderer: Renderer) -> None:
    """Two answers of one token by hand: mean and standard error of log π − log π_ref."""
    tokens = (65, 66)
    samples = [
        Response(question=QUESTION, text="", tokens=(token,), model="m", seed=0, finished=False) for token in tokens
    ]
    ratio = (distribution(policy, renderer) - distribution(other, renderer))[list(tokens)]
    drift = kl_on_samples(policy, other, renderer, samples, dtype=torch.float32)
    assert drift.per_sequence == pytest.approx(float(ratio.mean()), abs=1e-4)
    assert drift.per_token == pytest.approx(float(ratio.mean()), abs=1e-4)
    assert drift.standard_error == pytest.approx(abs(float(ratio[0] - ratio[1])) / 2, abs=1e-4)
    assert kl_on_samples(policy, other, renderer, samples[:1], dtype=torch.float32).standard_error is None


def test_the_estimate_meets_the_exact_value(policy: Loaded, other: Loaded, renderer: Renderer) -> None:
    """For answers of one token KL is a sum over the vocabulary."""
    ours, theirs = distribution(policy, renderer), distribution(other, renderer)
    exact = float((ours.exp() * (ours - theirs)).sum())
    samples = sample(policy, renderer, [QUESTION] * 2000, max_new_tokens=1, temperature=1.0)
    drift = kl_on_samples(policy, other, renderer, samples, dtype=torch.float32)
    assert exact > 0.1
    assert drift.standard_error is not None
    assert drift.per_sequence == pytest.approx(exact, abs=4 * drift.standard_error)
    assert drift.standard_error < exact / 5


def test_nothing_sampled_is_said(policy: Loaded, renderer: Renderer) -> None:
    with pytest.raises(InputError, match="no samples"):
        kl_on_samples(policy, policy, renderer, [], dtype=torch.float32)
