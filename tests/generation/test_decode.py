"""Decoding by our own loop: token for token and logit for logit what transformers does, whatever stands beside it."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from rather.generation.decode import Cache, decode, prefill, step
from rather.generation.draws import Draw
from rather.generation.weights import unknown, weights_of

V = 300
SIZES = {
    "vocab_size": V, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.2, "max_position_embeddings": 512,
}  # fmt: skip
LLAMA3 = {"rope_type": "llama3", "rope_theta": 1e4, "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 64}  # fmt: skip
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SIZES, tie_word_embeddings=True),
    "llama, scaled positions, biases": LlamaConfig(**SIZES, rope_parameters=LLAMA3, attention_bias=True, mlp_bias=True),
    "mistral": MistralConfig(**SIZES, sliding_window=None),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=16),
}
PROMPTS = [[(7 * i + 3 * j) % V for j in range(length)] for i, length in enumerate((5, 17, 1, 9, 30, 2))]
STOP = 7


def make(config: PretrainedConfig) -> PreTrainedModel:
    """A random model whose norms and biases are not the neutral ones."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0, std=0.2)
        elif "bias" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module", params=list(FAMILIES))
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    return make(FAMILIES[request.param])


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    return make(FAMILIES["llama"])


def produced(model: PreTrainedModel, draws: list[Draw], *, batch: int, tokens: int = 12, **options: object) -> list:
    """The tokens of each draw, in order."""
    found: dict[int, tuple[int, ...]] = {}

    def done(index: int, produced: tuple[int, ...]) -> None:
        assert index not in found
        found[index] = produced

    given = {"stops": frozenset({STOP}), "max_new_tokens": tokens, "top_p": 1.0, "batch": batch, **options}
    decode(weights_of(model, torch.float32), PROMPTS, draws, on_done=done, **given)  # pyright: ignore
    return [found[index] for index in range(len(draws))]


def test_greedy_answers_are_transformers_own_token_for_token(model: PreTrainedModel) -> None:
    assert unknown(model, 100) is None
    draws = [Draw(index % len(PROMPTS), 0.0, index) for index in range(10)]
    found = produced(model, draws, batch=4, tokens=40)  # slots are refilled, the ring grows, slots are dropped
    for draw, tokens in zip(draws, found, strict=True):
        prompt = PROMPTS[draw.prompt]
        ids = torch.tensor([prompt])
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=40, do_sample=False, eos_token_id=STOP,
            pad_token_id=0,
        )  # fmt: skip
        assert list(tokens) == out[0, len(prompt) :].tolist()


def test_logits_are_those_of_a_plain_forward(model: PreTrainedModel) -> None:
    """Behind prompts of several lengths padded together, and behind one more token with the ring in another column."""
    weights = weights_of(model, torch.float32)
    with torch.inference_mode():
        done = prefill(weights, PROMPTS)
        cache = Cache(weights, len(PROMPTS), 30, 8)
        cache.take(list(range(len(PROMPTS))), list(range(len(PROMPTS))), done)
        texts = [[*prompt] for prompt in PROMPTS]
        for turn in range(11):  # over the end of the ring: its first three columns are written again
            if turn == 8:
                cache.bias[:, :, :, 30:] = -1e9
                cache.take(list(range(len(PROMPTS))), list(range(len(PROMPTS))), done)
                texts = [[*prompt] for prompt in PROMPTS]
            new = [(13 * turn + row) % V for row in range(len(PROMPTS))]
            hidden = step(weights, cache, [(t, len(text)) for t, text in zip(new, texts, strict=True)])
            cache.advance()
            texts = [[*text, t] for t, text in zip(new, texts, strict=True)]
            found = weights.head(hidden)
            for row, text in enumerate(texts):
                expected = model(torch.tensor([text])).logits[0, -1]
                torch.testing.assert_close(found[row], expected, atol=1e-4, rtol=0)
        for row, prompt in enumerate(PROMPTS):
            expected = model(torch.tensor([prompt])).logits[0, -1]
            torch.testing.assert_close(done.logits_MV[row], expected, atol=1e-4, rtol=0)


def test_a_draw_does_not_depend_on_what_is_drawn_beside_it(llama: PreTrainedModel) -> None:
    draws = [Draw(index % len(PROMPTS), 0.0 if index % 5 == 0 else 1.0, 100 + index) for index in range(24)]
    together = produced(llama, draws, batch=24, tokens=20)
    assert produced(llama, draws, batch=3, tokens=20) == together
    assert produced(llama, draws[::-1], batch=7, tokens=20) == together[::-1]
    assert len(set(together)) > 12  # they are different draws


def test_two_tokens_are_drawn_with_the_probabilities_of_the_softmax(llama: PreTrainedModel) -> None:
    """χ² of 4,000 draws of first tokens, and of second ones behind the likeliest first, at temperature 0.8."""
    count, temperature = 4000, 0.8
    draws = [Draw(0, temperature, seed) for seed in range(count)]
    found = produced(llama, draws, batch=512, tokens=2, stops=frozenset())
    firsts = Counter(tokens[0] for tokens in found)
    with torch.no_grad():
        expected = (llama(torch.tensor([PROMPTS[0]])).logits[0, -1] / temperature).softmax(dim=-1)
    assert chi_square_p(firsts, expected) > 1e-3
    likeliest, times = firsts.most_common(1)[0]
    assert times > 300
    with torch.no_grad():
        logits = llama(torch.tensor([[*PROMPTS[0], likeliest]])).logits[0, -1]
    seconds = Counter(tokens[1] for tokens in found if tokens[0] == likeliest)
    assert chi_square_p(seconds, (logits / temperature).softmax(dim=-1)) > 1e-3
    assert chi_square_p(seconds, expected) < 1e-6  # the test can tell distributions apart


def chi_square_p(found: Counter[int], expected: torch.Tensor) -> float:
    """p-value of Pearson's test, tokens that are expected less than five times taken together."""
    from scipy.stats import chisquare

    total = found.total()
    often = [token for token in range(len(expected)) if expected[token] * total >= 5]
    rest = total - sum(found[token] for token in often)
    shares = [float(expected[token]) for token in often]
    observed = [*(found[token] for token in often), rest]
    return float(chisquare(observed, [total * share for share in (*shares, 1 - sum(shares))]).pvalue)


def test_bf16_is_close_to_fp32(llama: PreTrainedModel) -> None:
    with torch.inference_mode():
        exact = prefill(weights_of(llama, torch.float32), PROMPTS).logits_MV
        rounded = prefill(weights_of(llama, torch.bfloat16), PROMPTS).logits_MV
    assert rounded.dtype == torch.bfloat16
    assert float((exact - rounded.float()).abs().max()) < 0.03 * float(exact.abs().max())


def test_no_draws_and_no_room(llama: PreTrainedModel) -> None:
    assert produced(llama, [], batch=4) == []
    assert [len(t) for t in produced(llama, [Draw(4, 1.0, 1)], batch=4, tokens=1)] == [1]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (MistralConfig(**SIZES, sliding_window=16), "looks back 16 tokens"),
        (LlamaConfig(**{**SIZES, "hidden_act": "gelu"}), "its activation is gelu"),
        (LlamaConfig(**SIZES, rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}), "dynamic"),
    ],
)
def test_what_it_cannot_do_is_said(config: PretrainedConfig, said: str) -> None:
    assert said in str(unknown(make(config), 100))


def test_other_linear_layers_are_not_taken_for_plain_ones(llama: PreTrainedModel) -> None:
    import copy

    other = copy.deepcopy(llama)
    mlp = other.model.layers[0].mlp
    mlp.up_proj = torch.nn.Sequential(mlp.up_proj, torch.nn.Identity())
    assert unknown(other, 100) is None  # the same layer elsewhere
    mlp.up_proj = torch.nn.Linear(32, 64, bias=False, dtype=torch.float16)
    assert "plain ones" in str(unknown(other, 100))
