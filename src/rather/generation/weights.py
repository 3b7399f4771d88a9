"""A model's weights as decoding wants them: products that share an input joined, norms and scales folded, packed once.

Llama and its likes alone: attention with rotary positions and grouped heads, a gated SiLU, RMS norms before both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

FAMILIES = ("llama", "mistral", "qwen2", "qwen3")
_STATIC_ROPE = ("default", "linear", "llama3", "yarn")
# Rows for which oneDNN lays the weights out; others work as well.
_ROWS = 128
# A second copy of more weights than this, on a processor, is not made only to be faster.
_LARGEST_COPY = 12 << 30

Product = Callable[..., Tensor]
"""(x, add=None) → x Wᵀ + b (+ add)."""


@dataclass(frozen=True)
class Layer:
    """One decoder layer. The query's scale 1/√d is in its weights."""

    qkv: Product
    out: Product
    gate_up: Product
    down: Product
    attention_norm: Tensor
    mlp_norm: Tensor
    q_norm: Tensor | None
    k_norm: Tensor | None


@dataclass(frozen=True)
class Weights:
    """What a forward needs. cos_sin: a function of positions."""

    layers: list[Layer]
    embedding: Tensor
    norm: Tensor
    head: Product
    rotary: nn.Module
    epsilon: float
    heads: int
    kv_heads: int
    head_size: int
    dtype: torch.dtype
    device: torch.device

    def cos_sin(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine, and sine with the sign of the first half turned, of every position; [..., head size]."""
        like = torch.empty(0, dtype=torch.float32, device=self.device)
        cos, sin = self.rotary(like, positions.reshape(1, -1))
        half = self.head_size // 2
        sin = torch.cat((-sin[..., :half], sin[..., half:]), dim=-1)
        shape = (*positions.shape, self.head_size)
        return cos.reshape(shape).to(self.dtype), sin.reshape(shape).to(self.dtype)


def unknown(model: PreTrainedModel, length: int) -> str | None:
    """Why this model cannot be decoded here, None if it can. length: of the longest conversation."""
    config: Any = model.config
    if config.model_type not in FAMILIES:
        return f"its architecture ({config.model_type}) is not one of {', '.join(FAMILIES)}"
    if getattr(config, "hidden_act", "silu") != "silu":
        return f"its activation is {config.hidden_act}"
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if rope.get("rope_type", "default") not in _STATIC_ROPE:
        return f"its positions ({rope['rope_type']}) change with length"
    if rope.get("partial_rotary_factor", getattr(config, "partial_rotary_factor", None)) not in (None, 1, 1.0):
        return "a part of each head has no position"
    kinds = getattr(config, "layer_types", None)
    windowed = "sliding_attention" in kinds if kinds else bool(getattr(config, "sliding_window", None))
    if windowed and length > config.sliding_window:
        return f"its attention looks back {config.sliding_window:,} tokens only"
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    odd = [m for m in linear if type(m) is not nn.Linear or m.weight.dtype not in (torch.float32, torch.bfloat16)]
    if odd or len(linear) != 7 * config.num_hidden_layers + 1:
        return "its linear layers are not plain ones (quantised, or with an adapter)"
    return None


def weights_of(model: PreTrainedModel, dtype: torch.dtype) -> Weights:
    """The weights of a model of which `unknown` says nothing, in `dtype`."""
    config: Any = model.config
    body: Any = model.model
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    device = body.embed_tokens.weight.device
    product = _product(device, dtype, sum(p.numel() for p in model.parameters()) * dtype.itemsize)
    embedding = body.embed_tokens.weight.detach().to(dtype)
    return Weights(
        layers=[_layer(layer, size**-0.5, dtype, product) for layer in body.layers],
        embedding=embedding,
        norm=body.norm.weight.detach().to(dtype),
        head=product([model.lm_head]),
        rotary=body.rotary_emb,
        epsilon=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=size,
        dtype=dtype,
        device=device,
    )


def _layer(layer: Any, scale: float, dtype: torch.dtype, product: Callable[..., Product]) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    q_norm = getattr(attention, "q_norm", None)
    # With a norm behind it, the query's scale belongs to the norm.
    q_scale = scale if q_norm is None else 1.0
    return Layer(
        qkv=product([attention.q_proj, attention.k_proj, attention.v_proj], scales=(q_scale, 1.0, 1.0)),
        out=product([attention.o_proj]),
        gate_up=product([mlp.gate_proj, mlp.up_proj]),
        down=product([mlp.down_proj]),
        attention_norm=layer.input_layernorm.weight.detach().to(dtype),
        mlp_norm=layer.post_attention_layernorm.weight.detach().to(dtype),
        q_norm=None if q_norm is None else (q_norm.weight.detach() * scale).to(dtype),
        k_norm=None if q_norm is None else attention.k_norm.weight.detach().to(dtype),
    )


def _product(device: torch.device, dtype: torch.dtype, size: int) -> Callable[..., Product]:
    """(linear layers, scales) → one product that has the outputs of all, side by side."""
    ops = torch.ops.mkldnn
    packs = device.type == "cpu" and torch.backends.mkldnn.is_available() and size <= _LARGEST_COPY
    if packs and dtype is torch.bfloat16:
        packs = bool(ops._is_mkldnn_bf16_supported())

    def joined(layers: list[nn.Linear], scales: tuple[float, ...] = (1.0,)) -> tuple[Tensor, Tensor | None]:
        scales = scales if len(scales) == len(layers) else scales * len(layers)
        weight = [w if s == 1 else w * s for w, s in zip((m.weight.detach() for m in layers), scales, strict=True)]
        bias = None
        if any(m.bias is not None for m in layers):
            parts = [m.weight.new_zeros(len(m.weight)) if m.bias is None else m.bias.detach() for m in layers]
            bias = torch.cat([b * s for b, s in zip(parts, scales, strict=True)]).to(dtype)
        return (weight[0] if len(weight) == 1 else torch.cat(weight)).to(dtype), bias

    def make(layers: list[nn.Linear], scales: tuple[float, ...] = (1.0,)) -> Product:
        weight, bias = joined(layers, scales)
        if packs:
            packed = ops._reorder_linear_weight(weight.contiguous(), _ROWS)

            def packed_product(x: Tensor, add: Tensor | None = None) -> Tensor:
                if add is None:
                    return ops._linear_pointwise(x, packed, bias, "none", [], "")
                return ops._linear_pointwise.binary(x, add, packed, bias, "add")

            return packed_product

        def plain_product(x: Tensor, add: Tensor | None = None) -> Tensor:
            return F.linear(x, weight, bias) if add is None else add + F.linear(x, weight, bias)

        return plain_product

    return make
