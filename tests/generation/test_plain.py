"""Models that our own decoding does not know are sampled by transformers' `generate`, and the user is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from rather.generation.draws import Draw
from rather.generation.sampling import draw
from rather.model import Loaded
from tests.generation.test_decode import chi_square_p
from tests.tiny import make_tokenizer

PROMPTS = [[5, 6, 7], [9], [5, 6, 7, 8, 9]]


@pytest.fixture
def gpt2(tmp_path: Path) -> Loaded:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=259, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2)
    model = GPT2LMHeadModel(config).eval()
    model.generation_config.update(do_sample=True, top_k=1, repetition_penalty=5.0)  # has no say
    return Loaded(model, make_tokenizer(), str(tmp_path))


def produced(loaded: Loaded, draws: list[Draw], tokens: int, **options: object) -> list[tuple[int, ...]]:
    found: dict[int, tuple[int, ...]] = {}
    draw(
        loaded, PROMPTS, draws, stops=frozenset({11}), max_new_tokens=tokens, on_done=found.__setitem__, **options
    )  # pyright: ignore  # fmt: skip
    return [found[index] for index in range(len(draws))]


def test_greedy_answers_stop_where_they_end(gpt2: Loaded, capsys: pytest.CaptureFixture[str]) -> None:
    found = produced(gpt2, [Draw(index % 3, 0.0, index) for index in range(7)], 9, batch=2)
    assert "sampled through transformers' own generate" in capsys.readouterr().err
    for index, tokens in enumerate(found):
        text = [*PROMPTS[index % 3]]
        for token in tokens:
            with torch.no_grad():
                assert token == int(gpt2.model(torch.tensor([text])).logits[0, -1].argmax())
            text.append(token)
        assert len(tokens) == 9 or tokens[-1] == 11


def test_drawn_tokens_have_the_probabilities_of_the_softmax_at_each_temperature(gpt2: Loaded) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    draws = [Draw(0, (0.7, 1.3)[seed % 2], seed) for seed in range(4000)]
    found = produced(gpt2, draws, 1, batch=1000)
    assert torch.equal(torch.get_rng_state(), before)
    with torch.no_grad():
        logits = gpt2.model(torch.tensor([PROMPTS[0]])).logits[0, -1]
    for start, temperature in enumerate((0.7, 1.3)):
        drawn = Counter(tokens[0] for tokens in found[start::2])
        assert chi_square_p(drawn, (logits / temperature).softmax(dim=-1)) > 1e-3
