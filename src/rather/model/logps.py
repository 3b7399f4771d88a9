"""The one function that turns a model and a micro-batch into log-probabilities, for policy and reference alike."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from rather.losses import PairLogps
from rather.model.attention import Forest, packed_attention
from rather.model.head import head_of, token_logps
from rather.model.pack import Packed, Sample, pack


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """bf16 products over fp32 weights, or nothing for fp32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def sample_logps(model: torch.nn.Module, packed: Packed, *, dtype: torch.dtype) -> Tensor:
    """Summed log-probability [R] of each packed sample's completion, in nats, in float32, with gradient if enabled.

    Every distinct token is computed once; logits exist for the places that predict a completion token and nowhere else.
    """
    device = next(model.parameters()).device
    packed = packed.to(device)
    base: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # pyright: ignore[reportCallIssue]
    with packed_attention(base), autocast(device, dtype):
        hidden_TH = base.base_model(
            input_ids=packed.token_T[None],
            position_ids=packed.position_T[None],
            use_cache=False,
            forest=Forest(packed),
        ).last_hidden_state[0]
    logp_C = token_logps(hidden_TH[packed.place_U], head_of(base), packed.row_C, packed.target_C, dtype=dtype)
    return torch.zeros(len(packed.tokens_R), device=device).index_add(0, packed.sample_C, logp_C)


def plain_sample_logps(model: torch.nn.Module, samples: Sequence[Sample], *, dtype: torch.dtype) -> Tensor:
    """The same [R] by the plainest route: one sample, one forward, the model's own attention, all positions."""
    device = next(model.parameters()).device
    sums = []
    for sample in samples:
        with autocast(device, dtype):
            tokens = torch.tensor([sample.tokens], device=device)
            logits_LV = model(input_ids=tokens, use_cache=False).logits[0]
        predicted = logits_LV[sample.prompt_tokens - 1 : -1].float().log_softmax(dim=-1)
        target = tokens[0, sample.prompt_tokens :, None]
        sums.append(predicted.gather(1, target).sum())
    return torch.stack(sums)


def pair_logps(
    model: torch.nn.Module,
    pairs: Sequence[tuple[Sample, Sample]],
    *,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
) -> PairLogps:
    """Log-probabilities of P pairs of samples (chosen, rejected), reference fields left empty.

    packed=False takes the plain route, for a model whose layers mix positions in a way that packing does not know.
    """
    if packed:
        batch = pack([sample for pair in pairs for sample in pair])
        sums_R = sample_logps(model, batch, dtype=dtype)
        tokens_R = batch.tokens_R.to(sums_R.device)
    else:
        samples = [sample for pair in pairs for sample in pair]
        sums_R = plain_sample_logps(model, samples, dtype=dtype)
        tokens_R = torch.tensor([sample.completion_tokens for sample in samples], device=sums_R.device)
    chosen, rejected = sums_R.view(-1, 2).unbind(dim=1)
    chosen_tokens, rejected_tokens = tokens_R.view(-1, 2).unbind(dim=1)
    return PairLogps(chosen=chosen, rejected=rejected, chosen_tokens=chosen_tokens, rejected_tokens=rejected_tokens)
