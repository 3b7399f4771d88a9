"""A reference that follows the policy: TR-DPO, Gorbatovski et al. 2024 (arXiv 2404.09656)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from rather.model import Completions, Sample, completions


class MovingReference:
    """The trained weights as they were when the reference last moved.

    A second copy of what is trained (of an adapter, only that) stands in the policy's place while the reference is asked,
    so no second model is ever loaded.
    """

    def __init__(self, policy: torch.nn.Module, *, mixup: float, every: int) -> None:
        self.policy, self.mixup, self.every = policy, mixup, every
        self.weights = {name: parameter.detach().clone() for name, parameter in _trained(policy).items()}

    def of(self, samples: Sequence[Sample], *, dtype: torch.dtype, packed: bool) -> Completions:
        """Log-probabilities under the reference as it stands."""
        with torch.no_grad(), self._in_place():
            return completions(self.policy, samples, dtype=dtype, packed=packed)

    def after(self, updates_done: int) -> None:
        """Every `every` updates, π_ref ← α·π + (1 − α)·π_ref: the soft update; α = 1 is the hard one."""
        if updates_done % self.every == 0:
            for name, parameter in _trained(self.policy).items():
                self.weights[name].lerp_(parameter.detach(), self.mixup)

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Put back what a checkpoint kept."""
        for name, kept in self.weights.items():
            kept.copy_(weights[name])

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        trained = _trained(self.policy)
        own = {name: parameter.data for name, parameter in trained.items()}
        try:
            for name, parameter in trained.items():
                parameter.data = self.weights[name]
            yield
        finally:
            for name, parameter in trained.items():
                parameter.data = own[name]


def _trained(policy: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    return {name: parameter for name, parameter in policy.named_parameters() if parameter.requires_grad}
