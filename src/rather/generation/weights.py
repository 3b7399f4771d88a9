"""A model's weights as decoding wants them: products that share an input joined, packed once.

Llama and its likes alone: attention with rotary positions and grouped heads, a gated SiLU, RMS norms before both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
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
    """One decoder layer."""

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
    """What a forward needs. scale: what the products of queries and keys are multiplied with."""

    layers: list[Layer]
    embedding: Tensor
    norm: Tensor
    head: Product
    rotary: nn.Module
    epsilon: float
    heads: int
    kv_heads: int
    head_size: int
    scale: float
    dtype: torch.dtype
    device: torch.device

    @property
    def column_bytes(self) -> int:
        """What one token's keys and values take."""
        return 2 * len(self.layers) * self.kv_heads * self.head_size * self.dtype.itemsize

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
    return Weights(
        layers=[_layer(layer, dtype, product) for layer in body.layers],
        embedding=body.embed_tokens.weight.detach().to(dtype),
        norm=body.norm.weight.detach().to(dtype),
        head=product(model.lm_head),
        rotary=body.rotary_emb,
        epsilon=config.rms_norm_eps,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_size=size,
        scale=size**-0.5,
        dtype=dtype,
        device=device,
    )


def _layer(layer: Any, dtype: torch.dtype, product: Callable[..., Product]) -> Layer:
    attention, mlp = layer.self_attn, layer.mlp
    normed = hasattr(attention, "q_norm")
    return Layer(
        qkv=product(attention.q_proj, attention.k_proj, attention.v_proj),
        out=product(attention.o_proj),
        gate_up=product(mlp.gate_proj, mlp.up_proj),
        down=product(mlp.down_proj),
        attention_norm=layer.input_layernorm.weight.detach().to(dtype),
        mlp_norm=layer.post_attention_layernorm.weight.detach().to(dtype),
        q_norm=attention.q_norm.weight.detach().to(dtype) if normed else None,
        k_norm=attention.k_norm.weight.detach().to(dtype) if normed else None,
    )


def _product(device: torch.device, dtype: torch.dtype, size: int) -> Callable[..., Product]:
    """(linear layers) → one product that has the outputs of all, side by side. size: bytes of all weights."""
    ops = torch.ops.mkldnn
    packs = device.type == "cpu" and torch.backends.mkldnn.is_available() and size <= _LARGEST_COPY
    if packs and dtype is torch.bfloat16:
        packs = bool(ops._is_mkldnn_bf16_supported())
    return partial(_packed if packs else _plain, dtype)


def _packed(dtype: torch.dtype, *layers: nn.Linear) -> Product:
    ops = torch.ops.mkldnn
    weight = torch.cat([layer.weight.detach().to(dtype) for layer in layers])
    packed = ops._reorder_linear_weight(weight, _ROWS)
    bias = None
    if any(layer.bias is not None for layer in layers):
        zeros = weight.new_zeros(max(len(layer.weight) for layer in layers))
        bias = torch.cat([zeros[: len(m.weight)] if m.bias is None else m.bias.detach().to(dtype) for m in layers])

    def product(x: Tensor, add: Tensor | None = None) -> Tensor:
        if add is None:
            return ops._linear_pointwise(x, packed, bias, "none", [], "")
        return ops._linear_pointwise.binary(x, add, packed, bias, "add")

    return product


def _plain(dtype: torch.dtype, *layers: nn.Linear) -> Product:
    """Side by side only in what comes out: weights that are in `dtype` already are not copied."""
    parts = [(m.weight.detach().to(dtype), None if m.bias is None else m.bias.detach().to(dtype)) for m in layers]

    def product(x: Tensor, add: Tensor | None = None) -> Tensor:
        out = [F.linear(x, weight, bias) for weight, bias in parts]
        whole = out[0] if len(out) == 1 else torch.cat(out, dim=-1)
        return whole if add is None else add + whole

    return product
