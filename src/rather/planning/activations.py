"""What a forward keeps of each token for its backward: the tensors that autograd saves in a gated layer, one by one."""

from __future__ import annotations

from rather.planning.engine import KEPT_SCORES, Setting
from rather.planning.shapes import Shape


def layer_bytes(shape: Shape, setting: Setting) -> float:
    """Bytes of a token in one layer: norms, inputs of products, attention, the gate and what it is multiplied with.

    Under bf16 each product keeps a cast of its input of its own; norms compute in fp32 and keep their input, and where their
    weight is trained what it is multiplied with. Attention's scores are not among it: see `probabilities_bytes`.
    """
    number, hidden, query, key = setting.product_bytes, shape.hidden, shape.query, shape.key
    into_attention, into_gate = (1, 1) if shape.family.fused else (3, 2)
    total = shape.family.norms * _norm(hidden, setting)
    total += number * hidden * (into_attention + into_gate if number == 2 else 2)
    if shape.family.qk_norm is not None:
        total += _norm(query + key, setting, of_product=True)
    total += number * (query + 2 * key) + number * query  # queries, keys, values; what the output's product reads
    if not setting.cpu:
        total += number * query + 4 * shape.heads  # FlexAttention keeps its output and a normaliser
    total += 4 * number * shape.intermediate
    if setting.lora_rank is not None:
        total += number * setting.lora_rank * shape.modules
    return float(total)


def token_bytes(shape: Shape, setting: Setting, *, answers: float) -> float:
    """Bytes of a token in all layers and outside them. answers: the share of tokens at which an answer is predicted.

    With gradient checkpointing a layer keeps its input, and one at a time the rest.
    """
    stream = setting.base_bytes
    layer = layer_bytes(shape, setting)
    layers = shape.layers * stream * shape.hidden + layer if setting.gradient_checkpointing else shape.layers * layer
    rotary = 2 * stream * shape.head_dim
    return layers + _norm(shape.hidden, setting) + rotary + answers * stream * shape.hidden


def working_bytes(shape: Shape, setting: Setting) -> float:
    """Bytes of a token that the backward of one layer holds beside what was kept: gradients of what is computed in it."""
    return 4.0 * setting.product_bytes * shape.intermediate + 16 * shape.hidden


def probabilities_bytes(shape: Shape, setting: Setting, *, scores: float) -> float:
    """Bytes of attention's probabilities, which a CPU keeps where a micro-batch has few `scores` (of one head)."""
    if not setting.cpu or scores > KEPT_SCORES:
        return 0.0
    layers = 1 if setting.gradient_checkpointing else shape.layers
    return layers * shape.heads * scores * setting.product_bytes


def _norm(width: int, setting: Setting, *, of_product: bool = False) -> int:
    """Its input in fp32 and, where its weight is trained, what that is multiplied with: rounded, if a product's."""
    trained = (setting.product_bytes if of_product else 4) if setting.full else 0
    return (4 + trained) * width
