"""Inputs for losses of every kind, in fp64, with every field filled."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from rather.losses import FACTS, ListLogps, PairLogps, SampleLogps

Logps = PairLogps | SampleLogps | ListLogps

# of PairLogps and SampleLogps and ListLogps: what comes from the policy, and so has a gradient
POLICY = ("policy", "chosen", "rejected", "chosen_common", "rejected_common", "chosen_kl", "rejected_kl")
NEEDS = {
    "tokens": ("chosen_tokens", "rejected_tokens"),
    "common": ("chosen_common", "rejected_common", "ref_chosen_common", "ref_rejected_common"),
    "kl": ("chosen_kl", "rejected_kl"),
    "alignment": ("chosen_alignment", "rejected_alignment"),
}
"""What a fact's word says of the fields of PairLogps."""


def pairs(**columns: list[float] | float) -> PairLogps:
    """PairLogps of these columns. A reference that is not given is 0, a token count 1; the rest stays None."""
    size = len(columns["chosen"])  # type: ignore[arg-type]
    given: dict[str, Any] = {
        "ref_chosen": [0.0] * size,
        "ref_rejected": [0.0] * size,
        "chosen_tokens": [1] * size,
        "rejected_tokens": [1] * size,
        **columns,
    }
    return PairLogps(**{name: column(name, value) for name, value in given.items()})


def column(name: str, value: Any) -> Tensor:
    dtype = torch.long if name.endswith("tokens") else torch.bool if name in ("desirable", "present") else torch.float64
    return torch.tensor(value, dtype=dtype, requires_grad=name in POLICY)


def full(chosen: Tensor, rejected: Tensor, ref_chosen: Tensor, ref_rejected: Tensor, tokens: Tensor) -> PairLogps:
    """Pairs with every field that some loss needs, derived from these [P], [P], [P], [P], [P, 2]."""
    chosen_tokens, rejected_tokens = tokens.unbind(1)
    shorter = tokens.min(1).values
    share_c, share_r = shorter / chosen_tokens.clamp(min=1), shorter / rejected_tokens.clamp(min=1)

    def policy(value: Tensor) -> Tensor:
        return value.detach().clone().requires_grad_()

    return PairLogps(
        chosen=policy(chosen),
        rejected=policy(rejected),
        ref_chosen=ref_chosen,
        ref_rejected=ref_rejected,
        chosen_tokens=chosen_tokens,
        rejected_tokens=rejected_tokens,
        chosen_common=policy(chosen * share_c),
        rejected_common=policy(rejected * share_r),
        ref_chosen_common=ref_chosen * share_c,
        ref_rejected_common=ref_rejected * share_r,
        chosen_kl=policy((chosen - ref_chosen).abs()),
        rejected_kl=policy((rejected - ref_rejected).abs() / 2),
        chosen_alignment=chosen / chosen_tokens.clamp(min=1) / 100,
        rejected_alignment=rejected / rejected_tokens.clamp(min=1) / 100,
        baseline=torch.tensor(0.3, dtype=chosen.dtype),
    )


def samples(lp: PairLogps) -> SampleLogps:
    """The answers of pairs by themselves: chosen are good, rejected bad."""
    assert lp.ref_chosen is not None
    assert lp.ref_rejected is not None
    good = torch.ones_like(lp.chosen, dtype=torch.bool)
    return SampleLogps(
        policy=torch.cat([lp.chosen, lp.rejected]).detach().requires_grad_(),
        ref=torch.cat([lp.ref_chosen, lp.ref_rejected]),
        desirable=torch.cat([good, ~good]),
        baseline=lp.baseline,
    )


def lists(lp: PairLogps) -> ListLogps:
    """Lists of chosen, rejected, and in every second list a third answer."""
    assert lp.ref_chosen is not None
    assert lp.ref_rejected is not None
    third = torch.arange(len(lp.chosen)) % 2 == 1
    return ListLogps(
        policy=torch.stack([lp.chosen, lp.rejected, lp.rejected / 2], 1).detach().requires_grad_(),
        ref=torch.stack([lp.ref_chosen, lp.ref_rejected, lp.ref_rejected], 1),
        present=torch.stack([torch.ones_like(third), torch.ones_like(third), third], 1),
    )


def input_of(name: str, lp: PairLogps) -> Logps:
    """What this loss takes, made of these pairs."""
    kind = FACTS[name].input
    return samples(lp) if kind == "sample" else lists(lp) if kind == "list" else lp


def random_pairs(size: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> PairLogps:
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, 9, (size, 2), generator=generator)
    ref = -2 * tokens * torch.rand(size, 2, generator=generator, dtype=dtype) - 0.1
    policy = ref * (0.5 + torch.rand(size, 2, generator=generator, dtype=dtype))
    return full(*policy.unbind(1), *ref.unbind(1), tokens)


def take(lp: Logps, rows: Any) -> Any:
    """These rows of every column."""
    fields = {field.name: getattr(lp, field.name) for field in dataclasses.fields(lp)}
    return type(lp)(
        **{
            name: value
            if value is None or value.ndim == 0
            else value.detach()[rows].requires_grad_(value.requires_grad)
            for name, value in fields.items()
        }
    )


def without(lp: Logps, *names: str) -> Any:
    """The same with these fields left out."""
    return dataclasses.replace(lp, **dict.fromkeys(names))


def gradients(lp: Logps) -> dict[str, Tensor]:
    """Field → gradient, of the fields that have one after backward."""
    found = {field.name: getattr(lp, field.name) for field in dataclasses.fields(lp)}
    return {name: value.grad for name, value in found.items() if value is not None and value.grad is not None}
