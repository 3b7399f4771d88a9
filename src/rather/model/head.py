"""The output head, fused with the log-probability: logits exist for a chunk of places at a time, forward and backward."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# Bytes of one chunk's fp32 logits. Large enough that the products run at full rate, small beside everything else.
CHUNK_BYTES = 64 << 20

# Bytes of fp32 logits that a CPU's second-level caches hold while a softmax passes over them.
CACHE_BYTES = 1 << 20

# Bytes of the gradients in the logits that are collected for one product with the hidden states. The weight's gradient is
# the largest matrix of a small model: adding to it chunk by chunk costs more than keeping the chunks.
GROUP_BYTES = 128 << 20

# Where a weight keeps its cast, and each thread its scratch memory.
_CAST = "_rather_cast"
_SCRATCH = threading.local()


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
        with _exactly_as_told(hidden_UH):
            weight, theirs = weight_VH.to(dtype), reference.weight_VH.detach().to(dtype)
            sink = _Gradients(hidden_UH, weight, bias_V, ctx.needs_input_grad)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                rows = sink.open(start, stop)
                capped = _finish(rows.float(), bias_V, scale, softcap)
                # d KL / d logits = π − π_ref
                dlogits = capped.softmax(dim=-1) - _reference_logp(reference_UH[start:stop], theirs, reference).exp_()
                dlogits.mul_(grad_U[start:stop, None])
                rows.copy_(sink.unfinish(dlogits, capped, scale, softcap))
                sink.close(start, stop)
            return *sink.take(weight_VH.dtype), None, None, None, None, None


def _reference_logp(hidden: Tensor, weight: Tensor, head: Head) -> Tensor:
    return _logits(hidden, weight, head.bias_V, head.scale, head.softcap).log_softmax(dim=-1)


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
            weight = _cast(weight_VH, dtype)
            for start, stop in _chunks(len(hidden_UH), len(weight)):
                raw = _scratch("group", (stop - start, len(weight)), weight)
                torch.mm(hidden_UH[start:stop].to(dtype), weight.t(), out=raw)
                inside = ((row_C >= start) & (row_C < stop)).nonzero().flatten()
                target = target_C[inside]
                picked = raw[row_C[inside] - start, target].float()
                logp_C[inside] = _finish(picked, None if bias_V is None else bias_V[target], scale, softcap)
                for first, last in _cached_rows(raw):
                    logits = _finish(raw[first:last].float(), bias_V, scale, softcap)
                    highest = logits.amax(dim=-1, keepdim=True)
                    total = logits.sub_(highest).exp_().sum(dim=-1)
                    norm_U[start + first : start + last] = total.log_().add_(highest[:, 0])
            logp_C -= norm_U[row_C]
        ctx.save_for_backward(hidden_UH, weight_VH, bias_V, row_C, target_C, norm_U)
        ctx.form = scale, softcap
        ctx.cast = weight  # kept: casting the largest matrix of a small model again costs more than its bytes
        return logp_C

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (grad_C,) = grads
        hidden_UH, weight_VH, bias_V, row_C, target_C, norm_U = ctx.saved_tensors
        scale, softcap = ctx.form
        # Of Σ_c grad_c·log p_c, place u's logits get Σ_{c at u} grad_c·(onehot_c − softmax).
        total_U = torch.zeros_like(norm_U).index_add_(0, row_C, grad_C)
        in_order = row_C.argsort()
        row_sorted = row_C[in_order]
        with _exactly_as_told(hidden_UH):
            sink = _Gradients(hidden_UH, ctx.cast, bias_V, ctx.needs_input_grad)
            for start, stop in _chunks(len(hidden_UH), len(weight_VH)):
                rows = sink.open(start, stop)
                cuts = _cached_rows(rows)
                edges = torch.searchsorted(row_sorted, row_C.new_tensor([start + last for _, last in cuts])).tolist()
                begin = int(torch.searchsorted(row_sorted, start))
                for (first, last), end in zip(cuts, edges, strict=True):
                    place = slice(start + first, start + last)
                    logits = _finish(rows[first:last].float(), bias_V, scale, softcap)
                    capped = logits.clone() if softcap is not None else logits
                    dlogits = logits.sub_(norm_U[place, None]).exp_().mul_(-total_U[place, None])
                    # Before the rounding to the products' dtype: of a likely token little is left of onehot − softmax.
                    inside = in_order[begin:end]
                    spot = (row_C[inside] - place.start, target_C[inside])
                    dlogits.index_put_(spot, grad_C[inside], accumulate=True)
                    rows[first:last] = sink.unfinish(dlogits, capped, scale, softcap)
                    begin = end
                sink.close(start, stop)
            return *sink.take(weight_VH.dtype), None, None, None, None, None


class _Gradients:
    """Collects, chunk by chunk, what a gradient in the logits is in hidden states, weight and bias.

    A chunk is opened with its raw logits, which its gradient is to replace, and closed.
    """

    def __init__(self, hidden_UH: Tensor, weight: Tensor, bias_V: Tensor | None, wanted: tuple[bool, ...]) -> None:
        """weight: in the dtype of the products. wanted: gradients of hidden states, weight and bias."""
        self.weight, self.states = weight, hidden_UH.to(weight.dtype)
        self.dhidden = torch.empty_like(hidden_UH) if wanted[0] else None
        self.dbias = torch.zeros_like(bias_V, dtype=torch.float32) if wanted[2] and bias_V is not None else None
        self.bias_dtype = None if bias_V is None else bias_V.dtype
        self.wants_weight = wanted[1]
        self.dweight: Tensor | None = None
        # Chunks are grouped for one product with the hidden states.
        row_bytes = len(weight) * weight.element_size()
        largest = max((stop - start for start, stop in _chunks(len(hidden_UH), len(weight))), default=0)
        most = max(largest, GROUP_BYTES // row_bytes) if self.wants_weight else largest
        self.group = _scratch("group", (min(len(hidden_UH), most), len(weight)), weight)
        self.group_start = 0

    def open(self, start: int, stop: int) -> Tensor:
        """[n, V] the raw logits of places [start, stop), before bias, scale and cap; to be overwritten by their gradient."""
        if stop - self.group_start > len(self.group):
            self._multiply(start)
        rows = self.group[start - self.group_start : stop - self.group_start]
        return torch.mm(self.states[start:stop], self.weight.t(), out=rows)

    def unfinish(self, dlogits: Tensor, capped: Tensor, scale: float, softcap: float | None) -> Tensor:
        """From the gradient in finished logits, overwritten, to the one in raw logits; `capped` are the finished ones."""
        if softcap is not None:
            dlogits.mul_(1 - (capped / softcap).square_())
        if scale != 1.0:
            dlogits.mul_(scale)
        if self.dbias is not None:
            self.dbias += dlogits.sum(dim=0)
        return dlogits

    def close(self, start: int, stop: int) -> None:
        if self.dhidden is not None:
            self.dhidden[start:stop] = self.group[start - self.group_start : stop - self.group_start] @ self.weight

    def take(self, weight_dtype: torch.dtype) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Gradients of hidden states, weight, bias."""
        self._multiply(len(self.states))
        dweight = None if self.dweight is None else self.dweight.to(weight_dtype)
        dbias = None if self.dbias is None else self.dbias.to(self.bias_dtype)
        return self.dhidden, dweight, dbias

    def _multiply(self, stop: int) -> None:
        """Empty the group into the weight's gradient; the next group begins at `stop`."""
        if self.wants_weight and stop > self.group_start:
            group, states = self.group[: stop - self.group_start], self.states[self.group_start : stop]
            if self.dweight is None and self.weight.dtype == torch.float32:
                self.dweight = group.t() @ states
            else:
                part = torch.mm(group.t(), states, out=_scratch("part", tuple(self.weight.shape), self.weight))
                self.dweight = part.float() if self.dweight is None else self.dweight.add_(part)
        self.group_start = stop


def _cast(weight_VH: Tensor, dtype: torch.dtype) -> Tensor:
    """The weight in the dtype of the products, cast once for as long as it does not change."""
    if weight_VH.dtype == dtype:
        return weight_VH
    owner = weight_VH if weight_VH._base is None else weight_VH._base
    version, cast = getattr(owner, _CAST, (None, None))
    if cast is None or cast.dtype != dtype or cast.device != owner.device:
        cast = torch.empty_like(owner, dtype=dtype, requires_grad=False)
    elif version == owner._version:
        return cast
    cast.copy_(owner.detach())
    setattr(owner, _CAST, (owner._version, cast))
    return cast


def _scratch(name: str, shape: tuple[int, ...], like: Tensor) -> Tensor:
    """An uninitialised tensor. On a CPU the same memory at each call: fresh pages cost more than what is done with them.

    What is in it lives until the next call with this name, so never beyond one forward or backward.
    """
    size = math.prod(shape)
    if like.device.type != "cpu":
        return like.new_empty(shape)
    kept: dict[str, Tensor] = vars(_SCRATCH)
    key = f"{name} {like.dtype}"
    if key not in kept or kept[key].numel() < size:
        kept[key] = like.new_empty(size)
    return kept[key][:size].view(shape)


def _logits(hidden: Tensor, weight: Tensor, bias: Tensor | None, scale: float, softcap: float | None) -> Tensor:
    """[n, V] in float32, a tensor of its own that the caller may write into."""
    return _finish((hidden.to(weight.dtype) @ weight.t()).float(), bias, scale, softcap)


def _finish(logits: Tensor, bias: Tensor | None, scale: float, softcap: float | None) -> Tensor:
    """Bias, scale and cap, on raw logits in float32."""
    if bias is not None:
        logits = logits + bias.float()
    if scale != 1.0:
        logits = logits * scale
    if softcap is not None:
        logits = (logits / softcap).tanh_().mul_(softcap)
    return logits


def _chunks(places: int, vocabulary: int) -> list[tuple[int, int]]:
    """Equal parts of the places, each within CHUNK_BYTES of fp32 logits."""
    return _parts(places, CHUNK_BYTES // (4 * vocabulary))


def _cached_rows(logits: Tensor) -> list[tuple[int, int]]:
    """Parts of a chunk that are passed over several times: on a CPU so few rows that they stay in its cache."""
    if logits.device.type != "cpu":
        return [(0, len(logits))]
    return _parts(len(logits), CACHE_BYTES // (4 * logits.shape[1]))


def _parts(length: int, most: int) -> list[tuple[int, int]]:
    """[0, length) in equal parts of `most` or fewer, one at least."""
    parts = max(1, -(-length // max(1, most)))
    return list(itertools.pairwise([length * part // parts for part in range(parts + 1)]))


def _exactly_as_told(tensor: Tensor) -> torch.autocast:
    """No autocast inside: the dtypes are those that are written."""
    return torch.autocast(tensor.device.type, enabled=False)
