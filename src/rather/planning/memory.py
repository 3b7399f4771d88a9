"""Memory of one GPU, or of this machine, by part: formulas that follow the engine line by line."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from rather.planning import activations
from rather.planning.engine import (
    CHUNK_BYTES,
    ENOUGH,
    GROUP_BYTES,
    NF4_BYTES,
    SHARE,
    SMALLEST,
    SMALLEST_IN_8_BITS,
    Setting,
)
from rather.planning.shapes import Shape
from rather.planning.workload import Workload

# What Python, torch and transformers take before a model is loaded: measured on a CPU (benchmarks/planning.py); on a GPU
# CUDA's own context and its libraries, assumed.
FRAMEWORK = {"cpu": 0.55e9, "cuda": 1.0e9}

# Freed memory that a CPU's heap cannot use again, as measured; training trims it when it grows by 0.8 GB (training/allocator.py).
HOLES = 0.6e9


@dataclass(frozen=True)
class Memory:
    """Bytes of one rank.

    update      by part, at the moment of an update when most is held
    loading     while the model is loaded: whole on every rank, also where it is then sharded
    checkpoint  while a checkpoint is written: the optimiser's moments are copied
    budget      packed tokens of a micro-batch that the engine would choose
    tokens      packed tokens of the largest micro-batch
    micro_batches  of an update, on the rank that has most
    gradients   all of them, as the end of a backward leaves them
    longest     tokens of the longest pair that there is room for
    """

    update: Mapping[str, float]
    loading: float
    checkpoint: float
    budget: int
    tokens: float
    micro_batches: int
    gradients: float
    longest: float

    @property
    def peak(self) -> float:
        return max(sum(self.update.values()), self.loading, self.checkpoint)

    @property
    def phase(self) -> str:
        """Where the peak is."""
        each = {"update": sum(self.update.values()), "loading": self.loading, "checkpoint": self.checkpoint}
        return max(each, key=lambda name: each[name])


def memory(shape: Shape, setting: Setting, workload: Workload, *, capacity: float, budget: int | None = None) -> Memory:
    """What one rank holds. capacity: bytes of its device. budget: tokens of a micro-batch, if not what the engine would take."""
    state = gradient_bytes(shape, setting) + moment_bytes(shape, setting)
    framework = FRAMEWORK["cpu" if setting.cpu else "cuda"]
    loaded = weights_bytes(shape, setting.with_(shard=False))
    if budget is None:
        per_token = activations.token_bytes(shape, setting, answers=workload.answer_share)
        budget = token_budget(capacity - framework - loaded - state, per_token, cpu=setting.cpu)
    # Pairs are dealt whole: a rank of many has one at least.
    of_rank = max(1.0, workload.batch_pairs / setting.ranks) * workload.tokens
    tokens = max(min(float(budget), of_rank), workload.tokens)
    micro_batches = max(1, math.ceil(of_rank / tokens - 1e-9))
    when = _fullest(shape, setting, workload, tokens, of_rank)
    parts = {
        "weights": weights_bytes(shape, setting),
        "weights cast for products": when.casts,
        "optimiser": moment_bytes(shape, setting),
        "gradients": when.gradients,
        "activations": when.activations,
        "head": head_bytes(shape, setting, places=workload.answer_share * tokens),
        "gathered from other ranks": gathered_bytes(shape, setting),
        "reference": 0.0 if setting.stream else 4.0 * workload.answers * workload.pairs,
        "framework": framework,
        "holes in the heap": HOLES if setting.cpu else 0.0,
    }
    # The longest pair may come when gradients are there already.
    without = sum(parts.values()) - when.activations - when.gradients - when.casts
    others = cast_bytes(shape, setting) + gradient_bytes(shape, setting) + _of_head(shape, setting)
    return Memory(
        update={name: value for name, value in parts.items() if value},
        loading=framework + loaded,
        checkpoint=framework + parts["weights"] + parts["reference"] + _checkpoint(shape, setting),
        budget=budget,
        tokens=tokens,
        micro_batches=micro_batches,
        gradients=gradient_bytes(shape, setting),
        longest=max(0.0, (capacity - without - others) / _kept(shape, setting, workload)),
    )


@dataclass(frozen=True)
class _Moment:
    """What comes and goes within an update, in bytes."""

    activations: float
    gradients: float
    casts: float

    @property
    def total(self) -> float:
        return self.activations + self.gradients + self.casts


def _fullest(shape: Shape, setting: Setting, workload: Workload, tokens: float, of_rank: float) -> _Moment:
    """The moment of an update at which most is held: the beginning of the first backward; or of a later one, with all gradients
    there; or the end of a backward, when activations have made room for gradients."""
    casts, gradients, of_head = cast_bytes(shape, setting), gradient_bytes(shape, setting), _of_head(shape, setting)

    def activations_of(count: float) -> float:
        scores = count / workload.tokens * workload.computed_scores
        return _kept(shape, setting, workload) * count + activations.probabilities_bytes(shape, setting, scores=scores)

    found = [
        _Moment(activations_of(tokens), min(of_head, gradients) if not setting.shard else 0.0, casts),
        _Moment(0.0, gradients, 0.0),
    ]
    later = min(tokens, of_rank - tokens)
    if later > 0:
        found.append(_Moment(activations_of(later), gradients + of_head, casts))
    return max(found, key=lambda moment: moment.total)


def _kept(shape: Shape, setting: Setting, workload: Workload) -> float:
    """Bytes of a token when a backward begins."""
    of_token = activations.token_bytes(shape, setting, answers=workload.answer_share)
    return of_token + activations.working_bytes(shape, setting)


def _of_head(shape: Shape, setting: Setting) -> float:
    """The head's gradient, which a backward makes first, of a size of its own."""
    return 4.0 * shape.head if setting.full and not setting.shard else 0.0


def token_budget(free: float, per_token: float, *, cpu: bool) -> int:
    """As `training/memory.py` finds it."""
    return max(SMALLEST, min(ENOUGH["cpu" if cpu else "cuda"], int(SHARE * max(free, 0) / per_token)))


def trained_weights(shape: Shape, setting: Setting) -> int:
    """How many weights are trained."""
    return shape.weights if setting.lora_rank is None else shape.adapter(setting.lora_rank)


def weights_bytes(shape: Shape, setting: Setting) -> float:
    """Weights as they are held: fp32 where they are trained, a frozen base on a GPU in bf16 or in 4 bits, the adapter in fp32."""
    if setting.load_in_4bit:
        rest = shape.weights - shape.products
        base = NF4_BYTES * shape.products + setting.base_bytes * rest
    else:
        base = setting.base_bytes * shape.weights
    return (base + 4 * _adapter(shape, setting)) / setting.parts


def cast_bytes(shape: Shape, setting: Setting) -> float:
    """bf16 copies of fp32 weights that the graph keeps from forward to backward, and the head's, which stays.

    They are whole on every rank: autocast makes them of gathered weights. With checkpointing, a frozen layer's go with it, and
    those of trained ones stay as long as the forward.
    """
    if setting.dtype != "bf16":
        return 0.0
    adapter = 2.0 * _adapter(shape, setting)
    if setting.base_bytes == 2:
        return adapter
    layers = 1 if setting.gradient_checkpointing and not setting.full else shape.layers
    return 2.0 * (layers * shape.layer_products + shape.head) + adapter


def gradient_bytes(shape: Shape, setting: Setting) -> float:
    """fp32, of all that is trained."""
    return 4.0 * trained_weights(shape, setting) / setting.parts


def moment_bytes(shape: Shape, setting: Setting) -> float:
    """AdamW's two, in fp32 or in 8 bits with an fp32 scale for every 256 values; small tensors' in fp32."""
    if setting.optimizer == "adamw":
        return 8.0 * trained_weights(shape, setting) / setting.parts
    each = _tensors(shape, setting).items()
    return sum(
        count * 2.0 * (size + 4 * -(-size // 256) if size >= SMALLEST_IN_8_BITS else 4 * size) for size, count in each
    )


def head_bytes(shape: Shape, setting: Setting, *, places: float) -> float:
    """Logits of a chunk of `places`, their gradients collected for one product, and that product (model/head.py)."""
    row = shape.vocab * setting.product_bytes
    chunk = min(places, max(1, CHUNK_BYTES // (4 * shape.vocab)))
    rows = min(places, max(chunk, GROUP_BYTES // row)) if setting.full else chunk
    total = rows * row
    if setting.full and setting.dtype == "bf16":
        total += 2.0 * shape.head
    if not setting.cpu:
        total += 2 * chunk * 4 * shape.vocab  # a CPU passes over few rows at a time
    return total


def gathered_bytes(shape: Shape, setting: Setting) -> float:
    """What FSDP2 holds whole beside the parts: embedding, head and last norm from forward to backward with their gradient,
    the layer that computes and the next one, and one layer's gradient on its way."""
    if not setting.shard or setting.ranks == 1:
        return 0.0
    layer = shape.layer_weights * setting.base_bytes
    outside = shape.outside * setting.base_bytes
    gradients = 4.0 * (shape.outside + shape.layer_weights) if setting.full else 0.0
    return outside + 2 * layer + gradients


def _checkpoint(shape: Shape, setting: Setting) -> float:
    """Moments, and a copy of them; of sharded ones each tensor is put together for itself."""
    moments = moment_bytes(shape, setting)
    if setting.shard and setting.ranks > 1:
        return moments + 4.0 * shape.head
    return 2 * moments


def _adapter(shape: Shape, setting: Setting) -> int:
    return 0 if setting.lora_rank is None else shape.adapter(setting.lora_rank)


def _tensors(shape: Shape, setting: Setting) -> Counter[int]:
    """Sizes of the tensors that are trained, and how many there are of each; of a layer's biases as if they were one."""
    rank, found = setting.lora_rank, Counter[int]()
    for into, out in shape.matrices:
        found.update([into * out] if rank is None else [rank * into, rank * out])
    if rank is None:
        found.update([shape.hidden] * shape.family.norms)
        found.update(size for size in (shape.biases, shape.norm_values - shape.family.norms * shape.hidden) if size)
    found = Counter({size: count * shape.layers for size, count in found.items()})
    if rank is None:
        found.update([shape.head] * (1 if shape.tied else 2) + [shape.hidden])
    return found
