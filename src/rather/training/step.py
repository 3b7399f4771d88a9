"""One update: sum per pair over every micro-batch, divide once by the pairs of the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Self

import torch
from torch import Tensor

from rather.losses import PairLogps
from rather.model import Completions, Sample, completions
from rather.training.baseline import Baseline
from rather.training.memory import OutOfMemory, is_out_of_memory
from rather.training.objective import Objective, as_pairs, joined

PairSamples = tuple[Sample, Sample]
Forward = Callable[[Sequence[Sample]], Completions]
ToPairs = Callable[[Completions, Completions], PairLogps]


@dataclass(frozen=True)
class MicroBatch:
    """P pairs as samples, with their reference log-probabilities, weights [P] and ids."""

    samples: tuple[PairSamples, ...]
    reference: Completions
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
    rejected_logp_change_per_token: float
    grad_norm: float

    @classmethod
    def of_pairs(cls, logps: PairLogps, loss_P: Tensor, *, scale: float, grad_norm: float) -> Self:
        """From all pairs of the update together, in float64, which not every device has. A tie counts as half right: at step 0
        nothing is won yet."""
        assert logps.ref_chosen is not None
        assert logps.ref_rejected is not None
        assert logps.chosen_tokens is not None
        assert logps.rejected_tokens is not None
        chosen_reward = scale * (logps.chosen - logps.ref_chosen)
        rejected_reward = scale * (logps.rejected - logps.ref_rejected)
        margin = chosen_reward - rejected_reward
        seen = {
            "loss": loss_P,
            "margin": margin,
            "accuracy": (margin > 0).float() + 0.5 * (margin == 0).float(),
            "chosen_reward": chosen_reward,
            "rejected_reward": rejected_reward,
            "chosen_logp": logps.chosen,
            "rejected_logp": logps.rejected,
            "chosen_logp_change_per_token": (logps.chosen - logps.ref_chosen) / logps.chosen_tokens,
            "rejected_logp_change_per_token": (logps.rejected - logps.ref_rejected) / logps.rejected_tokens,
        }
        return cls(
            grad_norm=grad_norm, **{name: float(value.detach().cpu().double().mean()) for name, value in seen.items()}
        )


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
    reference_model: torch.nn.Module | None = None,
    baseline: Baseline | None = None,
    on_logps: Callable[[PairLogps], None] = lambda logps: None,
) -> StepStats:
    """Update the weights once from all `batches` together. How they were cut does not change the result.

    reference_model: for losses that compare whole distributions. baseline: for those with a running level; it takes the
    update in. on_logps sees the log-probabilities of each micro-batch before anything is learned from them, and may raise.
    Raises NonFinite and OutOfMemory before the optimiser steps, so that the weights are still those of the step before.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        forward = partial(
            completions,
            model,
            dtype=dtype,
            packed=packed,
            kl_to=reference_model if objective.needs("kl") else None,
            squares=objective.needs("alignment"),
        )
        device = next(model.parameters()).device
        level = baseline.value(device) if baseline is not None else None
        to_pairs = partial(as_pairs, objective=objective, baseline=level)
        take = _whole_update if objective.of_whole_update and len(batches) > 1 else _batch_by_batch
        logps, loss_P = take(forward, to_pairs, batches, objective, on_logps)
    except BaseException as error:
        optimizer.zero_grad(set_to_none=True)
        if is_out_of_memory(error):
            raise OutOfMemory from error
        raise
    norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm))
    if not torch.isfinite(torch.tensor(norm)):
        optimizer.zero_grad(set_to_none=True)
        raise NonFinite("gradient", tuple(pair_id for batch in batches for pair_id in batch.ids))
    optimizer.step()
    if baseline is not None:
        baseline.seen(logps)
    optimizer.zero_grad(set_to_none=True)
    return StepStats.of_pairs(logps, loss_P, scale=reward_scale, grad_norm=norm)


def _batch_by_batch(
    forward: Forward,
    to_pairs: ToPairs,
    batches: Sequence[MicroBatch],
    objective: Objective,
    on_logps: Callable[[PairLogps], None],
) -> tuple[PairLogps, Tensor]:
    """Gradients of Σ loss / pairs, one micro-batch at a time. For losses in which every pair stands for itself."""
    pairs = sum(len(batch.ids) for batch in batches)
    seen: list[PairLogps] = []
    losses: list[Tensor] = []
    for batch in batches:
        logps = to_pairs(forward(_flat(batch)), batch.reference)
        on_logps(logps)
        loss_P = objective(logps)
        _require_finite(loss_P, batch.ids)
        (loss_P.sum() / pairs).backward()
        seen.append(_detached(logps))
        losses.append(loss_P.detach())
    return joined(seen), torch.cat(losses)


def _whole_update(
    forward: Forward,
    to_pairs: ToPairs,
    batches: Sequence[MicroBatch],
    objective: Objective,
    on_logps: Callable[[PairLogps], None],
) -> tuple[PairLogps, Tensor]:
    """The same for losses that compare the pairs of an update with each other, with the memory of one micro-batch.

    First every log-probability without gradient, then the loss of the whole update and its gradient in the log-probabilities,
    then each micro-batch once more, its part of that gradient sent back through it.
    """
    pairs = sum(len(batch.ids) for batch in batches)
    with torch.no_grad():
        found = [forward(_flat(batch)) for batch in batches]
    leaves = [tensor.requires_grad_() for part in found for tensor in _differentiable(part)]
    each = [to_pairs(part, batch.reference) for part, batch in zip(found, batches, strict=True)]
    for logps in each:
        on_logps(_detached(logps))
    whole = joined(each)
    loss_P = objective(whole)
    _require_finite(loss_P, tuple(pair_id for batch in batches for pair_id in batch.ids))
    slopes = iter(torch.autograd.grad(loss_P.sum() / pairs, leaves))
    for batch in batches:
        again = _differentiable(forward(_flat(batch)))
        torch.autograd.backward(again, [next(slopes) for _ in again])
    return _detached(whole), loss_P.detach()


def _differentiable(found: Completions) -> list[Tensor]:
    return [found.logp_C] if found.kl_C is None else [found.logp_C, found.kl_C]


def _flat(batch: MicroBatch) -> list[Sample]:
    return [sample for pair in batch.samples for sample in pair]


def _detached(logps: PairLogps) -> PairLogps:
    values = {field.name: getattr(logps, field.name) for field in fields(logps)}
    return PairLogps(**{name: v.detach() if isinstance(v, Tensor) else v for name, v in values.items()})


def _require_finite(loss_P: Tensor, ids: tuple[str, ...]) -> None:
    bad = (~torch.isfinite(loss_P)).nonzero().flatten().tolist()
    if bad:
        raise NonFinite("loss", tuple(ids[index] for index in bad))
