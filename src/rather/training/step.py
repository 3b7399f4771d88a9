"""One update: sum per pair over every micro-batch, divide once by the pairs of the update.

Pairs stand here for ranked lists and single answers too. A pair's weight multiplies its loss, and the divisor stays the number
of pairs: weight 2 is the pair told twice to an update of the same size. Dividing by the sum of the weights would make a
pair's weight depend on its neighbours, and mean nothing at all where an update has one pair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Self

import torch
from torch import Tensor

from rather.losses import PairLogps, SampleLogps
from rather.model import Completions, Sample, completions
from rather.model.reward import scores
from rather.records import Kind
from rather.training.baseline import Baseline
from rather.training.memory import OutOfMemory, is_out_of_memory
from rather.training.objective import Logps, Objective, as_lists, as_pairs, as_samples, joined
from rather.training.said import UNSAID, Said

Forward = Callable[[Sequence[Sample]], Any]


@dataclass(frozen=True)
class MicroBatch:
    """P examples of one kind as samples, with their reference log-probabilities, ids, and what was said of them.

    Without a reference they are pairs whose conversations a reward model scores.
    """

    samples: tuple[tuple[Sample, ...], ...]
    reference: Completions | None
    ids: tuple[str, ...]
    said: Said = UNSAID
    kind: Kind = "pair"


ToLogps = Callable[[Any, MicroBatch], Logps]


@dataclass(frozen=True)
class StepStats:
    """Means over the examples of one update. Rewards are scaled log-ratios to the reference, in nats.

    chosen is the chosen answer of a pair, the best of a list, or a good single one; rejected the rejected, the last, a bad
    one. None is the mean of none: an update may hold no good, or no bad, single answer.
    """

    loss: float
    margin: float | None
    accuracy: float
    chosen_reward: float | None
    rejected_reward: float | None
    chosen_logp: float | None
    rejected_logp: float | None
    chosen_logp_change_per_token: float | None
    rejected_logp_change_per_token: float | None
    grad_norm: float

    @classmethod
    def of(cls, logps: Logps, loss_P: Tensor, *, scale: float, grad_norm: float) -> Self:
        """From all examples of the update together, in float64, which not every device has. A tie counts as half right: at step 0
        nothing is won yet."""
        if isinstance(logps, PairLogps) and logps.ref_chosen is None:
            return cls._of_scores(logps, loss_P, grad_norm=grad_norm)
        chosen, rejected = _sides(logps)
        seen: dict[str, float | None] = {}
        for side, (policy, ref, tokens) in (("chosen", chosen), ("rejected", rejected)):
            seen |= {
                f"{side}_reward": _mean(scale * (policy - ref)),
                f"{side}_logp": _mean(policy),
                f"{side}_logp_change_per_token": _mean((policy - ref) / tokens),
            }
        good, bad = seen["chosen_reward"], seen["rejected_reward"]
        margin = None if good is None or bad is None else good - bad
        # The mean of differences, not the difference of means, where there are pairs: it keeps its digits.
        if isinstance(logps, PairLogps):
            margin = _mean(scale * logps.log_ratio_margin())
        loss, accuracy = _mean(loss_P), _mean(_right(logps))
        assert loss is not None
        assert accuracy is not None
        return cls(loss=loss, margin=margin, accuracy=accuracy, grad_norm=grad_norm, **seen)  # pyright: ignore[reportArgumentType]

    @classmethod
    def _of_scores(cls, logps: PairLogps, loss_P: Tensor, *, grad_norm: float) -> Self:
        """Of a reward model: its scores are the rewards, and it gives no answer a probability."""
        margin_P = logps.chosen - logps.rejected
        named = {
            "loss": loss_P, "margin": margin_P, "accuracy": _won(margin_P),
            "chosen_reward": logps.chosen, "rejected_reward": logps.rejected,
        }  # fmt: skip
        found = {name: float(value.detach().cpu().double().mean()) for name, value in named.items()}
        return cls(
            chosen_logp=None, rejected_logp=None, chosen_logp_change_per_token=None, rejected_logp_change_per_token=None,
            grad_norm=grad_norm, **found,
        )  # fmt: skip

    def row(self) -> dict[str, float]:
        """What there is to write down."""
        return {name: value for name, value in asdict(self).items() if value is not None}


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
    on_logps: Callable[[Logps], None] = lambda logps: None,
) -> StepStats:
    """Update the weights once from all `batches` together. How they were cut does not change the result.

    reference_model: for losses that compare whole distributions. baseline: for those with a running level; it takes the
    update in. on_logps sees the log-probabilities of each micro-batch before anything is learned from them, and may raise.
    Raises NonFinite and OutOfMemory before the optimiser steps, so that the weights are still those of the step before.
    """
    optimizer.zero_grad(set_to_none=True)
    try:
        forward = forward_of(
            model,
            objective,
            scored=batches[0].reference is None,
            dtype=dtype,
            packed=packed,
            reference_model=reference_model,
        )
        level = baseline.value(next(model.parameters()).device) if baseline is not None else None
        to_logps = partial(logps_of, objective=objective, level=level)
        take = _whole_update if objective.of_whole_update and len(batches) > 1 else _batch_by_batch
        logps, loss_P = take(forward, to_logps, batches, objective, on_logps)
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
    return StepStats.of(logps, loss_P, scale=reward_scale, grad_norm=norm)


def forward_of(
    model: torch.nn.Module,
    objective: Objective,
    *,
    scored: bool,
    dtype: torch.dtype,
    packed: bool,
    reference_model: torch.nn.Module | None,
) -> Forward:
    """What a model is asked of samples: the scores of a reward model, or log-probabilities with what `objective` needs."""
    if scored:
        return partial(scores, model, dtype=dtype, packed=packed)
    return partial(
        completions,
        model,
        dtype=dtype,
        packed=packed,
        kl_to=reference_model if objective.needs("kl") else None,
        squares=objective.needs("alignment"),
    )


def logps_of(
    found: Completions | Tensor, batch: MicroBatch, *, objective: Objective, level: Tensor | None = None
) -> Logps:
    """What a loss takes, from what `forward_of` gave for the samples of `batch`. level: the running one."""
    if isinstance(found, Tensor):
        chosen, rejected = found.view(-1, 2).unbind(dim=1)
        return PairLogps(chosen, rejected, label=batch.said.label, margin=batch.said.margin)
    assert batch.reference is not None
    if batch.kind == "sample":
        return as_samples(found, batch.reference, baseline=level, said=batch.said)
    if batch.kind == "list":
        return as_lists(found, batch.reference, sizes=[len(answers) for answers in batch.samples])
    return as_pairs(found, batch.reference, objective=objective, baseline=level, said=batch.said)


def _batch_by_batch(
    forward: Forward,
    to_logps: ToLogps,
    batches: Sequence[MicroBatch],
    objective: Objective,
    on_logps: Callable[[Logps], None],
) -> tuple[Logps, Tensor]:
    """Gradients of Σ loss / pairs, one micro-batch at a time. For losses in which every pair stands for itself."""
    pairs = sum(len(batch.ids) for batch in batches)
    seen: list[Logps] = []
    losses: list[Tensor] = []
    for batch in batches:
        logps = to_logps(forward(flat(batch)), batch)
        on_logps(logps)
        loss_P = batch.said.weighted(objective(logps))
        _require_finite(loss_P, batch.ids)
        (loss_P.sum() / pairs).backward()
        seen.append(_detached(logps))
        losses.append(loss_P.detach())
    return joined(seen), torch.cat(losses)


def _whole_update(
    forward: Forward,
    to_logps: ToLogps,
    batches: Sequence[MicroBatch],
    objective: Objective,
    on_logps: Callable[[Logps], None],
) -> tuple[Logps, Tensor]:
    """The same for losses that compare the pairs of an update with each other, with the memory of one micro-batch.

    First every log-probability without gradient, then the loss of the whole update and its gradient in the log-probabilities,
    then each micro-batch once more, its part of that gradient sent back through it.
    """
    pairs = sum(len(batch.ids) for batch in batches)
    with torch.no_grad():
        found = [forward(flat(batch)) for batch in batches]
    leaves = [tensor.requires_grad_() for part in found for tensor in _differentiable(part)]
    each = [to_logps(part, batch) for part, batch in zip(found, batches, strict=True)]
    for logps in each:
        on_logps(_detached(logps))
    whole = joined(each)
    loss_P = objective(whole)
    _require_finite(loss_P, tuple(pair_id for batch in batches for pair_id in batch.ids))
    slopes = iter(torch.autograd.grad(loss_P.sum() / pairs, leaves))
    for batch in batches:
        again = _differentiable(forward(flat(batch)))
        torch.autograd.backward(again, [next(slopes) for _ in again])
    return _detached(whole), loss_P.detach()


def _differentiable(found: Completions) -> list[Tensor]:
    return [found.logp_C] if found.kl_C is None else [found.logp_C, found.kl_C]


def flat(batch: MicroBatch) -> list[Sample]:
    """Its samples, example after example."""
    return [sample for pair in batch.samples for sample in pair]


def _detached(logps: Logps) -> Logps:
    values = {field.name: getattr(logps, field.name) for field in fields(logps)}
    return type(logps)(**{name: v.detach() if isinstance(v, Tensor) else v for name, v in values.items()})


Side = tuple[Tensor, Tensor, Tensor]


def _sides(logps: Logps) -> tuple[Side, Side]:
    """Policy, reference and token counts of the better answers and of the worse ones."""
    if isinstance(logps, PairLogps):
        assert logps.chosen_tokens is not None
        assert logps.rejected_tokens is not None
        ref_chosen, ref_rejected = logps.reference()
        return (logps.chosen, ref_chosen, logps.chosen_tokens), (logps.rejected, ref_rejected, logps.rejected_tokens)
    assert logps.ref is not None
    assert logps.tokens is not None
    every = (logps.policy, logps.ref, logps.tokens)
    if isinstance(logps, SampleLogps):
        good, bad = (tuple(value[rows] for value in every) for rows in (logps.desirable, ~logps.desirable))
    else:
        last = logps.present.sum(dim=1, keepdim=True) - 1
        good = tuple(value[:, 0] for value in every)
        bad = tuple(value.gather(1, last)[:, 0] for value in every)
    return good, bad  # pyright: ignore[reportReturnType]


def _right(logps: Logps) -> Tensor:
    """[P] how far an example is ranked rightly by its log-ratios: of a list the share of its pairs, of an answer its sign."""
    if isinstance(logps, PairLogps):
        return _won(logps.log_ratio_margin())
    if isinstance(logps, SampleLogps):
        return _won(torch.where(logps.desirable, 1.0, -1.0) * logps.log_ratios())
    ratio_LK = logps.log_ratios()
    compared_LKK = (logps.present[:, :, None] & logps.present[:, None, :]).triu(1)
    won_LKK = _won(ratio_LK[:, :, None] - ratio_LK[:, None, :]) * compared_LKK
    return won_LKK.sum(dim=(1, 2)) / compared_LKK.sum(dim=(1, 2))


def _won(margin: Tensor) -> Tensor:
    return (margin > 0).float() + 0.5 * (margin == 0).float()


def _mean(values: Tensor) -> float | None:
    return float(values.detach().cpu().double().mean()) if values.numel() else None


def _require_finite(loss_P: Tensor, ids: tuple[str, ...]) -> None:
    bad = (~torch.isfinite(loss_P)).nonzero().flatten().tolist()
    if bad:
        raise NonFinite("loss", tuple(ids[index] for index in bad))
