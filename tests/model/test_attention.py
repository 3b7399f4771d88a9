"""Attention over blocks against attention over one dense mask, in value and gradient, and inside real architectures."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rather.model import Sample, pack, pair_logps
from rather.model.attention import Forest, forest_attention
from rather.model.check import packing_difference
from rather.model.flex import flex_attention_of


def dense(query: Tensor, key: Tensor, value: Tensor, seen: Tensor, scale: float, softcap: float | None) -> Tensor:
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scores = query @ key.transpose(2, 3) * scale
    if softcap is not None:
        scores = softcap * torch.tanh(scores / softcap)
    return (scores.masked_fill(~seen, float("-inf")).softmax(dim=-1) @ value).transpose(1, 2)


@settings(max_examples=40)
@given(
    lists=st.lists(st.lists(st.integers(0, 3), min_size=2, max_size=12), min_size=1, max_size=6),
    overhead=st.sampled_from([0, 20, 4096]),
    rows=st.integers(1, 6),
    kept=st.sampled_from([0, 1 << 19]),
    softcap=st.sampled_from([None, 0.5]),
    window=st.sampled_from([None, 2, 5]),
    groups=st.sampled_from([1, 3]),
)
def test_blocks_are_the_dense_mask(
    lists: list[list[int]], overhead: int, rows: int, kept: int, softcap: float | None, window: int | None, groups: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rather.model.blocks.OVERHEAD", overhead)
        patch.setattr("rather.model.blocks.ROWS", rows)
        patch.setattr("rather.model.attention.KEPT_SCORES", kept)
        packed = pack([Sample(tuple(tokens), 1) for tokens in lists])
        size = len(packed.token_T)
        index, depth = torch.arange(size), packed.position_T
        seen = (index[None, :] <= index[:, None]) & (index[:, None] < packed.subtree_end_T[None, :])
        if window is not None:
            seen &= depth[:, None] - depth[None, :] < window
        make = torch.Generator().manual_seed(size)
        query, key, value = (
            torch.randn(1, heads, size, 4, generator=make, dtype=torch.float64, requires_grad=True)
            for heads in (2 * groups, 2, 2)
        )
        upstream = torch.randn(1, size, 2 * groups, 4, generator=make, dtype=torch.float64)
        out, _ = forest_attention(
            torch.nn.Identity(), query, key, value, None, 0.3,
            forest=Forest(packed), sliding_window=window, softcap=softcap,
        )  # fmt: skip
        ours = torch.autograd.grad((out * upstream).sum(), [query, key, value])
    expected = dense(query, key, value, seen, 0.3, softcap)
    theirs = torch.autograd.grad((expected * upstream).sum(), [query, key, value])
    torch.testing.assert_close(out, expected)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("softcap", [None, 0.5])
@pytest.mark.parametrize("window", [None, 3])
def test_flex_attention_is_given_the_same_mask(groups: int, softcap: float | None, window: int | None) -> None:
    """On a CPU only its values can be had, and only uncompiled; that shows mask, window, cap and filling."""
    packed = pack([Sample(t, 1) for t in ((1, 2, 3, 4, 5, 6), (1, 2, 3, 7, 8), (1, 2, 9, 9, 9, 9, 9), (4, 4, 4))])
    forest, size = Forest(packed), len(packed.token_T)
    query, key, value = (torch.randn(1, heads, size, 16) for heads in (2 * groups, 2, 2))
    ours, _ = forest_attention(
        torch.nn.Identity(), query, key, value, None, 0.3, forest=forest, sliding_window=window, softcap=softcap
    )
    theirs = flex_attention_of(query, key, value, forest.flex_mask(window), 0.3, softcap)
    torch.testing.assert_close(theirs, ours, atol=2e-6, rtol=1e-5)


SMALL: dict[str, Any] = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0, "max_position_embeddings": 256,
}  # fmt: skip
HEAD: dict[str, Any] = {"head_dim": 8}
FAMILIES = {
    "llama": (LlamaConfig(**SMALL), LlamaForCausalLM),
    "qwen2": (Qwen2Config(**SMALL), Qwen2ForCausalLM),
    "qwen3": (Qwen3Config(**SMALL, **HEAD), Qwen3ForCausalLM),
    "mistral, sliding window": (MistralConfig(**SMALL, **HEAD, sliding_window=6), MistralForCausalLM),
    "gemma 2, window and caps": (
        Gemma2Config(**SMALL, **HEAD, sliding_window=6, attn_logit_softcapping=2.0, final_logit_softcapping=3.0,
                     query_pre_attn_scalar=8),
        Gemma2ForCausalLM,
    ),
    "gemma 3, window": (
        Gemma3TextConfig(**SMALL, **HEAD, sliding_window=6, query_pre_attn_scalar=8,
                         layer_types=["sliding_attention", "full_attention"] * 2),
        Gemma3ForCausalLM,
    ),
    "phi": (PhiConfig(**SMALL), PhiForCausalLM),
    "phi 3": (Phi3Config(**SMALL), Phi3ForCausalLM),
}  # fmt: skip


def a_few_pairs() -> list[tuple[Sample, Sample]]:
    """A system prompt of 9 tokens shared by three prompts, answers that part early, late and at once."""
    make = torch.Generator().manual_seed(5)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(1, 64, (count,), generator=make).tolist())

    system, pairs = draw(9), []
    for shared in (0, 3, 7):
        prompt = system + draw(5)
        start = draw(shared)
        pairs.append((Sample(prompt + start + draw(8), len(prompt)), Sample(prompt + start + draw(6), len(prompt))))
    return pairs


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_works_packed(name: str) -> None:
    """Values and gradients of the packed route are those of the model's own forward, one sample at a time."""
    config, family = FAMILIES[name]
    torch.manual_seed(1)
    model = family(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from the near-uniform attention of fresh weights, where a wrong mask would hide
    pairs = a_few_pairs()
    assert packing_difference(model, pairs, dtype=torch.float32) is None
    gradients = []
    for packed in (True, False):
        model.zero_grad()
        logps = pair_logps(model, pairs, packed=packed)
        (logps.chosen - 2 * logps.rejected).sum().backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for parameter, ours in gradients[0].items():
        theirs = gradients[1][parameter]
        torch.testing.assert_close(ours, theirs, rtol=2e-3, atol=2e-4 * float(theirs.abs().max()))


@pytest.mark.parametrize("name", ["mistral, sliding window", "gemma 2, window and caps", "gemma 3, window"])
def test_the_window_and_the_caps_are_felt(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cases above would notice: without them the values differ."""
    config, family = FAMILIES[name]
    torch.manual_seed(1)
    model = family(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    real = Forest.hidden
    monkeypatch.setattr(Forest, "hidden", lambda self, window: real(self, None))
    assert packing_difference(model, a_few_pairs(), dtype=torch.float32) is not None


def test_what_packing_cannot_do_is_refused() -> None:
    forest = Forest(pack([Sample((1, 2, 3), 1)]))
    tensors = [torch.zeros(1, 1, 2, 4)] * 3
    for unknown in ({"dropout": 0.1}, {"s_aux": torch.zeros(1)}):
        with pytest.raises(ValueError, match="no dropout and no sinks"):
            forest_attention(torch.nn.Identity(), *tensors, None, forest=forest, **unknown)  # pyright: ignore
