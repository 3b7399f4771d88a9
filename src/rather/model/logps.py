"""The one function that turns a model and a micro-batch into log-probabilities, for policy and reference alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rather.losses import PairLogps
from rather.model.attention import Forest, packed_attention
from rather.model.embedding import shared_embedding
from rather.model.head import Head, head_of, token_kl, token_logps, token_stats
from rather.model.pack import Packed, Sample, pack


@dataclass(frozen=True)
class Completions:
    """Log-probabilities of the C completion tokens of R samples, sample after sample, in nats, float32.

    logp_C     [C] with gradient if enabled
    sample_C   [C] the sample that each token belongs to
    tokens_R   [R] completion tokens of each sample
    kl_C       [C] KL(π_ref ‖ π) of the prediction that each token is drawn from, with gradient; on request
    square_C   [C] log Σ_v π(v)² of that prediction, without gradient; on request
    """

    logp_C: Tensor
    sample_C: Tensor
    tokens_R: Tensor
    kl_C: Tensor | None = None
    square_C: Tensor | None = None

    def sums(self) -> Tensor:
        """[R] summed over each completion."""
        return self.summed(self.logp_C)

    def first(self, count_R: Tensor) -> Tensor:
        """[R] summed over the first `count_R` tokens of each completion."""
        begins_R = self.tokens_R.cumsum(0) - self.tokens_R
        place_C = torch.arange(len(self.sample_C), device=self.sample_C.device) - begins_R[self.sample_C]
        return self.summed(self.logp_C * (place_C < count_R[self.sample_C]))

    def summed(self, value_C: Tensor) -> Tensor:
        """[R] a value of each token, summed over each completion."""
        return torch.zeros(len(self.tokens_R), device=value_C.device).index_add(0, self.sample_C, value_C)


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """bf16 products over fp32 weights, or nothing for fp32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def completions(
    model: torch.nn.Module,
    samples: Sequence[Sample],
    *,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
    kl_to: torch.nn.Module | None = None,
    squares: bool = False,
) -> Completions:
    """Log-probability of every completion token of `samples`, in nats, in float32, with gradient if enabled.

    Every distinct token is computed once; logits exist for the places that predict a completion token, a chunk at a time.
    packed=False takes the plain route, for a model whose layers mix positions in a way that packing does not know.
    kl_to: a reference model, for `kl_C`; the policy itself if it carries an adapter, which is then left out. squares: ask for
    `square_C`.
    """
    if not packed:
        return _plain(model, samples, dtype=dtype, kl_to=kl_to, squares=squares)
    batch = pack(samples).to(next(model.parameters()).device)
    hidden_UH, head = at_places(model, batch, dtype=dtype)
    logp_C = token_logps(hidden_UH, head, batch.row_C, batch.target_C, dtype=dtype)
    kl_C = square_C = None
    if kl_to is not None:
        with torch.no_grad(), _without_adapter(kl_to):
            reference_UH, reference = at_places(kl_to, batch, dtype=dtype)
        kl_C = token_kl(hidden_UH, head, reference_UH, reference, dtype=dtype)[batch.row_C]
    if squares:
        square_C = token_stats(hidden_UH.detach(), head, dtype=dtype).log_square_U[batch.row_C]
    return Completions(logp_C, batch.sample_C, batch.tokens_R, kl_C, square_C)


def at_places(model: torch.nn.Module, batch: Packed, *, dtype: torch.dtype) -> tuple[Tensor, Head]:
    """[U, H] the last hidden states that predict a completion token, and the head that reads them."""
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # pyright: ignore[reportCallIssue]
    with shared_embedding(base) as shared:
        hidden_UH, head = hidden_states(base, batch, dtype=dtype)[batch.place_U], head_of(base)
    return hidden_UH, head if shared.weight_VH is None else replace(head, weight_VH=shared.weight_VH)


def _without_adapter(model: torch.nn.Module) -> AbstractContextManager[object]:
    """The model as it was before its adapter, within the block."""
    disable: Any = getattr(model, "disable_adapter", None)
    return nullcontext() if disable is None else disable()


def hidden_states(base: Any, batch: Packed, *, dtype: torch.dtype) -> Tensor:
    """[T, H] the last hidden state of every packed token."""
    body = base if hasattr(base, "unshard") else base.base_model  # distributed/sharding.py: a sharded one sends it on
    with packed_attention(base), autocast(batch.token_T.device, dtype):
        return body(
            input_ids=batch.token_T[None],
            position_ids=batch.position_T[None],
            use_cache=False,
            forest=Forest(batch),
        ).last_hidden_state[0]


def _plain(
    model: torch.nn.Module,
    samples: Sequence[Sample],
    *,
    dtype: torch.dtype,
    kl_to: torch.nn.Module | None,
    squares: bool,
) -> Completions:
    """The same by the plainest route: one sample, one forward, the model's own attention, all positions."""
    device = next(model.parameters()).device
    logps, kls, log_squares = [], [], []
    for sample in samples:
        predicted = plain_logp(model, sample, dtype=dtype)
        target = torch.tensor(sample.tokens[sample.prompt_tokens :], device=device)
        logps.append(predicted.gather(1, target[:, None])[:, 0])
        if kl_to is not None:
            with torch.no_grad(), _without_adapter(kl_to):
                theirs = plain_logp(kl_to, sample, dtype=dtype)
            kls.append((theirs.exp() * (theirs - predicted)).sum(dim=-1))
        log_squares.append((2 * predicted.detach()).logsumexp(dim=-1))
    tokens_R = torch.tensor([sample.completion_tokens for sample in samples], device=device)
    sample_C = torch.repeat_interleave(torch.arange(len(samples), device=device), tokens_R)
    return Completions(
        torch.cat(logps),
        sample_C,
        tokens_R,
        kl_C=torch.cat(kls) if kls else None,
        square_C=torch.cat(log_squares) if squares else None,
    )


def plain_logp(model: torch.nn.Module, sample: Sample, *, dtype: torch.dtype) -> Tensor:
    """[C, V] of one sample's completion."""
    device = next(model.parameters()).device
    with autocast(device, dtype):
        logits_LV = model(input_ids=torch.tensor([sample.tokens], device=device), use_cache=False).logits[0]
    return logits_LV[sample.prompt_tokens - 1 : -1].float().log_softmax(dim=-1)


def pair_logps(
    model: torch.nn.Module,
    pairs: Sequence[tuple[Sample, Sample]],
    *,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
) -> PairLogps:
    """Log-probabilities of P pairs of samples (chosen, rejected), reference fields left empty."""
    found = completions(model, [sample for pair in pairs for sample in pair], dtype=dtype, packed=packed)
    chosen, rejected = found.sums().view(-1, 2).unbind(dim=1)
    chosen_tokens, rejected_tokens = found.tokens_R.view(-1, 2).unbind(dim=1)
    return PairLogps(chosen=chosen, rejected=rejected, chosen_tokens=chosen_tokens, rejected_tokens=rejected_tokens)
