"""One update: sum per pair over every micro-batch, divide once by the pairs of the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rather.losses import PairLogps
from rather.model import Sample, pair_logps

PairSamples = tuple[Sample, Sample]
Objective = Callable[[PairLogps], Tensor]


@dataclass(frozen=True)
class MicroBatch:
    """P pairs as samples, with their reference log-probabilities [P] and ids."""

    samples: tuple[PairSamples, ...]
    ref_chosen: Tensor
    ref_rejected: Tensor
    ids: tuple[str, ...]


@dataclass(frozen=True)
class StepStats:
    """Means over the pairs of one update. Rewards are scaled log-ratios to the reference, in nats."""

    loss: float
    margin: float
    accuracy: float
    chosen_reward: float
    rejected_reward: float
    chosen_logp: float
    rejected_logp: float
    chosen_logp_change_per_token: float
    grad_norm: float


class NonFinite(Exception):
    """Internal: the loss or gradient of the pairs `ids` is NaN or infinite; no weight was changed."""

    def __init__(self, what: str, ids: tuple[str, ...]) -> None:
        super().__init__(what)
        self.what, self.ids = what, ids


def train_step(
    model: torch.nn.Module,
    batches: Sequence[MicroBatch],
    objective: Objective,
    optimizer: torch.optim.Optimizer,
    *,
    max_grad_norm: float,
    reward_scale: float,
    dtype: torch.dtype = torch.float32,
    packed: bool = True,
    on_batch: Callable[[PairLogps], None] = lambda logps: None,
) -> StepStats:
    """Update the weights once from all `batches` together. How they were cut does not change the result.

    on_batch sees every micro-batch's log-probabilities before anything is learned from them, and may raise.
    Raises NonFinite before the optimiser steps, so that the weights are still those of the step before.
    """
    pairs = sum(len(batch.ids) for batch in batches)
    totals: dict[str, Tensor] = {}
    optimizer.zero_grad(set_to_none=True)
    for batch in batches:
        logps = replace(
            pair_logps(model, batch.samples, dtype=dtype, packed=packed),
            ref_chosen=batch.ref_chosen,
            ref_rejected=batch.ref_rejected,
        )
        on_batch(logps)
        loss_P = objective(logps)
        if not torch.isfinite(loss_P).all():
            bad = (~torch.isfinite(loss_P)).nonzero().flatten().tolist()
            optimizer.zero_grad(set_to_none=True)
            raise NonFinite("loss", tuple(batch.ids[index] for index in bad))
        (loss_P.sum() / pairs).backward()
        for name, value_P in _observed(logps, loss_P, reward_scale).items():
            totals[name] = totals.get(name, torch.zeros(())) + value_P.detach().double().sum().cpu()
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm))
    if not torch.isfinite(torch.tensor(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise NonFinite("gradient", tuple(pair_id for batch in batches for pair_id in batch.ids))
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return StepStats(grad_norm=norm, **{name: float(total) / pairs for name, total in totals.items()})


def _observed(logps: PairLogps, loss_P: Tensor, scale: float) -> dict[str, Tensor]:
    """What is reported of each pair [P]. A tie counts as half right: at step 0 nothing is won yet."""
    assert logps.ref_chosen is not None
    assert logps.ref_rejected is not None
    assert logps.chosen_tokens is not None
    chosen_reward = scale * (logps.chosen - logps.ref_chosen)
    rejected_reward = scale * (logps.rejected - logps.ref_rejected)
    margin = chosen_reward - rejected_reward
    return {
        "loss": loss_P,
        "margin": margin,
        "accuracy": (margin > 0).float() + 0.5 * (margin == 0).float(),
        "chosen_reward": chosen_reward,
        "rejected_reward": rejected_reward,
        "chosen_logp": logps.chosen,
        "rejected_logp": logps.rejected,
        "chosen_logp_change_per_token": (logps.chosen - logps.ref_chosen) / logps.chosen_tokens,
    }
