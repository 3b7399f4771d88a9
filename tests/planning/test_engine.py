"""What a plan knows of the engine is what the engine does: constants, and what a forward keeps of each token."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rather.model import Sample, attention, blocks, completions, head, pack
from rather.model.blocks import Segment, plan_blocks
from rather.model.recompute import recompute_layers
from rather.planning import activations, engine
from rather.planning.engine import Setting
from rather.planning.memory import cast_bytes, moment_bytes
from rather.planning.shapes import FAMILIES, Shape, shape_of
from rather.planning.stragglers import fullest
from rather.planning.workload import Workload
from rather.training import batches, memory, precision
from rather.training.adapter import add_lora
from rather.training.config import TrainConfig
from tests.planning.test_shapes import SMALL


def test_constants_are_the_engines() -> None:
    assert engine.SHARE == memory.SHARE
    assert engine.ENOUGH == memory.ENOUGH
    assert engine.SMALLEST == memory.SMALLEST
    assert engine.KEPT_SCORES == attention.KEPT_SCORES
    assert (engine.ROWS, engine.OVERHEAD) == (blocks.ROWS, blocks.OVERHEAD)
    assert (engine.CHUNK_BYTES, engine.GROUP_BYTES) == (head.CHUNK_BYTES, head.GROUP_BYTES)
    assert engine.SMALLEST_IN_8_BITS == precision.SMALLEST_IN_8_BITS


def _small(kind: str) -> tuple[Any, Shape]:
    own = {**SMALL, **({"head_dim": None} if kind == "phi3" else {})}
    config = AutoConfig.for_model(kind, **{name: value for name, value in own.items() if value is not None})
    torch.manual_seed(0)
    shape = shape_of(json.loads(config.to_json_string(use_diff=False)), kind)
    return AutoModelForCausalLM.from_config(config).eval(), shape


def _kept(model: Any, *, bf16: bool) -> tuple[float, int, int, Workload]:
    """Bytes that a forward of one pair keeps for its backward, weights and their casts left out; its tokens and places."""
    draw = random.Random(0)

    def ids(count: int) -> list[int]:
        return [draw.randrange(10, 300) for _ in range(count)]

    prompt = ids(330)
    pair = [Sample(tuple(prompt + ids(205)), len(prompt)) for _ in range(2)]
    kept: dict[int, int] = {}
    weights = list(model.parameters())
    ours = {weight.untyped_storage().data_ptr() for weight in weights}
    cast = {tuple(weight.shape) for weight in weights if weight.dim() == 2}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        of_weight = storage.data_ptr() in ours or (tensor.dtype == torch.bfloat16 and _is_cast(tensor, cast))
        if not of_weight:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = completions(model, pair, dtype=torch.bfloat16 if bf16 else torch.float32)
    del found
    packed = pack(pair)
    return sum(kept.values()), len(packed.token_T), len(packed.place_U), Workload(1, 330 + 2 * 205, 2 * 205)


def _is_quick(kind: str, dtype: str, rank: int | None) -> bool:
    return kind == "llama" or ((dtype, rank) == ("bf16", None) and kind in ("qwen3", "phi3", "gemma2"))


def _is_cast(tensor: torch.Tensor, shapes: set[tuple[int, ...]]) -> bool:
    return tuple(tensor.shape) in shapes or tuple(tensor.t().shape if tensor.dim() == 2 else ()) in shapes


CASES = [
    pytest.param(kind, dtype, rank, marks=() if _is_quick(kind, dtype, rank) else (pytest.mark.slow,))
    for kind in FAMILIES
    for dtype in ("fp32", "bf16")
    for rank in (None, 4)
]


@pytest.mark.parametrize(("kind", "dtype", "rank"), CASES)
def test_activations_are_those_that_autograd_keeps(kind: str, dtype: Any, rank: int | None) -> None:
    model, shape = _small(kind)
    policy = model
    if rank is not None:
        policy = add_lora(_Loaded(model), rank, seed=0)  # pyright: ignore[reportArgumentType]
    measured, tokens, places, work = _kept(policy, bf16=dtype == "bf16")
    setting = Setting(cpu=True, dtype=dtype, lora_rank=rank)
    planned = activations.token_bytes(shape, setting, answers=places / tokens) * tokens
    planned += activations.probabilities_bytes(shape, setting, scores=work.computed_scores)
    assert planned == pytest.approx(measured, rel=0.03 if kind in ("llama", "mistral", "qwen2") else 0.12)


class _Loaded:
    """What `add_lora` reads of a loaded model."""

    path = "small"

    def __init__(self, model: Any) -> None:
        self.model = model


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_with_checkpointing_the_inputs_of_layers_are_kept(dtype: Any) -> None:
    model, shape = _small("llama")
    recompute_layers(model)
    measured, tokens, places, _ = _kept(model, bf16=dtype == "bf16")
    setting = Setting(cpu=True, dtype=dtype, gradient_checkpointing=True)
    one_layer = activations.layer_bytes(shape, setting) * tokens
    planned = activations.token_bytes(shape, setting, answers=places / tokens) * tokens - one_layer
    assert planned == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize(("prompt", "answer"), [(20, 10), (100, 60), (330, 205), (900, 40), (40, 700), (1200, 500)])
def test_scores_are_those_of_the_blocks(prompt: int, answer: int) -> None:
    segments = [
        Segment(0, prompt, -1),
        Segment(prompt, prompt + answer, 0),
        Segment(prompt + answer, prompt + 2 * answer, 0),
    ]
    found = sum(
        (block.stop - block.start) * (sum(stop - start for start, stop in block.before) + block.stop - block.start)
        for block in plan_blocks(segments)
    )
    assert Workload(1, prompt + 2 * answer, 2 * answer).computed_scores == pytest.approx(found)


def test_what_an_update_holds_besides_is_what_the_engine_counts() -> None:
    model, shape = _small("llama")
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    config = TrainConfig()
    planned = 4 * shape.weights + moment_bytes(shape, Setting(cpu=True))
    assert planned == precision.update_bytes(config, trained)


def test_moments_in_8_bits_are_as_the_engine_counts() -> None:
    model, shape = _small("llama")
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    engines = precision.update_bytes(TrainConfig(optimizer="adamw_8bit"), trained) - 4 * shape.weights
    assert moment_bytes(shape, Setting(optimizer="adamw_8bit")) == engines


def test_casts_are_two_bytes_a_weight_that_is_multiplied() -> None:
    _, shape = _small("llama")
    assert cast_bytes(shape, Setting(cpu=True, dtype="bf16")) == 2 * (shape.products + shape.head)
    assert cast_bytes(shape, Setting(cpu=True, dtype="fp32")) == 0
    assert cast_bytes(shape, Setting(dtype="bf16", lora_rank=2)) == 2 * shape.adapter(2)


class _Pair:
    def __init__(self, number: int, tokens: int) -> None:
        self.tokens = tokens
        self.samples = (Sample((number, *range(tokens)), 1),)


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_pairs_are_dealt_as_training_deals_them(ranks: int) -> None:
    draw = random.Random(ranks)
    lengths = [draw.randrange(20, 900) for _ in range(24)]
    pairs: Any = [_Pair(number + 5000, length) for number, length in enumerate(lengths)]
    dealt = batches.deal(tuple(range(24)), pairs, ranks=ranks)
    most = max(sum(lengths[index] for index in share) for share in dealt)
    assert fullest(lengths, ranks) == pytest.approx(most * ranks / sum(lengths))


def test_options_of_a_plan_are_those_of_training() -> None:
    from rather.planning.config import PlanConfig

    shared = set(PlanConfig.model_fields) & set(TrainConfig.model_fields)
    assert shared - {"stream"} == {
        "batch_pairs", "epochs", "max_length", "dtype", "lora_rank", "load_in_4bit", "optimizer", "gradient_checkpointing", "shard",
    }  # fmt: skip
    for name in shared - {"dtype"}:  # which is bf16 on GPUs where nothing is said
        assert PlanConfig.model_fields[name].default == TrainConfig.model_fields[name].default, name
