"""Floating-point operations of a forward, of an update, of the reference: two for each weight and distinct token, and so on."""

from __future__ import annotations

from rather.planning.engine import KEPT_SCORES, Setting
from rather.planning.shapes import Shape
from rather.planning.workload import Workload


def forward_flops(shape: Shape, workload: Workload, *, setting: Setting) -> float:
    """Of one pair: products of its distinct tokens, scores and values of attention, logits where an answer is predicted."""
    layers = 2.0 * (shape.products + _adapter(shape, setting)) * workload.tokens
    return layers + _attention(shape, workload) + 2.0 * shape.head * workload.answers


def update_flops(shape: Shape, workload: Workload, *, setting: Setting, micro_batch: float) -> float:
    """Of one pair in an update: forward and backward. micro_batch: tokens in it, on which what attention keeps depends.

    The backward takes twice the forward's products, and once where weights are frozen; logits are made again in it, and
    with gradient checkpointing each layer.
    """
    products, adapter = 2.0 * shape.products * workload.tokens, 2.0 * _adapter(shape, setting) * workload.tokens
    attention = _attention(shape, workload)
    kept = setting.cpu and micro_batch / workload.tokens * workload.computed_scores <= KEPT_SCORES
    layers = products * (3 if setting.full else 2) + 3 * adapter + attention * (3 if kept else 3.5)
    if setting.gradient_checkpointing:
        layers += products + adapter + attention
    return layers + 2.0 * shape.head * workload.answers * (4 if setting.full else 3)


def fewest_flops(shape: Shape, workload: Workload, *, setting: Setting) -> float:
    """Of one pair: 6 for each weight and distinct token (4 where it is frozen), the head where an answer is predicted: what
    `benchmarks/vs_trl.py` measures shares of the matmul rate against."""
    return (6.0 if setting.full else 4.0) * (shape.products * workload.tokens + shape.head * workload.answers)


def _attention(shape: Shape, workload: Workload) -> float:
    """Of one pair, forward: a score and a value for each of the keys that a query sees."""
    return 4.0 * shape.query * shape.layers * workload.computed_scores


def _adapter(shape: Shape, setting: Setting) -> int:
    return 0 if setting.lora_rank is None else shape.adapter(setting.lora_rank)
