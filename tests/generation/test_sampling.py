"""Answers from a model in this process: what decides them, and what they leave alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from rather.generation import sample, sampling
from rather.model import Loaded, Renderer, load
from rather.records import Message, Question

QUESTIONS = [Question(prompt=(Message(role="user", content="?" * length),)) for length in (9, 1, 30, 2, 1, 17)]


@pytest.fixture(scope="module")
def loaded(tiny: Path) -> Loaded:
    return load(str(tiny))


@pytest.fixture(scope="module")
def renderer(loaded: Loaded) -> Renderer:
    return Renderer(loaded.tokenizer, stop_tokens=loaded.stop_tokens)


def test_answers_come_in_the_order_asked_and_greedy_ones_do_not_depend_on_the_batch(
    loaded: Loaded, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = sample(loaded, renderer, QUESTIONS, max_new_tokens=12)
    assert [answer.question for answer in together] == QUESTIONS
    alone = [sample(loaded, renderer, [question], max_new_tokens=12)[0] for question in QUESTIONS]
    assert [a.tokens for a in together] == [a.tokens for a in alone]
    monkeypatch.setattr(sampling, "BATCH", 2)
    done: list[int] = []
    in_twos = sample(loaded, renderer, QUESTIONS, max_new_tokens=12, on_done=done.append)
    assert in_twos == together
    assert done == [1] * 6


def test_a_greedy_answer_is_the_likeliest_token_each_time(loaded: Loaded, renderer: Renderer) -> None:
    [answer] = sample(loaded, renderer, QUESTIONS[:1], max_new_tokens=5, seed=3)
    tokens = renderer.prompt_tokens(QUESTIONS[0].prompt)
    for produced in answer.tokens:
        with torch.no_grad():
            expected = int(loaded.model(torch.tensor([tokens])).logits[0, -1].argmax())
        assert produced == expected
        tokens.append(expected)
    assert (answer.seed, answer.model) == (3, loaded.path)


def test_the_seed_decides_sampled_answers(loaded: Loaded, renderer: Renderer) -> None:
    def tokens(seed: int) -> list[tuple[int, ...]]:
        return [a.tokens for a in sample(loaded, renderer, QUESTIONS, max_new_tokens=8, temperature=1.0, seed=seed)]

    assert tokens(0) == tokens(0)
    assert tokens(0) != tokens(1)


def test_nothing_else_is_touched(loaded: Loaded, renderer: Renderer) -> None:
    torch.manual_seed(5)
    before, config = torch.get_rng_state(), loaded.model.generation_config
    sample(loaded, renderer, QUESTIONS, max_new_tokens=3, temperature=1.0, dtype=torch.bfloat16)
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.model.dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in loaded.model.parameters())
    assert loaded.model.generation_config is config


def test_a_finished_answer_keeps_its_end_of_turn_in_the_tokens_only(
    loaded: Loaded, renderer: Renderer, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = min(renderer.stop_tokens)
    script = [*renderer.tokenizer("Hi.").input_ids, end, *renderer.tokenizer("junk").input_ids]

    def draw(*_: object, on_done: Callable[[int, tuple[int, ...]], None], **__: object) -> None:
        on_done(0, tuple(script[:cut]))

    cut = 4
    monkeypatch.setattr(sampling, "draw", draw)
    [ended] = sample(loaded, renderer, QUESTIONS[:1])
    assert (ended.text, ended.tokens, ended.finished) == ("Hi.", tuple(script[:4]), True)
    cut, script[3] = 8, script[0]
    [short] = sample(loaded, renderer, QUESTIONS[:1])
    assert (short.text, short.tokens, short.finished) == ("Hi.Hjunk", tuple(script), False)


def test_temperature_one_draws_from_the_model_s_own_distribution(tiny: Path, renderer: Renderer) -> None:
    """What the folder suggests (top-k 1 would leave a single token) has no say; frequencies are the softmax's."""
    model = load(str(tiny))
    model.model.generation_config.update(do_sample=True, top_k=1, top_p=0.1, repetition_penalty=5.0, min_p=0.9)
    count = 4000
    answers = sample(model, renderer, [QUESTIONS[1]] * count, max_new_tokens=1, temperature=1.0)
    with torch.no_grad():
        logits = model.model(torch.tensor([renderer.prompt_tokens(QUESTIONS[1].prompt)])).logits[0, -1]
    expected = logits.softmax(dim=-1)
    found = torch.bincount(torch.tensor([a.tokens[0] for a in answers]), minlength=len(expected)) / count
    likely = expected > 0.01
    assert likely.sum() > 3
    error = (expected * (1 - expected) / count).sqrt()
    assert bool(((found - expected).abs() < 5 * error)[likely].all())


def test_a_folder_s_repetition_penalty_has_no_say_in_greedy_answers(
    tiny: Path, loaded: Loaded, renderer: Renderer
) -> None:
    model = load(str(tiny))
    model.model.generation_config.repetition_penalty = 50.0
    plain = sample(loaded, renderer, QUESTIONS, max_new_tokens=8)
    assert [a.tokens for a in sample(model, renderer, QUESTIONS, max_new_tokens=8)] == [a.tokens for a in plain]


def test_no_questions_no_answers(loaded: Loaded, renderer: Renderer) -> None:
    assert sample(loaded, renderer, []) == []
