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
    """Of each of U places, without gradient: entropy of the prediction in nats, log Σ_v p(v)², and the likeliest token."""

    entropy_U: Tensor
    log_square_U: Tensor
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
    """What the whole distribution at each place says."""
    weight, bias = head.weight_VH.to(dtype), head.bias_V
    entropies, squares, tops = [], [], []
    for start, stop in _chunks(len(hidden_UH), len(weight)):
        logits = _logits(hidden_UH[start:stop], weight, bias, head.scale, head.softcap)
        logp = logits.log_softmax(dim=-1)
        entropies.append(-(logp.exp() * logp).sum(dim=-1))
        squares.append((2 * logp).logsumexp(dim=-1))
        tops.append(logits.argmax(dim=-1))
    return TokenStats(torch.cat(entropies), torch.cat(squares), torch.cat(tops))


def token_kl(hidden_UH: Tensor, head: Head, reference_UH: Tensor, reference: Head, *, dtype: torch.dtype) -> Tensor:
    """KL(π_ref ‖ π) [U] of the predictions at each place, in nats, float32, differentiable in the policy's hidden states,
    weight and bias. reference_UH: the reference's hidden states at the same places."""
    return _TokenKL.apply(  # pyright: ignore[reportReturnType]
        hidden_UH, head.weight_VH, head.bias_V, reference_UH.detach(), reference, head.scale, head.softcap, dtype
    )


class _TokenKL(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_UH: Tensor,
        weight_VH: Tensor,
        bias_V: Tensor | None,
        reference_UH: Tensor,
        reference: Head,
        scale: float,
        softcap: float | None,
        dtype: torch.dtype,
    ) -> Tensor:
        kl_U = torch.empty(len(hidden_UH), device=hidden_UH.device)
        with _exactly_as_told(hidden_UH):
            weight, theirs = weight_VH.to(dtype), reference.weight_VH.detach().to(dtype)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                ours = _logits(hidden_UH[start:stop], weight, bias_V, scale, softcap).log_softmax(dim=-1)
                wanted = _reference_logp(reference_UH[start:stop], theirs, reference)
                kl_U[start:stop] = (wanted.exp() * (wanted - ours)).sum(dim=-1)
        ctx.save_for_backward(hidden_UH, weight_VH, bias_V, reference_UH)
        ctx.form = reference, scale, softcap, dtype
        return kl_U

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_U,) = grads
        hidden_UH, weight_VH, bias_V, reference_UH = ctx.saved_tensors
        reference, scale, softcap, dtype = ctx.form
        sink = _Gradients(hidden_UH, weight_VH, bias_V, ctx.needs_input_grad)
        with _exactly_as_told(hidden_UH):
            weight, theirs = weight_VH.to(dtype), reference.weight_VH.detach().to(dtype)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                hidden = hidden_UH[start:stop].to(dtype)
                logits = _logits(hidden, weight, bias_V, scale, softcap)
                # d KL / d logits = π − π_ref
                dlogits = logits.softmax(dim=-1) - _reference_logp(reference_UH[start:stop], theirs, reference).exp_()
                dlogits.mul_(grad_U[start:stop, None])
                sink.add(start, stop, dlogits, logits, hidden, weight, scale, softcap)
        return *sink.take(), None, None, None, None, None


def _reference_logp(hidden: Tensor, weight: Tensor, head: Head) -> Tensor:
    return _logits(hidden, weight, head.bias_V, head.scale, head.softcap).log_softmax(dim=-1)


class _Gradients:
    """Collects, chunk by chunk, what a gradient in the logits is in hidden states, weight and bias."""

    def __init__(self, hidden: Tensor, weight: Tensor, bias: Tensor | None, wanted: tuple[bool, ...]) -> None:
        self.weight_dtype = weight.dtype
        self.bias_dtype = None if bias is None else bias.dtype
        self.hidden = torch.empty_like(hidden) if wanted[0] else None
        self.wants_weight = wanted[1]
        self.weight: Tensor | None = None
        self.bias = torch.zeros_like(bias, dtype=torch.float32) if wanted[2] and bias is not None else None

    def add(
        self,
        start: int,
        stop: int,
        dlogits: Tensor,
        logits: Tensor,
        hidden: Tensor,
        weight: Tensor,
        scale: float,
        softcap: float | None,
    ) -> None:
        """dlogits [n, V]: gradient in the capped and scaled logits; overwritten. logits are those it belongs to."""
        if softcap is not None:
            dlogits.mul_(1 - (logits / softcap).square_())
        if scale != 1.0:
            dlogits.mul_(scale)
        if self.bias is not None:
            self.bias += dlogits.sum(dim=0)
        dlogits = dlogits.to(weight.dtype)
        if self.hidden is not None:
            self.hidden[start:stop] = dlogits @ weight
        if self.wants_weight:
            part = dlogits.t() @ hidden
            self.weight = part.to(self.weight_dtype) if self.weight is None else self.weight.add_(part)

    def take(self) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        bias = self.bias.to(self.bias_dtype) if self.bias is not None and self.bias_dtype is not None else self.bias
        return self.hidden, self.weight, bias


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
        ctx.form = scale, softcap
        ctx.cast = weight  # kept: casting the largest matrix of a small model again costs more than its bytes
        return logp_C

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_C,) = grads
        hidden_UH, weight_VH, bias_V, row_C, target_C, norm_U = ctx.saved_tensors
        scale, softcap = ctx.form
        weight: Tensor = ctx.cast
        sink = _Gradients(hidden_UH, weight_VH, bias_V, ctx.needs_input_grad)
        # Of Σ_c grad_c·log p_c, place u's logits get Σ_{c at u} grad_c·(onehot_c − softmax).
        total_U = torch.zeros_like(norm_U).index_add_(0, row_C, grad_C)
        with _exactly_as_told(hidden_UH):
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                hidden = hidden_UH[start:stop].to(weight.dtype)
                logits = _logits(hidden, weight, bias_V, scale, softcap)
                capped = logits.clone() if softcap is not None else logits
                dlogits = logits.sub_(norm_U[start:stop, None]).exp_().mul_(-total_U[start:stop, None])
                inside = ((row_C >= start) & (row_C < stop)).nonzero().flatten()
                dlogits.index_put_((row_C[inside] - start, target_C[inside]), grad_C[inside], accumulate=True)
                sink.add(start, stop, dlogits, capped, hidden, weight, scale, softcap)
        return *sink.take(), None, None, None, None, None


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
