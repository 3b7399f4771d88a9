"""The output head, fused with the log-probability: logits exist for a chunk of places at a time, forward and backward."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Bytes of one chunk's fp32 logits. Large enough that the products run at full rate, small beside everything else.
CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Head:
    """What turns hidden states into logits: cap·tanh(scale·(h Wᵀ + b) / cap); without a cap only scale·(h Wᵀ + b)."""

    weight_VH: Tensor
    bias_V: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None


@dataclass(frozen=True)
class TokenStats:
    """Of each of U places, without gradient: entropy of the prediction in nats, and the likeliest token."""

    entropy_U: Tensor
    top_U: Tensor


def head_of(model: torch.nn.Module) -> Head:
    """The head of a causal language model in transformers' form.

    Scaling and softcapping go by the names that the families' configs give them: `logits_scaling` divides (Granite),
    `logit_scale` multiplies (Cohere), `final_logit_softcapping` caps (Gemma). What goes by no known name is caught
    by the comparison with the model's own forward at the start of a run.
    """
    linear: Any = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    config: Any = model.config.get_text_config()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    scale = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)
    softcap = getattr(config, "final_logit_softcapping", None)
    return Head(linear.weight, getattr(linear, "bias", None), scale, float(softcap) if softcap else None)


def token_logps(hidden_UH: Tensor, head: Head, row_C: Tensor, target_C: Tensor, *, dtype: torch.dtype) -> Tensor:
    """log p(target_C) [C] in nats, float32, differentiable in hidden states, weight and bias.

    row_C: the place in U that predicts each completion token; several tokens may share one. dtype: of the products;
    the softmax is always float32. The logits of a chunk are computed again in the backward, never kept.
    """
    return _TokenLogps.apply(  # pyright: ignore[reportReturnType]
        hidden_UH, head.weight_VH, head.bias_V, row_C, target_C, head.scale, head.softcap, dtype
    )


@torch.no_grad()
def token_stats(hidden_UH: Tensor, head: Head, *, dtype: torch.dtype) -> TokenStats:
    """Entropy and top-1 of each place."""
    weight, bias = head.weight_VH.to(dtype), head.bias_V
    entropies, tops = [], []
    for start, stop in _chunks(len(hidden_UH), len(weight)):
        logits = _logits(hidden_UH[start:stop], weight, bias, head.scale, head.softcap)
        logp = logits.log_softmax(dim=-1)
        entropies.append(-(logp.exp() * logp).sum(dim=-1))
        tops.append(logits.argmax(dim=-1))
    return TokenStats(torch.cat(entropies), torch.cat(tops))


class _TokenLogps(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_UH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        row_C: Tensor,
        target_C: Tensor,
        scale: float,
        softcap: float | None,
        dtype: torch.dtype,
    ) -> Tensor:
        logp_C = torch.empty(len(row_C), device=hidden_UH.device)
        norm_U = torch.empty(len(hidden_UH), device=hidden_UH.device)
        with _exactly_as_told(hidden_UH):
            weight = weight_VH.to(dtype)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                logits = _logits(hidden_UH[start:stop], weight, bias_V, scale, softcap)
                inside = ((row_C >= start) & (row_C < stop)).nonzero().flatten()
                rows = row_C[inside] - start
                picked = logits[rows, target_C[inside]]
                highest = logits.amax(dim=-1, keepdim=True)
                norm = logits.sub_(highest).exp_().sum(dim=-1).log_() + highest[:, 0]
                norm_U[start:stop] = norm
                logp_C[inside] = picked - norm[rows]
        ctx.save_for_backward(hidden_UH, weight_VH, bias_V, row_C, target_C, norm_U)
        ctx.form = scale, softcap, dtype
        return logp_C

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_C,) = grads
        hidden_UH, weight_VH, bias_V, row_C, target_C, norm_U = ctx.saved_tensors
        scale, softcap, dtype = ctx.form
        wants_hidden, wants_weight, wants_bias = ctx.needs_input_grad[:3]
        dhidden = torch.empty_like(hidden_UH) if wants_hidden else None
        dweight: Tensor | None = None
        dbias = torch.zeros_like(bias_V, dtype=torch.float32) if wants_bias and bias_V is not None else None
        # Of Σ_c grad_c·log p_c, place u's logits get Σ_{c at u} grad_c·(onehot_c − softmax).
        total_U = torch.zeros_like(norm_U).index_add_(0, row_C, grad_C)
        with _exactly_as_told(hidden_UH):
            weight = weight_VH.to(dtype)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                hidden = hidden_UH[start:stop].to(dtype)
                logits = _logits(hidden, weight, bias_V, scale, softcap)
                bend = None if softcap is None else 1 - (logits / softcap).square_()
                dlogits = logits.sub_(norm_U[start:stop, None]).exp_().mul_(-total_U[start:stop, None])
                inside = ((row_C >= start) & (row_C < stop)).nonzero().flatten()
                dlogits.index_put_((row_C[inside] - start, target_C[inside]), grad_C[inside], accumulate=True)
                if bend is not None:
                    dlogits.mul_(bend)
                if scale != 1.0:
                    dlogits.mul_(scale)
                if dbias is not None:
                    dbias += dlogits.sum(dim=0)
                dlogits = dlogits.to(dtype)
                if dhidden is not None:
                    dhidden[start:stop] = dlogits @ weight
                if wants_weight:
                    part = dlogits.t() @ hidden
                    dweight = part.to(weight_VH.dtype) if dweight is None else dweight.add_(part)
        if dbias is not None and bias_V is not None:
            dbias = dbias.to(bias_V.dtype)
        return dhidden, dweight, dbias, None, None, None, None, None


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, scale: float, softcap: float | None) -> Tensor:
    """[n, V] in float32, a tensor of its own that the caller may write into."""
    logits = (hidden.to(weight.dtype) @ weight.t()).float()
    if bias is not None:
        logits += bias.float()
    if scale != 1.0:
        logits *= scale
    if softcap is not None:
        logits = logits.div_(softcap).tanh_().mul_(softcap)
    return logits


def _chunks(places: int, vocabulary: int) -> list[tuple[int, int]]:
    """Equal parts of the places, each within CHUNK_BYTES of fp32 logits."""
    most = max(1, CHUNK_BYTES // (4 * vocabulary))
    parts = max(1, -(-places // most))
    cuts = [places * part // parts for part in range(parts + 1)]
    return list(itertools.pairwise(cuts))


def _exactly_as_told(tensor: Tensor) -> torch.autocast:
    """No autocast inside: the dtypes are those that are written."""
    return torch.autocast(tensor.device.type, enabled=False)
