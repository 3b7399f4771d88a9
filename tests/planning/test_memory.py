"""Memory by part: worked by hand for a small model, and what must hold of any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rather.planning.activations import layer_bytes, probabilities_bytes, token_bytes
from rather.planning.engine import Setting
from rather.planning.known import KNOWN
from rather.planning.memory import (
    FRAMEWORK,
    cast_bytes,
    gathered_bytes,
    gradient_bytes,
    head_bytes,
    memory,
    moment_bytes,
    token_budget,
    weights_bytes,
)
from rather.planning.shapes import read_shape, shape_of
from rather.planning.workload import Workload

# 2 layers of 8, 2 heads of 4 over 1 of keys, 16 within, 10 tokens, tied: 1,272 weights, 576 multiplied in a layer, 80 in the head
SHAPE = shape_of(
    {
        "model_type": "llama", "hidden_size": 8, "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 16,
        "num_hidden_layers": 2, "vocab_size": 10, "tie_word_embeddings": True,
    },
    "tiny",
)  # fmt: skip
LARGE = read_shape("Llama-3.2-1B")
WORK = Workload(pairs=1000, tokens=600, answers=240)
GPU = 80e9


def test_full_fine_tuning_by_hand() -> None:
    setting = Setting(cpu=True, dtype="bf16")
    assert SHAPE.weights == 1272
    assert weights_bytes(SHAPE, setting) == 4 * 1272
    assert gradient_bytes(SHAPE, setting) == 4 * 1272
    assert moment_bytes(SHAPE, setting) == 8 * 1272
    assert cast_bytes(SHAPE, setting) == 2 * (2 * 576 + 80)


def test_an_adapter_by_hand() -> None:
    """128 numbers a layer and rank: 2 layers, rank 3: 768."""
    on_cpu, on_gpu = Setting(cpu=True, lora_rank=3), Setting(lora_rank=3)
    assert weights_bytes(SHAPE, on_cpu) == 4 * 1272 + 4 * 768
    assert weights_bytes(SHAPE, on_gpu) == 2 * 1272 + 4 * 768
    assert gradient_bytes(SHAPE, on_gpu) == 4 * 768
    assert moment_bytes(SHAPE, on_gpu) == 8 * 768
    # 4 bits, a byte for 64, 4 bytes for 64·256, of the 1,152 in layers; the other 120 in bf16
    in_4_bits = weights_bytes(SHAPE, on_gpu.with_(load_in_4bit=True))
    assert in_4_bits == pytest.approx(1152 * (0.5 + 0.015625 + 4 / 16384) + 120 * 2 + 4 * 768)


def test_parts_of_shards_by_hand() -> None:
    setting = Setting(ranks=4, shard=True)
    assert weights_bytes(SHAPE, setting) == 1272
    assert gradient_bytes(SHAPE, setting) == 1272
    assert moment_bytes(SHAPE, setting) == 2 * 1272
    # embedding and norm (88) whole, two layers (592 each), and gradients of 88 + 592
    assert gathered_bytes(SHAPE, setting) == 4 * 88 + 2 * 4 * 592 + 4 * (88 + 592)
    assert gathered_bytes(SHAPE, setting.with_(ranks=1)) == 0


def test_a_layers_activations_by_hand() -> None:
    """bf16, all trained: two norms of 8·8 bytes; five casts of 8; queries and keys and values 16; the output's 8; four of 16."""
    assert layer_bytes(SHAPE, Setting(cpu=True, dtype="bf16")) == 2 * 64 + 2 * 5 * 8 + 2 * 16 + 2 * 8 + 4 * 2 * 16
    assert layer_bytes(SHAPE, Setting(cpu=True, dtype="fp32")) == 2 * 64 + 4 * 2 * 8 + 4 * 16 + 4 * 8 + 4 * 4 * 16
    # Frozen: norms keep half; seven inputs of the adapter's second matrices, 3 wide.
    frozen = Setting(cpu=True, dtype="bf16", lora_rank=3)
    assert layer_bytes(SHAPE, frozen) == 2 * 32 + 2 * 5 * 8 + 2 * 16 + 2 * 8 + 4 * 2 * 16 + 2 * 3 * 7


def test_probabilities_are_kept_of_few_scores_on_a_cpu() -> None:
    setting = Setting(cpu=True, dtype="bf16")
    assert probabilities_bytes(SHAPE, setting, scores=1000) == 2 * 2 * 1000 * 2
    assert probabilities_bytes(SHAPE, setting, scores=(1 << 19) + 1) == 0
    assert probabilities_bytes(SHAPE, Setting(), scores=1000) == 0


def test_the_head_by_hand() -> None:
    """Llama-3.2-1B: rows of 128,256 logits; 64 MiB of fp32 are 130 of them, 128 MiB of bf16 523."""
    setting = Setting(dtype="bf16")
    row = 2 * 128_256
    chunk = 2 * 130 * 4 * 128_256
    assert head_bytes(LARGE, setting, places=5000) == 523 * row + 2 * 128_256 * 2048 + chunk
    assert head_bytes(LARGE, setting.with_(lora_rank=8), places=5000) == 130 * row + chunk
    assert head_bytes(LARGE, setting, places=100) == 100 * row + 2 * 128_256 * 2048 + 2 * 100 * 4 * 128_256


def test_token_budget_is_half_of_what_is_free_within_bounds() -> None:
    assert token_budget(10e9, 1e6, cpu=False) == 5000
    assert token_budget(10e9, 1e6, cpu=True) == 2048
    assert token_budget(-1.0, 1e6, cpu=True) == 256
    assert token_budget(1e15, 1.0, cpu=False) == 32768


def test_phases_by_hand() -> None:
    """Weights 4, moments 8, copied 8: a checkpoint needs 20 bytes a weight; loading 4."""
    found = memory(LARGE, Setting(), WORK, capacity=GPU)
    reference = 4 * 240 * 1000
    assert found.loading == FRAMEWORK["cuda"] + 4 * LARGE.weights
    assert found.checkpoint == FRAMEWORK["cuda"] + 20 * LARGE.weights + reference
    assert found.update["reference"] == reference
    assert found.peak == max(sum(found.update.values()), found.checkpoint)
    assert found.micro_batches == 1
    assert found.update["gradients"] == 4 * LARGE.head  # when the backward begins
    assert found.gradients == 4 * LARGE.weights
    assert found.tokens == 8 * 600


def test_gradients_count_when_activations_are_few() -> None:
    found = memory(LARGE, Setting(gradient_checkpointing=True), Workload(1000, 60, 24), capacity=GPU)
    assert found.update["gradients"] == 4 * LARGE.weights
    assert "activations" not in found.update


def test_an_update_in_several_micro_batches() -> None:
    found = memory(LARGE, Setting(), Workload(1000, 600, 240, batch_pairs=64), capacity=GPU, budget=6000)
    assert found.micro_batches == 7  # 38,400 tokens in 6,000
    assert found.update["gradients"] == 4 * LARGE.weights + 4 * LARGE.head


settings = st.builds(
    Setting,
    cpu=st.just(False),
    ranks=st.sampled_from([2, 4, 8, 64]),
    dtype=st.sampled_from(["fp32", "bf16"]),
    lora_rank=st.sampled_from([None, 1, 16, 256]),
    gradient_checkpointing=st.booleans(),
)
shapes = st.sampled_from([read_shape(name) for name in KNOWN])
works = st.builds(
    Workload,
    pairs=st.integers(1, 10**9),
    tokens=st.integers(20, 20_000).map(float),
    answers=st.integers(2, 18).map(float),
    batch_pairs=st.integers(1, 512),
)


@given(shapes, settings, works, st.integers(256, 32_768), st.integers(1, 8))
def test_more_and_longer_pairs_never_need_less(
    shape: Any, setting: Setting, work: Workload, budget: int, times: int
) -> None:
    few = memory(shape, setting, work, capacity=GPU, budget=budget)
    many = memory(shape, setting, replace(work, batch_pairs=times * work.batch_pairs), capacity=GPU, budget=budget)
    longer = memory(shape, setting, replace(work, tokens=times * work.tokens), capacity=GPU, budget=budget)
    assert sum(many.update.values()) >= sum(few.update.values()) * (1 - 1e-9)
    assert many.micro_batches >= few.micro_batches
    assert longer.tokens >= few.tokens


@given(shapes, settings, works)
def test_shards_never_hold_more_of_what_is_sharded(shape: Any, setting: Setting, work: Workload) -> None:
    whole = memory(shape, setting, work, capacity=GPU, budget=2048).update
    parts = memory(shape, setting.with_(shard=True), work, capacity=GPU, budget=2048).update
    for name in ("weights", "optimiser"):
        assert parts[name] <= whole[name]
    assert parts.get("gradients", 0) <= gradient_bytes(shape, setting)
    more = memory(shape, setting.with_(shard=True, ranks=2 * setting.ranks), work, capacity=GPU, budget=2048).update
    assert sum(more.values()) <= sum(parts.values()) + 1e-6


@given(shapes, settings, works)
def test_checkpointing_and_adapters_never_need_more_where_they_act(
    shape: Any, setting: Setting, work: Workload
) -> None:
    kept, again = (setting.with_(gradient_checkpointing=on) for on in (False, True))
    assert token_bytes(shape, again, answers=0.4) <= token_bytes(shape, kept, answers=0.4)
    full, adapter = setting.with_(lora_rank=None), setting.with_(lora_rank=16)
    assert gradient_bytes(shape, adapter) < gradient_bytes(shape, full)
    assert moment_bytes(shape, adapter) < moment_bytes(shape, full)
    eight = full.with_(optimizer="adamw_8bit")
    assert moment_bytes(shape, eight) < 0.3 * moment_bytes(shape, full)


@given(shapes, settings, works)
def test_all_parts_are_there_and_finite(shape: Any, setting: Setting, work: Workload) -> None:
    found = memory(shape, setting, work, capacity=GPU)
    assert all(0 < size < 1e18 for size in found.update.values())
    assert found.tokens >= work.tokens
    assert found.longest >= 0
