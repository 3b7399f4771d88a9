"""The fused head against the plain one: full logits, autograd's own gradient."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GraniteConfig,
    GraniteForCausalLM,
)

from rather.model import head
from rather.model.head import Head, head_of, token_kl, token_logps, token_stats

V, H = 11, 5


def plain(hidden: Tensor, form: Head, row_C: Tensor, target_C: Tensor) -> Tensor:
    return whole(hidden, form)[row_C, target_C]


def whole(hidden: Tensor, form: Head) -> Tensor:
    logits = hidden @ form.weight_VH.t()
    if form.bias_V is not None:
        logits = logits + form.bias_V
    logits = logits * form.scale
    if form.softcap is not None:
        logits = form.softcap * torch.tanh(logits / form.softcap)
    return logits.log_softmax(dim=-1)


@settings(max_examples=60)
@given(
    places=st.integers(1, 9),
    tokens=st.integers(1, 14),
    chunk=st.integers(1, 10),
    group=st.integers(1, 12),
    cached=st.integers(1, 4),
    bias=st.booleans(),
    scale=st.sampled_from([1.0, 0.0625, 2.5]),
    softcap=st.sampled_from([None, 0.7, 30.0]),
    seed=st.integers(0, 999),
)
def test_fused_is_full(
    places: int,
    tokens: int,
    chunk: int,
    group: int,
    cached: int,
    bias: bool,
    scale: float,
    softcap: float | None,
    seed: int,
) -> None:
    """Value and gradients in hidden states, weight and bias, wherever the chunks are cut; rows shared and rows unused."""
    make = torch.Generator().manual_seed(seed)
    hidden = torch.randn(places, H, generator=make, requires_grad=True)
    weight = torch.randn(V, H, generator=make, requires_grad=True)
    bias_V = torch.randn(V, generator=make, requires_grad=True) if bias else None
    row_C = torch.randint(0, places, (tokens,), generator=make)
    target_C = torch.randint(0, V, (tokens,), generator=make)
    upstream = torch.randn(tokens, generator=make)
    leaves = [hidden, weight, *([bias_V] if bias_V is not None else [])]
    form = Head(weight, bias_V, scale, softcap)
    expected = plain(hidden, form, row_C, target_C)
    expected_grads = torch.autograd.grad(expected @ upstream, leaves)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(head, "CHUNK_BYTES", chunk * 4 * V)
        patch.setattr(head, "GROUP_BYTES", group * 4 * V)
        patch.setattr(head, "CACHE_BYTES", cached * 4 * V)
        value = token_logps(hidden, form, row_C, target_C, dtype=torch.float32)
        grads = torch.autograd.grad(value @ upstream, leaves)
        stats = token_stats(hidden, form, dtype=torch.float32)
        theirs = Head(
            torch.randn(V, H, generator=make), None if bias_V is None else bias_V.detach() + 1, scale, softcap
        )
        there = torch.randn(places, H, generator=make)
        kl = token_kl(hidden, form, there, theirs, dtype=torch.float32)
        kl_grads = torch.autograd.grad(kl @ torch.arange(1.0, places + 1), leaves)
    ours_every, theirs_every = whole(hidden, form), whole(there, theirs)
    expected_kl = (theirs_every.exp() * (theirs_every - ours_every)).sum(dim=1)
    expected_kl_grads = torch.autograd.grad(expected_kl @ torch.arange(1.0, places + 1), leaves)
    torch.testing.assert_close(kl, expected_kl, atol=1e-5, rtol=1e-4)
    for ours, wanted in zip(kl_grads, expected_kl_grads, strict=True):
        torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(value, expected, atol=1e-5, rtol=1e-5)
    for ours, theirs in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    every = ours_every.detach()
    torch.testing.assert_close(stats.entropy_U, -(every.exp() * every).sum(dim=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(stats.log_square_U, every.exp().square().sum(dim=1).log(), atol=1e-5, rtol=1e-5)
    top = every.gather(1, stats.top_U[:, None])[:, 0]  # not its index: a tight cap makes ties
    torch.testing.assert_close(top, every.amax(dim=1), atol=1e-5, rtol=1e-5)


def test_by_hand() -> None:
    """Two tokens with logits 0 and ln 3: probabilities ¼ and ¾; the gradient of log p in the logits is onehot − p."""
    hidden = torch.tensor([[1.0]], requires_grad=True)
    weight = torch.tensor([[0.0], [math.log(3.0)]], requires_grad=True)
    value = token_logps(hidden, Head(weight), torch.tensor([0]), torch.tensor([1]), dtype=torch.float32)
    value.backward()
    assert value.item() == pytest.approx(math.log(0.75))
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == pytest.approx([-0.25, 0.25])
    assert hidden.grad is not None
    assert hidden.grad.item() == pytest.approx(0.25 * math.log(3.0))
    stats = token_stats(hidden, Head(weight), dtype=torch.float32)
    assert stats.entropy_U.item() == pytest.approx(-(0.25 * math.log(0.25) + 0.75 * math.log(0.75)))


class Widest(TorchDispatchMode):
    """Remembers the most rows that any tensor over the vocabulary had."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor) and tensor.dim() == 2 and tensor.shape[1] == V:
                self.rows = max(self.rows, tensor.shape[0])
        return out


def test_logits_of_a_whole_batch_never_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head, "CHUNK_BYTES", 6 * 4 * V)
    monkeypatch.setattr(head, "GROUP_BYTES", 13 * 4 * V)
    hidden = torch.randn(40, H, requires_grad=True)
    weight = torch.randn(V, H, requires_grad=True)
    rows, targets = torch.arange(40), torch.randint(0, V, (40,))
    with Widest() as seen:
        value = token_logps(hidden, Head(weight), rows, targets, dtype=torch.float32)
    assert seen.rows == 6
    with seen:
        value.sum().backward()
    assert seen.rows == 13


def test_a_cast_is_made_again_when_the_weight_has_changed() -> None:
    hidden, weight = torch.randn(6, H), torch.randn(V, H, requires_grad=True)
    rows = torch.arange(6)

    def rough() -> Tensor:
        return token_logps(hidden, Head(weight), rows, rows, dtype=torch.bfloat16).detach()

    first = rough()
    assert torch.equal(first, rough())
    with torch.no_grad():
        weight.mul_(2)
    assert not torch.equal(first, rough())
    torch.testing.assert_close(rough(), plain(hidden, Head(weight), rows, rows).detach(), atol=0.1, rtol=0.05)


def test_gradients_stay_when_the_scratch_memory_is_used_again() -> None:
    hidden, weight = torch.randn(6, H), torch.randn(V, H, requires_grad=True)
    rows = torch.arange(6)
    for dtype in (torch.float32, torch.bfloat16):
        (first,) = torch.autograd.grad(token_logps(hidden, Head(weight), rows, rows, dtype=dtype).sum(), weight)
        kept = first.clone()
        torch.autograd.grad(token_logps(hidden + 1, Head(weight), rows, rows, dtype=dtype).sum(), weight)
        assert torch.equal(first, kept)


def test_half_precision_products_keep_float32_sums_and_the_leaves_dtype() -> None:
    hidden, weight = torch.randn(6, H, requires_grad=True), torch.randn(V, H, requires_grad=True)
    rows, form = torch.arange(6), Head(weight)
    exact = token_logps(hidden, form, rows, rows, dtype=torch.float32)
    rough = token_logps(hidden, form, rows, rows, dtype=torch.bfloat16)
    rough.sum().backward()
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.05)
    assert weight.grad is not None
    assert weight.grad.dtype == torch.float32


SMALL = {
    "vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 1, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("config", "family"),
    [
        (Gemma2Config(**SMALL, head_dim=4, final_logit_softcapping=0.5), Gemma2ForCausalLM),
        (CohereConfig(**SMALL, logit_scale=0.25), CohereForCausalLM),
        (GraniteConfig(**SMALL, logits_scaling=4.0), GraniteForCausalLM),
    ],
    ids=["Gemma 2: softcapping", "Cohere: scale", "Granite: divisor"],
)
def test_a_familys_scaling_and_capping_is_honoured(config: object, family: type) -> None:
    torch.manual_seed(0)
    model = family(config).eval()
    tokens = torch.arange(1, 9)[None]
    with torch.no_grad():
        expected = model(input_ids=tokens).logits[0].log_softmax(dim=-1)[torch.arange(7), tokens[0, 1:]]
        hidden = model.base_model(input_ids=tokens).last_hidden_state[0]
        value = token_logps(hidden, head_of(model), torch.arange(7), tokens[0, 1:], dtype=torch.float32)
        naked = token_logps(hidden, Head(head_of(model).weight_VH), torch.arange(7), tokens[0, 1:], dtype=torch.float32)
    torch.testing.assert_close(value, expected, atol=1e-6, rtol=1e-6)
    assert not torch.allclose(naked, expected, atol=1e-5), "the case would show nothing"
